"""Facts: nightly counts of messages by London day, by status and for billing.

A day is counted again while its messages may change. One statement counts it, so that it sees each message once even
while retention moves messages to the history. Rows that have not changed are not written.
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

STATUS_RECOUNT_DAYS = {Channel.EMAIL: 4, Channel.SMS: 4, Channel.LETTER: 10}
"""Days before today whose statuses are counted again, by channel."""

BILLING_RECOUNT_DAYS = 10
"""Days before today whose billable messages are counted again."""

ADVISORY_LOCK_KEY = 0xFAC75
"""Advisory lock that is held while a day is counted."""


class DueDay(NamedTuple):
    """A London day to be counted, and its channels."""

    day: date
    channels: tuple[Channel, ...]


async def find_due_status_days(tx: AsyncSession, actor: Actor) -> list[DueDay]:
    """Days whose statuses are to be counted, the oldest first, including days that were never counted."""
    actor.require_platform_admin()
    fact = models.NotificationStatusFact
    return list(_due_days(STATUS_RECOUNT_DAYS, await _first_uncounted_day(tx, fact)))


async def find_due_billing_days(tx: AsyncSession, actor: Actor) -> list[DueDay]:
    """Days whose billable messages are to be counted, the oldest first, including days that were never counted."""
    actor.require_platform_admin()
    return list(
        _due_days(dict.fromkeys(Channel, BILLING_RECOUNT_DAYS), await _first_uncounted_day(tx, models.BillingFact))
    )


async def _first_uncounted_day(tx: AsyncSession, fact: Any) -> date:
    """The day after the last that was counted, or that of the first message; today at the latest."""
    today = london_days.today()
    last = await tx.scalar(select(func.max(fact.bst_date)).where(fact.bst_date < today))
    if last is not None:
        return last + timedelta(days=1)  # type: ignore[no-any-return]
    first = await tx.scalar(select(func.min(models.NotificationAllTime.created_at)))
    return today if first is None else london_days.london_day(first)


def _due_days(recount_days: dict[Channel, int], first_uncounted: date) -> Iterator[DueDay]:
    today = london_days.today()
    first_days = {
        channel: min(today - timedelta(days=count), first_uncounted) for channel, count in recount_days.items()
    }
    first = min(first_days.values())
    for day in (first + timedelta(days=ahead) for ahead in range((today - first).days)):
        yield DueDay(day, tuple(channel for channel, first_day in first_days.items() if first_day <= day))


async def count_statuses(tx: AsyncSession, actor: Actor, due: DueDay) -> None:
    """Count a day's messages by status."""
    actor.require_platform_admin()
    await _count(tx, COUNT_STATUSES, due)


async def count_billing(tx: AsyncSession, actor: Actor, due: DueDay) -> None:
    """Count a day's billable messages."""
    actor.require_platform_admin()
    await _count(tx, COUNT_BILLING, due)


async def _count(tx: AsyncSession, statement: Any, due: DueDay) -> None:
    await tx.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK_KEY)))
    channels = [channel.value for channel in due.channels]
    await tx.execute(statement, {"first": due.day, "last": due.day, "channels": channels, "now": utcnow()})


_FIRST_DAY, _LAST_DAY = "CAST(:first AS date)", "CAST(:last AS date)"
_CHANNELS = "CAST(:channels AS text[])"
_CREATED_ON_DAYS = f"""
        created_at >= {bill_lines.midnight_sql(_FIRST_DAY)}
        AND created_at < {bill_lines.midnight_sql(f"{_LAST_DAY} + 1")}
        AND CAST(notification_type AS text) = ANY({_CHANNELS})
"""
_ALREADY_COUNTED = f"""
        fact.bst_date >= {_FIRST_DAY} AND fact.bst_date <= {_LAST_DAY} AND fact.notification_type = ANY({_CHANNELS})
"""


def _no_longer_counted(counted: str, key: str) -> str:
    """The condition that `counted` has no row with the fact's `key`, which is a comma-separated list of columns."""
    same = " AND ".join(f"{counted}.{name} = fact.{name}" for name in key.split(", "))
    return f"NOT EXISTS (SELECT FROM {counted} WHERE {same})"


_STATUS_KEY = "bst_date, template_id, service_id, job_id, notification_type, key_type, notification_status"
COUNT_STATUSES = text(
    f"""
    WITH counted AS MATERIALIZED (
        SELECT {bill_lines.MESSAGE_DAY_SQL} AS bst_date, template_id, service_id,
            coalesce(job_id, '00000000-0000-0000-0000-000000000000') AS job_id,
            CAST(notification_type AS text) AS notification_type, CAST(key_type AS text) AS key_type,
            notification_status, count(*) AS messages
        FROM notifications_all_time_view
        WHERE {bill_lines.COUNTED_MESSAGES_SQL} AND {_CREATED_ON_DAYS} AND notification_status IS NOT NULL
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), deleted AS (
        DELETE FROM ft_notification_status AS fact
        WHERE {_ALREADY_COUNTED} AND {_no_longer_counted("counted", _STATUS_KEY)}
    )
    INSERT INTO ft_notification_status AS fact ({_STATUS_KEY}, notification_count, created_at)
    SELECT {_STATUS_KEY}, messages, CAST(:now AS timestamp) FROM counted
    ON CONFLICT ({_STATUS_KEY}) DO UPDATE
    SET notification_count = excluded.notification_count, updated_at = excluded.created_at
    WHERE fact.notification_count <> excluded.notification_count
    """  # noqa: S608 - made of constants
)
"""Counts by status; parameters `first` and `last` (days), `channels`, `now`."""

_BILLING_KEY = (
    "bst_date, template_id, service_id, notification_type, provider, rate_multiplier, international, rate, postage"
)
COUNT_BILLING = text(
    f"""
    WITH {bill_lines.bill_line_ctes_sql(_CREATED_ON_DAYS)}, deleted AS (
        DELETE FROM ft_billing AS fact
        WHERE {_ALREADY_COUNTED} AND {_no_longer_counted("reckoned", _BILLING_KEY)}
    )
    INSERT INTO ft_billing AS fact ({_BILLING_KEY}, billable_units, notifications_sent, created_at)
    SELECT {_BILLING_KEY}, billable_units, notifications_sent, CAST(:now AS timestamp) FROM reckoned
    ON CONFLICT ({_BILLING_KEY}) DO UPDATE
    SET billable_units = excluded.billable_units, notifications_sent = excluded.notifications_sent,
        updated_at = excluded.created_at
    WHERE (fact.billable_units, fact.notifications_sent)
        IS DISTINCT FROM (excluded.billable_units, excluded.notifications_sent)
    """  # noqa: S608 - made of constants
)
"""Billable messages; parameters as of `COUNT_STATUSES`. Facts without messages are deleted."""
