"""Deliveries: messages that a worker claims and hands to a gateway, and the outcome of each attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from graphql_api.database.listen import notify_job_changed_sql
from graphql_api.domain import api_key_usage, notify_compatibility
from graphql_api.domain.database_clock import NOW_SQL
from graphql_api.enums import Channel, NotificationStatus
from graphql_api.models import utcnow
from graphql_api.tasks import Task, enqueue, enqueue_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

MESSAGES_PER_TASK = 1_000
"""Messages of one queued task."""

ABANDONED = "abandoned"
"""Value of `last_error` when the claim of a worker expired before it recorded an outcome."""

OPEN_STATUSES = (
    NotificationStatus.CREATED,
    NotificationStatus.SENDING,
    NotificationStatus.PENDING,
    NotificationStatus.SENT,
    NotificationStatus.PENDING_VIRUS_CHECK,
)
"""Statuses that a receipt may change; all others are final."""


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """Leases, retries and timeouts of deliveries."""

    lease_seconds: float = 5
    """Duration of a claim that is not renewed."""
    max_retries: int = 48
    retry_after_seconds: float = 300
    overdue_after: timedelta = timedelta(hours=1)
    """Age at which a message that no worker has claimed is enqueued again."""
    receipt_timeout: timedelta = timedelta(days=3)
    """Age at which a message without a receipt has failed."""


class Claim(NamedTuple):
    """The result of `claim`."""

    messages: Sequence[Row[Any]]
    """Claimed messages: columns of `notifications`, `attempts` (this one included) and `last_error`."""
    claimed_elsewhere: list[UUID]
    """Ids of messages that another worker has claimed."""


class SentMessage(NamedTuple):
    """A message that a provider has accepted."""

    id: UUID
    provider: str
    reference: str
    billable_units: int
    sent_at: datetime
    """Naive UTC."""
    outcome: NotificationStatus | None = None
    """The final status, if the provider returned it at once."""


class FailedMessage(NamedTuple):
    """A message whose attempt has failed."""

    id: UUID
    channel: Channel
    attempts: int
    billable_units: int
    reason: str
    """A code, without content of the message."""


_CLAIM = text(
    f"""
    INSERT INTO deliveries AS delivery (notification_id, attempts, lease_owner, lease_until, created_at)
    SELECT id, 1, CAST(:owner AS uuid), {NOW_SQL} + CAST(:lease AS interval), {NOW_SQL} FROM notifications
    WHERE id = ANY(CAST(:ids AS uuid[])) AND notification_status = 'created' ORDER BY id
    ON CONFLICT (notification_id) DO UPDATE SET
        attempts = delivery.attempts + 1,
        last_error = CASE WHEN delivery.lease_owner IS NULL THEN delivery.last_error ELSE '{ABANDONED}' END,
        lease_owner = excluded.lease_owner,
        lease_until = excluded.lease_until
    WHERE (delivery.lease_until IS NULL OR delivery.lease_until < {NOW_SQL})
        AND (delivery.next_attempt_at IS NULL OR delivery.next_attempt_at < {NOW_SQL} + interval '1 second')
    RETURNING notification_id
    """  # noqa: S608 - made of constants
)
# A second statement, to see what was committed while the first one waited for a lock.
_SELECT_CLAIMED = text(
    f"""
    SELECT message.id, message.notification_type, message."to", message.normalised_to, message.service_id,
        message.template_id, message.template_version, message.key_type, message._personalisation AS personalisation,
        message.reply_to_text, message.unsubscribe_link, message.international,
        delivery.attempts, delivery.last_error, coalesce(delivery.lease_owner = :owner, false) AS mine,
        coalesce(delivery.lease_until > {NOW_SQL}, false) AS leased
    FROM notifications AS message LEFT JOIN deliveries AS delivery ON delivery.notification_id = message.id
    WHERE message.id = ANY(CAST(:ids AS uuid[])) AND message.notification_status = 'created'
    """  # noqa: S608 - made of constants
)
_RELEASE = text("DELETE FROM deliveries WHERE notification_id = ANY(CAST(:ids AS uuid[])) AND lease_owner = :owner")


async def claim(
    tx: AsyncSession, actor: Actor, notification_ids: Iterable[UUID], *, owner: UUID, lease_seconds: float
) -> Claim:
    """Claim the messages in status CREATED that no other owner has claimed, for `lease_seconds`."""
    actor.require_platform_admin()
    values = {"owner": owner, "ids": list(notification_ids)}
    claimed = set((await tx.execute(_CLAIM, values | {"lease": timedelta(seconds=lease_seconds)})).scalars())
    waiting = (await tx.execute(_SELECT_CLAIMED, values)).all()
    own_messages = [message for message in waiting if message.mine]
    if unavailable := claimed - {message.id for message in own_messages}:
        # Sent or cancelled since the first statement.
        await tx.execute(_RELEASE, {"ids": list(unavailable), "owner": owner})
    return Claim(own_messages, [message.id for message in waiting if message.leased and not message.mine])


_RENEW = text(
    f"""
    UPDATE deliveries SET lease_until = {NOW_SQL} + CAST(:lease AS interval)
    WHERE notification_id = ANY(CAST(:ids AS uuid[])) AND lease_owner = :owner
    """  # noqa: S608 - made of constants
)


async def renew(
    tx: AsyncSession, actor: Actor, notification_ids: Iterable[UUID], *, owner: UUID, lease_seconds: float
) -> None:
    """Extend a claim to `lease_seconds` from now."""
    actor.require_platform_admin()
    await tx.execute(_RENEW, {"ids": list(notification_ids), "owner": owner, "lease": timedelta(seconds=lease_seconds)})


_RECORD_SENT = text(
    f"""
    WITH mine AS (
        DELETE FROM deliveries WHERE notification_id = ANY(CAST(:ids AS uuid[])) AND lease_owner = :owner
        RETURNING notification_id
    )
    UPDATE notifications AS message SET
        notification_status = coalesce(sent.outcome, CASE
            WHEN message.notification_type = 'sms' AND message.international THEN 'sent' ELSE 'sending' END),
        sent_at = sent.sent_at, updated_at = sent.sent_at, sent_by = sent.provider,
        reference = CASE WHEN message.notification_type = 'letter' THEN message.reference ELSE sent.reference END,
        billable_units = sent.billable_units
    FROM mine JOIN unnest(
        CAST(:ids AS uuid[]), CAST(:providers AS text[]), CAST(:references AS text[]), CAST(:units AS int[]),
        CAST(:times AS timestamp[]), CAST(:outcomes AS text[])
    ) AS sent (id, provider, reference, billable_units, sent_at, outcome) ON sent.id = mine.notification_id
    WHERE message.id = sent.id AND message.notification_status = 'created'
    RETURNING message.id, message.api_key_id, {notify_job_changed_sql("message.job_id")}
    """  # noqa: S608 - made of constants
)


async def record_sent(tx: AsyncSession, actor: Actor, sent: Sequence[SentMessage], *, owner: UUID) -> set[UUID]:
    """Record accepted messages whose claim `owner` still holds; returns their ids."""
    actor.require_platform_admin()
    if not sent:
        return set()
    ids, providers, references, units, times, outcomes = map(list, zip(*sent, strict=True))
    values = {
        "owner": owner,
        "ids": ids,
        "providers": providers,
        "references": references,
        "units": units,
        "times": times,
        "outcomes": outcomes,
    }
    recorded = (await tx.execute(_RECORD_SENT, values)).all()
    if api_key_message_ids := [message.id for message in recorded if message.api_key_id]:
        await api_key_usage.add_cost(tx, api_key_message_ids)
    return {message.id for message in recorded}


_RETRY = text(
    """
    WITH failed AS (
        UPDATE deliveries AS delivery SET lease_owner = NULL, lease_until = NULL, last_error = failure.reason,
            next_attempt_at = timezone('utc', now()) + CAST(:wait AS interval)
        FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS failure (id, reason)
        WHERE delivery.notification_id = failure.id AND delivery.lease_owner = :owner
        RETURNING delivery.notification_id AS id
    ), attempted AS (
        UPDATE notifications AS message SET billable_units = attempt.units, updated_at = timezone('utc', now())
        FROM unnest(CAST(:ids AS uuid[]), CAST(:units AS int[])) AS attempt (id, units)
        WHERE message.id = attempt.id AND message.id IN (SELECT id FROM failed)
            AND message.billable_units <> attempt.units
    )
    SELECT id FROM failed
    """
)
_FAIL_PERMANENTLY = text(
    f"""
    WITH mine AS (
        DELETE FROM deliveries WHERE notification_id = ANY(CAST(:ids AS uuid[])) AND lease_owner = :owner
        RETURNING notification_id
    )
    UPDATE notifications AS message SET
        notification_status = 'technical-failure', updated_at = {NOW_SQL}, billable_units = attempt.units
    FROM mine JOIN unnest(CAST(:ids AS uuid[]), CAST(:units AS int[])) AS attempt (id, units)
        ON attempt.id = mine.notification_id
    WHERE message.id = attempt.id AND message.notification_status = 'created'
    RETURNING {notify_job_changed_sql("message.job_id")}
    """  # noqa: S608 - made of constants
)


async def record_failed(
    tx: AsyncSession, actor: Actor, failed: Iterable[FailedMessage], *, owner: UUID, policy: DeliveryPolicy
) -> None:
    """Enqueue failed messages again; those without retries left become TECHNICAL_FAILURE.

    The first retry of a text message has no delay.
    """
    actor.require_platform_admin()
    by_wait: dict[float | None, list[FailedMessage]] = {}
    for failure in failed:
        if failure.attempts > policy.max_retries:
            wait = None
        else:
            wait = 0 if failure.attempts == 1 and failure.channel is Channel.SMS else policy.retry_after_seconds
        by_wait.setdefault(wait, []).append(failure)
    for wait, failures in by_wait.items():
        values = {
            "owner": owner,
            "ids": [failure.id for failure in failures],
            "units": [failure.billable_units for failure in failures],
        }
        if wait is None:
            await tx.execute(_FAIL_PERMANENTLY, values)
            continue
        values |= {"reasons": [failure.reason for failure in failures], "wait": timedelta(seconds=wait)}
        await enqueue_messages(tx, (await tx.execute(_RETRY, values)).scalars(), due=utcnow() + timedelta(seconds=wait))


_RECORD_RECEIPTS = text(
    f"""
    UPDATE notifications AS message SET
        notification_status = receipt.status, updated_at = greatest(message.updated_at, {NOW_SQL})
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[])) AS receipt (id, status)
    WHERE message.id = receipt.id AND message.notification_status = ANY(CAST(:open AS text[]))
        AND message.notification_status <> receipt.status
    RETURNING message.id, {notify_job_changed_sql("message.job_id")}
    """  # noqa: S608 - made of constants
)


async def record_receipts(tx: AsyncSession, actor: Actor, receipts: Mapping[UUID, NotificationStatus]) -> set[UUID]:
    """Record receipts by message id; late and repeated ones change nothing. Returns the ids of changed messages."""
    actor.require_platform_admin()
    ids = sorted(receipts)
    statuses = [receipts[notification_id].value for notification_id in ids]
    values = {"ids": ids, "statuses": statuses, "open": [status.value for status in OPEN_STATUSES]}
    return set((await tx.execute(_RECORD_RECEIPTS, values)).scalars())


async def enqueue_messages(
    tx: AsyncSession, notification_ids: Iterable[UUID], *, due: datetime | None = None, priority: int = 0
) -> None:
    """Enqueue the delivery of messages, a task for each thousand; `due` is naive UTC, None for at once."""
    ids = [str(notification_id) for notification_id in notification_ids]
    payloads = [
        {"notification_ids": ids[start : start + MESSAGES_PER_TASK]} for start in range(0, len(ids), MESSAGES_PER_TASK)
    ]
    await enqueue_all(tx, Task.DELIVER, payloads, due_at=due, priority=priority)


async def enqueue_receipts(
    tx: AsyncSession, outcomes: Mapping[NotificationStatus, Sequence[UUID]], *, delay_seconds: float = 0
) -> None:
    """Enqueue receipts for after a delay; for providers that send none themselves."""
    receipts = {status.value: [str(notification_id) for notification_id in ids] for status, ids in outcomes.items()}
    await enqueue(tx, Task.RECEIVE, {"receipts": receipts}, due_at=utcnow() + timedelta(seconds=delay_seconds))


# Beside Notify, messages with random ids (version 4) are Notify's, which sends them itself.
_UUID_VERSION_POSITION = 15
_SELECT_OVERDUE = text(
    f"""
    SELECT message.id FROM notifications AS message
    LEFT JOIN deliveries AS delivery ON delivery.notification_id = message.id
    WHERE message.notification_status = 'created' AND message.created_at < {NOW_SQL} - CAST(:age AS interval)
        AND message.notification_type IN ('email', 'sms')
        AND (delivery.lease_until IS NULL OR delivery.lease_until < {NOW_SQL})
        AND (delivery.next_attempt_at IS NULL OR delivery.next_attempt_at < {NOW_SQL} - interval '1 minute')
        AND NOT (
            CAST(:beside_notify AS boolean) AND substr(CAST(message.id AS text), {_UUID_VERSION_POSITION}, 1) = '4'
        )
    ORDER BY message.created_at LIMIT :limit
    """  # noqa: S608 - made of constants
)


async def requeue_overdue(tx: AsyncSession, actor: Actor, *, policy: DeliveryPolicy, limit: int = 10_000) -> int:
    """Enqueue old messages that no worker has claimed, at most `limit`; returns how many."""
    actor.require_platform_admin()
    values = {"age": policy.overdue_after, "limit": limit, "beside_notify": await notify_compatibility.is_enabled(tx)}
    ids = list((await tx.execute(_SELECT_OVERDUE, values)).scalars())
    await enqueue_messages(tx, ids)
    return len(ids)


_FAIL_WITHOUT_RECEIPT = text(
    f"""
    UPDATE notifications SET notification_status = 'temporary-failure', updated_at = {NOW_SQL}
    WHERE id IN (
        SELECT id FROM notifications
        WHERE notification_type IN ('email', 'sms') AND notification_status IN ('sending', 'pending')
            AND created_at < {NOW_SQL} - CAST(:age AS interval)
        LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    RETURNING id, {notify_job_changed_sql("job_id")}
    """  # noqa: S608 - made of constants
)


async def fail_without_receipt(tx: AsyncSession, actor: Actor, *, policy: DeliveryPolicy, limit: int = 5_000) -> int:
    """Fail messages without a receipt for days, at most `limit`; returns how many."""
    actor.require_platform_admin()
    return len((await tx.execute(_FAIL_WITHOUT_RECEIPT, {"age": policy.receipt_timeout, "limit": limit})).all())
