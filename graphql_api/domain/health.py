"""Health of the system: measurements of queue, messages, providers and connections, and their stored snapshots.

The reads are here and not in the loaders, because they measure the whole database over a plain connection, without an
actor, for metrics and snapshots; no GraphQL field reads them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, text

from graphql_api import models
from graphql_api.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    from graphql_api.auth.actors import Actor

SNAPSHOT_RETENTION = timedelta(days=30)
TABLE_COUNT_RETENTION = timedelta(days=400)

COUNTED_TABLES = (
    "annual_billing",
    "api_keys",
    "ft_billing",
    "ft_notification_status",
    "jobs",
    "notification_history",
    "notifications",
    "organisation",
    "permissions",
    "service_contact_list",
    "services",
    "template_folder",
    "templates",
    "user_to_service",
    "users",
)
"""Tables whose rows are counted nightly."""


class QueuedTasks(NamedTuple):
    """Queued tasks of one kind."""

    task: str
    waiting: int
    "Due, and not running."
    later: int
    running: int
    held: int
    "Failed too often; some are queued again later."
    oldest_seconds: float | None
    "Seconds since the oldest waiting task was due."


_QUEUE = text(
    """
    SELECT entrypoint AS task,
        count(*) FILTER (WHERE status = 'queued' AND execute_after <= now()) AS waiting,
        count(*) FILTER (WHERE status = 'queued' AND execute_after > now()) AS later,
        count(*) FILTER (WHERE status = 'picked') AS running,
        count(*) FILTER (WHERE status = 'failed') AS held,
        extract(epoch FROM
            now() - min(execute_after) FILTER (WHERE status = 'queued' AND execute_after <= now())
        )::float AS oldest_seconds
    FROM pgqueuer WHERE entrypoint = ANY(CAST(:tasks AS text[])) GROUP BY entrypoint
    """
)


async def queued_tasks(connection: AsyncConnection) -> list[QueuedTasks]:
    """Every kind of task, in the order of their names."""
    rows = await connection.execute(_QUEUE, {"tasks": [task.value for task in Task]})
    queued_by_task = {row.task: QueuedTasks(*row) for row in rows}
    return [queued_by_task.get(task.value, QueuedTasks(task.value, 0, 0, 0, 0, None)) for task in sorted(Task)]


class MessageCount(NamedTuple):
    """The number of messages of one channel in one status."""

    channel: str
    status: str
    messages: int


_MESSAGES = text(
    """
    SELECT notification_type, notification_status, count(*) FROM notifications
    WHERE created_at >= timezone('utc', now()) - interval '1 hour'
    GROUP BY notification_type, notification_status ORDER BY 1, 2
    """
)


async def recent_message_counts(connection: AsyncConnection) -> list[MessageCount]:
    """Messages created within the last hour, by channel and status."""
    return [MessageCount(*row) for row in await connection.execute(_MESSAGES)]


# A minimum per channel is read from the end of an index.
_UNSENT = text(
    """
    SELECT channel, extract(epoch FROM timezone('utc', now()) - oldest)::float
    FROM (VALUES ('sms'), ('email')) AS channels (channel) CROSS JOIN LATERAL (
        SELECT min(created_at) AS oldest FROM notifications
        WHERE notification_type = channel::notification_type AND notification_status = 'created'
    ) AS waiting
    WHERE oldest IS NOT NULL
    """
)


async def oldest_unsent_seconds(connection: AsyncConnection) -> dict[str, float]:
    """Age in seconds of the oldest message in status CREATED, by channel, without letters."""
    return {row[0]: row[1] for row in await connection.execute(_UNSENT)}


_LAST_RUNS = text(
    """
    SELECT entrypoint, extract(epoch FROM now() - coalesce(last_run, created))::float
    FROM pgqueuer_schedules ORDER BY entrypoint
    """
)


async def seconds_since_last_runs(connection: AsyncConnection) -> dict[str, float]:
    """Seconds since each scheduled task last ran, or since it was first scheduled."""
    return {row[0]: row[1] for row in await connection.execute(_LAST_RUNS)}


_CONNECTIONS = text(
    """
    SELECT count(*) FILTER (WHERE state <> 'idle' AND pid <> pg_backend_pid()) AS in_use, count(*) AS total
    FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
    """
)


async def connection_counts(connection: AsyncConnection) -> tuple[int, int]:
    """Client connections to this database: those in use, without this one, and all."""
    row = (await connection.execute(_CONNECTIONS)).one()
    return row.in_use, row.total


# Slow: not delivered within five minutes.
_PROVIDERS = text(
    """
    WITH handed_over AS (
        SELECT sent_by, notification_type, avg((
            CASE WHEN notification_status = 'delivered' THEN updated_at ELSE timezone('utc', now()) END
                - sent_at >= interval '5 minutes'
        )::int)::float AS slow
        FROM notifications
        WHERE created_at >= timezone('utc', now()) - interval '15 minutes' AND sent_at IS NOT NULL
            AND key_type <> 'test' AND notification_status IN ('delivered', 'pending', 'sending')
        GROUP BY sent_by, notification_type
    )
    SELECT provider.identifier, provider.notification_type AS channel, provider.active, provider.priority,
        handed_over.slow AS slow_fraction
    FROM provider_details AS provider
    LEFT JOIN handed_over ON handed_over.sent_by = provider.identifier
        AND handed_over.notification_type = provider.notification_type
    ORDER BY provider.notification_type, provider.identifier
    """
)


async def provider_health(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Each provider, and the fraction of its messages of the last 15 minutes that were slow; None without messages."""
    return [dict(row) for row in (await connection.execute(_PROVIDERS)).mappings()]


async def store_snapshot(tx: AsyncSession, actor: Actor, snapshot: models.HealthSnapshot) -> None:
    """Store a snapshot, and delete expired ones."""
    actor.require_platform_admin()
    tx.add(snapshot)
    await tx.execute(
        delete(models.HealthSnapshot).where(models.HealthSnapshot.taken_at < snapshot.taken_at - SNAPSHOT_RETENTION)
    )


async def count_rows(tx: AsyncSession, actor: Actor, table: str, *, taken_at: datetime, timeout_seconds: int) -> int:
    """Count a table of `COUNTED_TABLES`, and store the result; cancelled after `timeout_seconds`."""
    actor.require_platform_admin()
    if table not in COUNTED_TABLES:
        raise ValueError(table)
    await tx.execute(text(f"SET LOCAL statement_timeout = '{timeout_seconds:d}s'"))
    count = (await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()  # noqa: S608 - one of `COUNTED_TABLES`
    tx.add(models.TableCount(table_name=table, taken_at=taken_at, row_count=count))
    return int(count)


async def delete_old_counts(tx: AsyncSession, actor: Actor, *, before: datetime) -> None:
    """Delete counts that are past their retention before this moment."""
    actor.require_platform_admin()
    await tx.execute(delete(models.TableCount).where(models.TableCount.taken_at < before - TABLE_COUNT_RETENTION))


def queue_to_json(tasks: QueuedTasks) -> Mapping[str, Any]:
    """A queue, in the form of a snapshot."""
    return {"name": tasks.task, "depth": tasks.waiting, "oldest_seconds": tasks.oldest_seconds}


class LiveCounts(NamedTuple):
    """Services that are live, and organisations that have any."""

    services: int
    organisations: int


_LIVE_COUNTS = text(
    """
    SELECT count(*) AS services, count(DISTINCT service.organisation_id) FILTER (WHERE organisation.active)
        AS organisations
    FROM services AS service LEFT JOIN organisation ON organisation.id = service.organisation_id
    WHERE service.active AND NOT service.restricted AND service.count_as_live
    """
)


async def live_counts(connection: AsyncConnection) -> LiveCounts:
    """Live services and their organisations, for Notify's status page."""
    return LiveCounts(*(await connection.execute(_LIVE_COUNTS)).one())


async def schema_revision(connection: AsyncConnection) -> str | None:
    """The migration that the database is at; None before the first."""
    if await connection.scalar(text("SELECT to_regclass('graphql_api_version') IS NULL")):
        return None
    revision: str | None = await connection.scalar(text("SELECT version_num FROM graphql_api_version"))
    return revision
