"""Messages on their way: claimed by one worker at a time, handed over, and what became of them."""

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
"""Messages of one task of the queue."""

ABANDONED = "abandoned"
"""What `last_error` says when a worker went away between claiming a message and telling how it went."""

OPEN_STATUSES = (
    NotificationStatus.CREATED,
    NotificationStatus.SENDING,
    NotificationStatus.PENDING,
    NotificationStatus.SENT,
    NotificationStatus.PENDING_VIRUS_CHECK,
)
"""Statuses that a receipt may change; in every other a message has come to its end."""


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """How patient delivery is; times are seconds."""

    lease_seconds: float = 5
    """For how long a claim holds without being renewed."""
    max_retries: int = 48
    retry_after_seconds: float = 300
    overdue_after: timedelta = timedelta(hours=1)
    """When a message that nobody took is queued again."""
    receipt_timeout: timedelta = timedelta(days=3)
    """When a message of which nothing is heard has failed."""


class Claim(NamedTuple):
    """What a worker may send now."""

    messages: Sequence[Row[Any]]
    """Columns of `notifications`, with `attempts` (this one included) and `last_error` of the delivery."""
    claimed_elsewhere: list[UUID]
    """Messages that wait as well, but are claimed by another worker."""


class SentMessage(NamedTuple):
    """A message that a provider has taken over."""

    id: UUID
    provider: str
    reference: str
    billable_units: int
    sent_at: datetime
    """Naive UTC."""
    outcome: NotificationStatus | None = None
    """What became of it, where that is known at once."""


class FailedMessage(NamedTuple):
    """A message that could not be handed over this time."""

    id: UUID
    channel: Channel
    attempts: int
    billable_units: int
    reason: str
    """A code, with nothing of the message in it."""


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
# A statement of its own, to see what was committed while the first one waited for another worker's.
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
    """Claim those messages that wait to be sent, for `lease` seconds; each is claimed by one `owner` at a time."""
    actor.require_platform_admin()
    values = {"owner": owner, "ids": list(notification_ids)}
    claimed = set((await tx.execute(_CLAIM, values | {"lease": timedelta(seconds=lease_seconds)})).scalars())
    waiting = (await tx.execute(_SELECT_CLAIMED, values)).all()
    mine = [message for message in waiting if message.mine]
    if gone := claimed - {message.id for message in mine}:
        # Sent, or cancelled, since the first statement looked.
        await tx.execute(_RELEASE, {"ids": list(gone), "owner": owner})
    return Claim(mine, [message.id for message in waiting if message.leased and not message.mine])


_RENEW = text(
    f"""
    UPDATE deliveries SET lease_until = {NOW_SQL} + CAST(:lease AS interval)
    WHERE notification_id = ANY(CAST(:ids AS uuid[])) AND lease_owner = :owner
    """  # noqa: S608 - made of constants
)


async def renew(
    tx: AsyncSession, actor: Actor, notification_ids: Iterable[UUID], *, owner: UUID, lease_seconds: float
) -> None:
    """Hold on to a claim for `lease` seconds more."""
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
    """Record messages that were handed over, as far as `owner` still holds them; answers which those were."""
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
    if of_keys := [message.id for message in recorded if message.api_key_id]:
        await api_key_usage.add_cost(tx, of_keys)
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
    """Queue messages again that could not be handed over; those that have used up their retries have failed for good.

    A text is tried again at once after its first attempt.
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
    """Record what became of messages; late and repeated receipts change nothing. Answers which messages changed."""
    actor.require_platform_admin()
    ids = sorted(receipts)
    statuses = [receipts[notification_id].value for notification_id in ids]
    values = {"ids": ids, "statuses": statuses, "open": [status.value for status in OPEN_STATUSES]}
    return set((await tx.execute(_RECORD_RECEIPTS, values)).scalars())


async def enqueue_messages(
    tx: AsyncSession, notification_ids: Iterable[UUID], *, due: datetime | None = None, priority: int = 0
) -> None:
    """Ask the worker to send messages, a task for each thousand; `due` is naive UTC, None for at once."""
    waiting = [str(notification_id) for notification_id in notification_ids]
    payloads = [
        {"notification_ids": list(waiting[at : at + MESSAGES_PER_TASK])}
        for at in range(0, len(waiting), MESSAGES_PER_TASK)
    ]
    await enqueue_all(tx, Task.DELIVER, payloads, due_at=due, priority=priority)


async def enqueue_receipts(
    tx: AsyncSession, outcomes: Mapping[NotificationStatus, Sequence[UUID]], *, delay_seconds: float = 0
) -> None:
    """Record what became of messages `after` so many seconds: a provider's receipts, where it sends none itself."""
    receipts = {status.value: [str(notification_id) for notification_id in ids] for status, ids in outcomes.items()}
    await enqueue(tx, Task.RECEIVE, {"receipts": receipts}, due_at=utcnow() + timedelta(seconds=delay_seconds))


# Notify's own messages have random ids, ours never: it sends its own, however late.
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
    ORDER BY message.created_at LIMIT :most
    """  # noqa: S608 - made of constants
)


async def requeue_overdue(tx: AsyncSession, actor: Actor, *, policy: DeliveryPolicy, limit: int = 10_000) -> int:
    """Queue messages again that were written long ago and that nobody took; answers how many, `most` at a time."""
    actor.require_platform_admin()
    values = {"age": policy.overdue_after, "most": limit, "beside_notify": await notify_compatibility.is_enabled(tx)}
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
        LIMIT :most FOR UPDATE SKIP LOCKED
    )
    RETURNING id, {notify_job_changed_sql("job_id")}
    """  # noqa: S608 - made of constants
)


async def fail_without_receipt(tx: AsyncSession, actor: Actor, *, policy: DeliveryPolicy, limit: int = 5_000) -> int:
    """Let messages fail of which nothing has been heard for days; answers how many, `most` at a time."""
    actor.require_platform_admin()
    return len((await tx.execute(_FAIL_WITHOUT_RECEIPT, {"age": policy.receipt_timeout, "most": limit})).all())
