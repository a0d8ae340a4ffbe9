"""Sending limits of a service: a token bucket for the rate a minute, and counts by the day (UTC)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select, text

from graphql_api import models
from graphql_api.domain.database_clock import NOW_SQL
from graphql_api.enums import Channel, KeyType
from graphql_api.errors import DailyLimitExceeded, RateLimited, raise_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from uuid import UUID

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

WINDOW_SECONDS = 60
BURST_DIVISOR = 3
"""A burst may have the rate per minute divided by this, and one send more."""
MAX_BURST_SENDS = 1_000
INTERNATIONAL_SMS = "international_sms"

LIVE_DAILY_LIMITS = {
    Channel.EMAIL.value: 250_000,
    Channel.SMS.value: 250_000,
    INTERNATIONAL_SMS: 100,
    Channel.LETTER.value: 20_000,
}
"""Daily limits of a live service by kind; they apply to test keys of a service in trial too."""

_CHANNEL_NAMES = {Channel.EMAIL: "emails", Channel.SMS: "text messages", Channel.LETTER: "letters"}
_KEY_TYPE_NAMES = {KeyType.LIVE: "live keys", KeyType.TEAM: "team keys", KeyType.TEST: "test keys"}


_BUCKET_CAPACITY_SQL = f"LEAST(CEIL(GREATEST(service.rate_limit, 0) / {BURST_DIVISOR}.0) + 1, {MAX_BURST_SENDS})"
"""Sends that the bucket of a service's row holds; `limits.buckets.burst_capacity` is the same for points."""


async def consume_token(tx: AsyncSession, actor: Actor, service_id: UUID) -> None:
    """Consume a token for one sending call; raises `RateLimited` if the bucket is empty.

    Call it in its own transaction, before the one that sends: a send that fails has consumed its token all the same.
    Callers without permissions in the service consume nothing, for the send will fail. People share the bucket of live
    keys.
    """
    if service_id not in actor.permissions:
        return
    key_type = actor.key_type or KeyType.LIVE
    if (await tx.execute(_CONSUME_TOKEN, {"service_id": service_id, "key_type": key_type.value})).first():
        return
    bucket = (await tx.execute(_SELECT_AVAILABLE, {"service_id": service_id, "key_type": key_type.value})).first()
    if bucket is None:  # no such service: the send will raise
        return
    wait = (1 - bucket.tokens) * WINDOW_SECONDS / bucket.rate if bucket.rate > 0 else float(WINDOW_SECONDS)
    raise RateLimited(
        f"You can send {bucket.rate:,} times a minute with {_KEY_TYPE_NAMES[key_type]}. Wait, then send again.",
        limit=bucket.rate,
        window_seconds=WINDOW_SECONDS,
        retry_after_seconds=round(max(wait, 0.001), 3),
    )


# Capacity and refill are read from the service's row, so that a new rate applies at once. They use the database's clock
# and not a parameter, because PostgreSQL evaluates them again for a row that a concurrent call has just updated.
_REFILLED_TOKENS_SQL = (
    f"GREATEST(EXTRACT(EPOCH FROM {NOW_SQL} - bucket.refilled_at), 0) * service.rate_limit / {WINDOW_SECONDS}.0"
)
_AVAILABLE_TOKENS_SQL = f"LEAST({_BUCKET_CAPACITY_SQL}, bucket.tokens + {_REFILLED_TOKENS_SQL})"
_CONSUME_TOKEN = text(
    f"""
    INSERT INTO rate_buckets AS bucket (service_id, key_type, tokens, refilled_at)
    SELECT service.id, :key_type, {_BUCKET_CAPACITY_SQL} - 1, {NOW_SQL}
    FROM services AS service WHERE service.id = :service_id
    ON CONFLICT (service_id, key_type) DO UPDATE SET
        tokens = (SELECT {_AVAILABLE_TOKENS_SQL} FROM services AS service WHERE service.id = bucket.service_id) - 1,
        refilled_at = {NOW_SQL}
    WHERE (SELECT {_AVAILABLE_TOKENS_SQL} FROM services AS service WHERE service.id = bucket.service_id) >= 1
    RETURNING tokens
    """  # noqa: S608 - made of constants
)
_SELECT_AVAILABLE = text(
    f"""
    SELECT {_AVAILABLE_TOKENS_SQL} AS tokens, service.rate_limit AS rate
    FROM rate_buckets AS bucket JOIN services AS service ON service.id = bucket.service_id
    WHERE bucket.service_id = :service_id AND bucket.key_type = :key_type
    """  # noqa: S608 - made of constants
)


def utc_today() -> date:
    """The current day of the limits."""
    return datetime.now(UTC).date()


def resets_at() -> datetime:
    """Next midnight UTC, naive."""
    return datetime.combine(utc_today() + timedelta(days=1), datetime.min.time())


def daily_limit(service: models.Service, kind: str, key_type: str = KeyType.LIVE) -> int:
    """Messages of a kind that a service may send a day; a kind is a channel's value or `INTERNATIONAL_SMS`."""
    if key_type == KeyType.TEST and service.restricted:
        return LIVE_DAILY_LIMITS[kind]
    limits: dict[str, int] = {
        Channel.EMAIL.value: service.email_message_limit,
        Channel.SMS.value: service.sms_message_limit,
        INTERNATIONAL_SMS: service.international_sms_message_limit,
        Channel.LETTER.value: service.letter_message_limit,
    }
    return limits[kind]


def daily_counts(channel: str, message_count: int, international_count: int = 0) -> dict[str, int]:
    """What messages add to the daily counts, by kind; international text messages count under two kinds."""
    counts = {str(channel): message_count}
    if channel == Channel.SMS and international_count:
        counts[INTERNATIONAL_SMS] = international_count
    return counts


def select_daily_usage(service_id: UUID) -> Select[str, int]:
    """The statement that selects today's counts: kind, count."""
    return select(models.DailyUsage.kind, models.DailyUsage.count).where(
        models.DailyUsage.service_id == service_id, models.DailyUsage.day == utc_today()
    )


async def load_daily_usage(tx: AsyncSession, service_id: UUID) -> dict[str, int]:
    """Today's counts by kind; kinds without a row are absent."""
    return dict((await tx.execute(select_daily_usage(service_id))).all())


def check(
    service: models.Service, counts: Mapping[str, int], used: Mapping[str, int], key_type: str = KeyType.LIVE
) -> list[DailyLimitExceeded]:
    """Errors of the limits that `counts` more messages would exceed; both mappings are by kind."""
    return [
        _daily_limit_error(kind, daily_limit(service, kind, key_type), used.get(kind, 0), count)
        for kind, count in sorted(counts.items())
        if count and used.get(kind, 0) + count > daily_limit(service, kind, key_type)
    ]


async def add_daily_usage(
    tx: AsyncSession, service: models.Service, counts: Mapping[str, int], key_type: str = KeyType.LIVE
) -> None:
    """Add to today's counts; raises `DailyLimitExceeded` above a limit.

    Messages of test keys are checked but not counted. Rows are locked in the order of their kinds.
    """
    added = {kind: count for kind, count in sorted(counts.items()) if count}
    if not added:
        return
    if key_type == KeyType.TEST:
        raise_problems(check(service, added, await load_daily_usage(tx, service.id), key_type))
        return
    totals = await _increment_usage(tx, service.id, added)
    before = {kind: total - added[kind] for kind, total in totals.items()}
    raise_problems(check(service, added, before, key_type))


async def lock_remaining(
    tx: AsyncSession, service: models.Service, kinds: Iterable[str], key_type: str = KeyType.LIVE
) -> dict[str, int]:
    """Lock today's counts; returns the remaining messages by kind. Call `add_daily_usage` in the same transaction."""
    zero_counts = dict.fromkeys(sorted(kinds), 0)
    totals = (
        await load_daily_usage(tx, service.id)
        if key_type == KeyType.TEST
        else await _increment_usage(tx, service.id, zero_counts)
    )
    return {kind: max(daily_limit(service, kind, key_type) - totals.get(kind, 0), 0) for kind in zero_counts}


_ADD_USAGE = text(
    """
    INSERT INTO daily_usage AS usage (service_id, day, kind, count)
    SELECT :service_id, :day, kind, count
    FROM unnest(CAST(:kinds AS text[]), CAST(:counts AS int[])) WITH ORDINALITY AS added (kind, count, place)
    ORDER BY place
    ON CONFLICT (service_id, day, kind) DO UPDATE SET count = usage.count + excluded.count
    RETURNING kind, count
    """
)


async def _increment_usage(tx: AsyncSession, service_id: UUID, counts: Mapping[str, int]) -> dict[str, int]:
    """Add to today's counts, in the order of `counts`; returns the new ones."""
    values = {"service_id": service_id, "day": utc_today(), "kinds": list(counts), "counts": list(counts.values())}
    return dict((await tx.execute(_ADD_USAGE, values)).all())


def _daily_limit_error(kind: str, limit: int, used: int, requested: int) -> DailyLimitExceeded:
    international = kind == INTERNATIONAL_SMS
    channel = Channel.SMS if international else Channel(kind)
    name = f"{_CHANNEL_NAMES[channel]} to other countries" if international else _CHANNEL_NAMES[channel]
    return DailyLimitExceeded(
        f"The service can send {limit:,} {name} a day and has sent {used:,} today.",
        channel=channel,
        international=international,
        limit=limit,
        used=used,
        requested=requested,
        resets_at=resets_at(),
    )
