"""Counts of messages by London day, made each night: what became of them, and what they come to on the bill.

A day is counted again as long as its messages may change, in one statement, which sees each message in one place even
while it is moved to the history. What is counted already and has not changed is left as it is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select, text

from graphql_api import models
from graphql_api.billing import bill_lines, london_days
from graphql_api.enums import Channel
from graphql_api.models import utcnow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

DAYS_OF_STATUSES = {Channel.EMAIL: 4, Channel.SMS: 4, Channel.LETTER: 10}
"""For so many days before today, what became of a channel's messages is counted again."""

DAYS_OF_BILLS = 10
"""For so many days before today, what is billed is counted again."""

LOCK = 0xFAC75
"""Held while a day is counted: by one at a time."""


class Due(NamedTuple):
    """A day to be counted, and the channels of which."""

    day: date
    channels: tuple[Channel, ...]


async def due_statuses(tx: AsyncSession, actor: Actor) -> list[Due]:
    """Days whose statuses are to be counted, the oldest first; those that no night has counted are among them."""
    actor.require_platform_admin()
    fact = models.NotificationStatusFact
    return list(_due(DAYS_OF_STATUSES, await _uncounted(tx, fact)))


async def due_bills(tx: AsyncSession, actor: Actor) -> list[Due]:
    """Days whose bills are to be counted, the oldest first; those that no night has counted are among them."""
    actor.require_platform_admin()
    return list(_due(dict.fromkeys(Channel, DAYS_OF_BILLS), await _uncounted(tx, models.BillingFact)))


async def _uncounted(tx: AsyncSession, fact: Any) -> date:
    """The day after the last that was counted; that of the first message, where none was; today at the latest."""
    today = london_days.today()
    last = await tx.scalar(select(func.max(fact.bst_date)).where(fact.bst_date < today))
    if last is not None:
        return last + timedelta(days=1)  # type: ignore[no-any-return]
    first = await tx.scalar(select(func.min(models.NotificationAllTime.created_at)))
    return today if first is None else london_days.day_of(first)


def _due(days: dict[Channel, int], uncounted: date) -> Iterator[Due]:
    today = london_days.today()
    begins = {channel: min(today - timedelta(days=count), uncounted) for channel, count in days.items()}
    first = min(begins.values())
    for day in (first + timedelta(days=ahead) for ahead in range((today - first).days)):
        yield Due(day, tuple(channel for channel, begin in begins.items() if begin <= day))


async def count_statuses(tx: AsyncSession, actor: Actor, due: Due) -> None:
    """Count what became of a day's messages."""
    actor.require_platform_admin()
    await _count(tx, STATUSES, due)


async def count_bills(tx: AsyncSession, actor: Actor, due: Due) -> None:
    """Count what a day's messages come to."""
    actor.require_platform_admin()
    await _count(tx, BILLS, due)


async def _count(tx: AsyncSession, statement: Any, due: Due) -> None:
    await tx.execute(select(func.pg_advisory_xact_lock(LOCK)))
    channels = [channel.value for channel in due.channels]
    await tx.execute(statement, {"first": due.day, "last": due.day, "channels": channels, "now": utcnow()})


_FIRST, _LAST = "CAST(:first AS date)", "CAST(:last AS date)"
_CHANNELS = "CAST(:channels AS text[])"
_OF_THE_DAYS = f"""
        created_at >= {bill_lines.midnight(_FIRST)} AND created_at < {bill_lines.midnight(f"{_LAST} + 1")}
        AND CAST(notification_type AS text) = ANY({_CHANNELS})
"""
_COUNTED_BEFORE = f"""
        fact.bst_date >= {_FIRST} AND fact.bst_date <= {_LAST} AND fact.notification_type = ANY({_CHANNELS})
"""


def _gone(counted: str, key: str) -> str:
    """Nothing with this key has been counted."""
    same = " AND ".join(f"{counted}.{name} = fact.{name}" for name in key.split(", "))
    return f"NOT EXISTS (SELECT FROM {counted} WHERE {same})"


_STATUS_KEY = "bst_date, template_id, service_id, job_id, notification_type, key_type, notification_status"
STATUSES = text(
    f"""
    WITH counted AS MATERIALIZED (
        SELECT {bill_lines.DAY} AS bst_date, template_id, service_id,
            coalesce(job_id, '00000000-0000-0000-0000-000000000000') AS job_id,
            CAST(notification_type AS text) AS notification_type, CAST(key_type AS text) AS key_type,
            notification_status, count(*) AS messages
        FROM notifications_all_time_view
        WHERE {bill_lines.COUNTABLE} AND {_OF_THE_DAYS} AND notification_status IS NOT NULL
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), gone AS (
        DELETE FROM ft_notification_status AS fact
        WHERE {_COUNTED_BEFORE} AND {_gone("counted", _STATUS_KEY)}
    )
    INSERT INTO ft_notification_status AS fact ({_STATUS_KEY}, notification_count, created_at)
    SELECT {_STATUS_KEY}, messages, CAST(:now AS timestamp) FROM counted
    ON CONFLICT ({_STATUS_KEY}) DO UPDATE
    SET notification_count = excluded.notification_count, updated_at = excluded.created_at
    WHERE fact.notification_count <> excluded.notification_count
    """  # noqa: S608 - made of constants
)
"""Messages by status, of the days from `first` to `last`, of these `channels`."""

_BILL_KEY = (
    "bst_date, template_id, service_id, notification_type, provider, rate_multiplier, international, rate, postage"
)
BILLS = text(
    f"""
    WITH {bill_lines.lines(_OF_THE_DAYS)}, gone AS (
        DELETE FROM ft_billing AS fact
        WHERE {_COUNTED_BEFORE} AND {_gone("reckoned", _BILL_KEY)}
    )
    INSERT INTO ft_billing AS fact ({_BILL_KEY}, billable_units, notifications_sent, created_at)
    SELECT {_BILL_KEY}, billable_units, notifications_sent, CAST(:now AS timestamp) FROM reckoned
    ON CONFLICT ({_BILL_KEY}) DO UPDATE
    SET billable_units = excluded.billable_units, notifications_sent = excluded.notifications_sent,
        updated_at = excluded.created_at
    WHERE (fact.billable_units, fact.notifications_sent)
        IS DISTINCT FROM (excluded.billable_units, excluded.notifications_sent)
    """  # noqa: S608 - made of constants
)
"""Billable messages, of the days from `first` to `last`, of these `channels`; a line that nothing supports goes."""
