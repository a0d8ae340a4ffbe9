"""Retention: old messages move to the history without personal data; those of test keys are deleted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from graphql_api import models
from graphql_api.billing import london_days

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

DEFAULT_RETENTION_DAYS = 7
ALLOWED_RETENTION_DAYS = range(3, 91)
"""Days of retention that a service may choose."""

MESSAGES_PER_BATCH = 50_000
"""Messages that one transaction moves."""

JOBS_PER_BATCH = 500
"""Jobs that are archived in one transaction."""


class ExpiredMessages(NamedTuple):
    """Messages of a service and channel past their retention."""

    service_id: UUID
    channel: str
    before: datetime
    """A London midnight, naive UTC; earlier messages are past their retention."""


_RETENTION_CUTOFFS = """
    services CROSS JOIN unnest(enum_range(NULL::notification_type)) AS channel (name)
    LEFT JOIN service_data_retention AS retention
        ON retention.service_id = services.id AND retention.notification_type = channel.name
    JOIN unnest(CAST(:days AS int[]), CAST(:cutoffs AS timestamp[])) AS cutoff (days, before)
        ON cutoff.days = greatest(least(coalesce(retention.days_of_retention, :default_days), :max_days), :min_days)
"""
_FIND_EXPIRED = text(
    f"""
    SELECT services.id AS service_id, channel.name AS channel, cutoff.before AS before
    FROM {_RETENTION_CUTOFFS}
    WHERE EXISTS (
        SELECT FROM notifications AS message
        WHERE message.service_id = services.id AND message.notification_type = channel.name
            AND message.created_at < cutoff.before
    )
    """  # noqa: S608 - made of constants
)


async def find_expired(tx: AsyncSession, actor: Actor) -> list[ExpiredMessages]:
    """Services and channels with messages past their retention."""
    actor.require_platform_admin()
    return [ExpiredMessages(*row) for row in await tx.execute(_FIND_EXPIRED, _cutoff_parameters())]


def _cutoff_parameters() -> dict[str, Any]:
    today = london_days.today()
    return {
        "days": list(ALLOWED_RETENTION_DAYS),
        "cutoffs": [london_days.midnight(today - timedelta(days=days)) for days in ALLOWED_RETENTION_DAYS],
        "default_days": DEFAULT_RETENTION_DAYS,
        "min_days": ALLOWED_RETENTION_DAYS[0],
        "max_days": ALLOWED_RETENTION_DAYS[-1],
    }


_COLUMNS = ", ".join(column.name for column in models.NotificationHistory.__table__.columns)
_MOVE_TO_HISTORY = text(
    f"""
    WITH old AS (
        SELECT id FROM notifications
        WHERE service_id = :service_id AND notification_type = CAST(:channel AS notification_type)
            AND created_at < :before
            AND NOT (
                notification_type = 'letter' AND notification_status IN ('pending-virus-check', 'created', 'sending')
            )
        ORDER BY created_at LIMIT :batch FOR UPDATE SKIP LOCKED
    ), deleted AS (
        DELETE FROM notifications USING old WHERE notifications.id = old.id RETURNING notifications.*
    ), inserted AS (
        INSERT INTO notification_history ({_COLUMNS})
        SELECT {_COLUMNS} FROM deleted WHERE key_type <> 'test'
        ON CONFLICT (id) DO NOTHING
    )
    SELECT count(*) FROM deleted
    """  # noqa: S608 - made of the names of columns
)


async def move_to_history(
    tx: AsyncSession, actor: Actor, expired: ExpiredMessages, *, batch_size: int = MESSAGES_PER_BATCH
) -> int:
    """Move a batch to the history, without recipient, values and sender; returns how many, 0 when none is left.

    Letters that are not sent and locked rows are skipped; existing history rows are not changed. It is one statement,
    so that a statement which reads both tables finds each message once.
    """
    actor.require_platform_admin()
    count: int = (await tx.execute(_MOVE_TO_HISTORY, expired._asdict() | {"batch": batch_size})).scalar_one()
    return count


class ExpiredJob(NamedTuple):
    """A finished job whose messages are past their retention."""

    service_id: UUID
    id: UUID


_FIND_EXPIRED_JOBS = text(
    f"""
    SELECT jobs.service_id, jobs.id
    FROM jobs JOIN templates ON templates.id = jobs.template_id
    JOIN (SELECT services.id AS service_id, channel.name AS channel, cutoff.before FROM {_RETENTION_CUTOFFS}) AS expiry
        ON expiry.service_id = jobs.service_id AND CAST(expiry.channel AS text) = CAST(templates.template_type AS text)
    WHERE NOT jobs.archived AND coalesce(jobs.scheduled_for, jobs.created_at) < expiry.before
        AND jobs.job_status NOT IN ('scheduled', 'pending', 'in progress', 'error')
    ORDER BY jobs.created_at, jobs.id LIMIT {JOBS_PER_BATCH}
    """  # noqa: S608 - made of constants
)


async def find_expired_jobs(tx: AsyncSession, actor: Actor) -> list[ExpiredJob]:
    """Jobs whose lists are to be deleted; call `archive_jobs` afterwards."""
    actor.require_platform_admin()
    return [ExpiredJob(*row) for row in await tx.execute(_FIND_EXPIRED_JOBS, _cutoff_parameters())]


async def archive_jobs(tx: AsyncSession, actor: Actor, jobs: Sequence[ExpiredJob]) -> None:
    """Mark jobs whose lists are deleted; their counts stay."""
    actor.require_platform_admin()
    ids = [job.id for job in jobs]
    await tx.execute(text("UPDATE jobs SET archived = true WHERE id = ANY(CAST(:ids AS uuid[]))"), {"ids": ids})
