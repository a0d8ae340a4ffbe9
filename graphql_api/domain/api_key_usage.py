"""Usage of API keys by London day: calls, messages and their cost. Figures are only ever increased."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from graphql_api.billing import london_days

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(slots=True)
class CallCounts:
    """Counts of one key's calls in one day."""

    requests: int = 0
    failed: int = 0
    """Calls with errors or rejected; includes `rate_limited`."""
    rate_limited: int = 0
    messages: int = 0
    total_ms: float = 0.0

    def add(self, other: CallCounts) -> None:
        """Add counts of the same key and day."""
        self.requests += other.requests
        self.failed += other.failed
        self.rate_limited += other.rate_limited
        self.messages += other.messages
        self.total_ms += other.total_ms


# Rows are locked in the order of their keys, so that concurrent processes cannot deadlock. Deleted keys are left out.
_ADD_CALLS = text(
    """
    INSERT INTO api_key_usage_daily AS usage
        (api_key_id, day, requests, succeeded, failed, rate_limited, notifications, total_ms)
    SELECT called.api_key_id, day, requests, requests - failed, failed, rate_limited, messages, total_ms
    FROM unnest(
        CAST(:keys AS uuid[]), CAST(:days AS date[]), CAST(:requests AS int[]), CAST(:failed AS int[]),
        CAST(:rate_limited AS int[]), CAST(:messages AS int[]), CAST(:total_ms AS float[])
    ) AS called (api_key_id, day, requests, failed, rate_limited, messages, total_ms)
    JOIN api_keys ON api_keys.id = called.api_key_id
    ORDER BY called.api_key_id, day
    ON CONFLICT (api_key_id, day) DO UPDATE SET
        requests = usage.requests + excluded.requests,
        succeeded = usage.succeeded + excluded.succeeded,
        failed = usage.failed + excluded.failed,
        rate_limited = usage.rate_limited + excluded.rate_limited,
        notifications = usage.notifications + excluded.notifications,
        total_ms = usage.total_ms + excluded.total_ms
    """
)
# Locks the key, as revoking it does, so that not both insert its lifetime.
_UPDATE_LAST_USED = text(
    """
    WITH used AS (
        SELECT id, at FROM unnest(CAST(:keys AS uuid[]), CAST(:moments AS timestamp[])) AS used (id, at)
    ), older AS (
        SELECT api_key.id, used.at FROM api_keys AS api_key JOIN used USING (id)
        LEFT JOIN api_key_lifetimes AS lifetime ON lifetime.api_key_id = api_key.id
        WHERE lifetime.last_used_at IS NULL OR lifetime.last_used_at < used.at
        ORDER BY api_key.id FOR NO KEY UPDATE OF api_key
    )
    INSERT INTO api_key_lifetimes AS lifetime (api_key_id, last_used_at, created_at)
    SELECT id, at, timezone('utc', now()) FROM older
    ON CONFLICT (api_key_id) DO UPDATE
        SET last_used_at = greatest(lifetime.last_used_at, excluded.last_used_at)
    """
)


async def add_calls(
    tx: AsyncSession, calls: Mapping[tuple[UUID, date], CallCounts], last_used: Mapping[UUID, datetime]
) -> None:
    """Add calls by key and day; `last_used` is the time of the last call by key, naive UTC."""
    counts = list(calls.values())
    values: dict[str, Any] = {
        "keys": [key for key, _ in calls],
        "days": [day for _, day in calls],
        "requests": [count.requests for count in counts],
        "failed": [count.failed for count in counts],
        "rate_limited": [count.rate_limited for count in counts],
        "messages": [count.messages for count in counts],
        "total_ms": [count.total_ms for count in counts],
    }
    await tx.execute(_UPDATE_LAST_USED, {"keys": list(last_used), "moments": list(last_used.values())})
    await tx.execute(_ADD_CALLS, values)


async def add_messages(tx: AsyncSession, api_key_id: UUID, created_at: datetime, count: int) -> None:
    """Add messages of a key's job, to the London day of `created_at` (naive UTC)."""
    if count:
        await add_calls(tx, {(api_key_id, london_days.london_day(created_at)): CallCounts(messages=count)}, {})


# The price of a text message is per fragment, that of a letter by its number of sheets; test keys cost nothing.
_ADD_COST = text(
    """
    WITH sent AS (
        SELECT api_key_id, (created_at AT TIME ZONE 'UTC' AT TIME ZONE 'Europe/London')::date AS day,
            notification_type AS channel, billable_units, coalesce(rate_multiplier, 1)::int AS multiplier, postage,
            count(*) AS messages
        FROM notifications
        WHERE id = ANY(CAST(:ids AS uuid[])) AND api_key_id IS NOT NULL
            AND notification_type <> 'email' AND key_type <> 'test'
        GROUP BY 1, 2, 3, 4, 5, 6
    ), priced AS (
        SELECT api_key_id, day,
            messages * billable_units * CASE channel WHEN 'sms' THEN multiplier ELSE 1 END AS units,
            messages * CASE channel
                WHEN 'sms' THEN billable_units * multiplier * (
                    SELECT rate FROM rates
                    WHERE notification_type = 'sms' AND valid_from <= midnight ORDER BY valid_from DESC LIMIT 1
                )
                WHEN 'letter' THEN (
                    SELECT rate FROM letter_rates
                    WHERE sheet_count = billable_units AND post_class = sent.postage AND crown
                        AND start_date <= midnight AND (end_date IS NULL OR end_date > midnight)
                    ORDER BY start_date DESC LIMIT 1
                )
            END AS cost
        FROM sent CROSS JOIN LATERAL (
            SELECT day::timestamp AT TIME ZONE 'Europe/London' AT TIME ZONE 'UTC' AS midnight
        ) AS london
    )
    INSERT INTO api_key_usage_daily AS usage (api_key_id, day, units, cost)
    SELECT api_key_id, day, sum(units), coalesce(sum(cost), 0) FROM priced GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (api_key_id, day) DO UPDATE SET
        units = usage.units + excluded.units, cost = usage.cost + excluded.cost
    """
)


async def add_cost(tx: AsyncSession, notification_ids: Sequence[UUID]) -> None:
    """Add the cost of accepted messages to the day of their creation."""
    await tx.execute(_ADD_COST, {"ids": list(notification_ids)})
