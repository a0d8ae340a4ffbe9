"""How the system is, for platform admins."""

from datetime import datetime, timedelta
from typing import Any, Self

import strawberry

from graphql_api.enums import Channel
from graphql_api.errors import BadRequest
from graphql_api.limits import points
from graphql_api.models import utcnow
from loaders import health as loaders
from schema.core import Info, value_object
from schema.ranges import DateTimeRangeInput

DEFAULT_HISTORY, MAX_HISTORY = timedelta(hours=1), timedelta(days=1)
MAX_GRAPHQL_INT = 2**31 - 1


@value_object
class QueueHealth:
    """State of one queue."""

    name: str
    """Name."""
    depth: int
    """Tasks waiting."""
    oldest_age_seconds: float | None
    """Age of the oldest one; null when empty."""


@value_object
class ProviderHealth:
    """State of one provider at one moment."""

    identifier: str
    """Short name."""
    channel: Channel
    """What it delivers."""
    active: bool
    """Whether it was used."""
    priority: int
    """Weight."""
    slow_fraction: float | None
    """Share of messages slower than the threshold."""
    errors_in_last_minute: int | None
    """Errors in the minute before."""


@value_object
class HealthSnapshot:
    """Measures taken at one moment."""

    taken_at: datetime
    """When."""
    database_ok: bool
    """Whether the database answered."""
    database_connections_in_use: int
    """Connections doing work."""
    database_connections_total: int
    """Connections open."""
    database_latency_milliseconds: float | None
    """Time of a trivial query."""
    queues: list[QueueHealth]
    """One per queue."""
    providers: list[ProviderHealth]
    """One per provider."""
    cpu_fraction: float | None
    """Share of processor time in use, from 0 to 1."""
    memory_bytes: float | None
    """Memory in use."""

    @classmethod
    def of(cls, row: Any) -> Self:
        """A snapshot as it was kept."""
        return cls(
            taken_at=row.taken_at,
            database_ok=row.database_ok,
            database_connections_in_use=row.connections_in_use,
            database_connections_total=row.connections_total,
            database_latency_milliseconds=row.latency_ms,
            queues=[
                QueueHealth(name=one["name"], depth=one["depth"], oldest_age_seconds=one["oldest_seconds"])
                for one in row.queues
            ],
            providers=[
                ProviderHealth(
                    identifier=one["identifier"],
                    channel=Channel(one["channel"]),
                    active=one["active"],
                    priority=one["priority"],
                    slow_fraction=one["slow_fraction"],
                    errors_in_last_minute=one.get("errors"),
                )
                for one in row.providers
            ],
            cpu_fraction=row.cpu_fraction,
            memory_bytes=row.memory_bytes,
        )


@value_object
class RowCountAlert:
    """A table whose row count moved more than expected."""

    table: str
    """Name of the table."""
    previous_count: int
    """Rows before."""
    current_count: int
    """Rows now."""
    taken_at: datetime
    """When they were counted."""

    @classmethod
    def of(cls, row: Any) -> Self:
        """The last two counts of a table; GraphQL's integers end before the largest tables do."""
        return cls(
            table=row.table_name,
            previous_count=min(row.before, MAX_GRAPHQL_INT),
            current_count=min(row.row_count, MAX_GRAPHQL_INT),
            taken_at=row.taken_at,
        )


@value_object
class SystemHealth:
    """State of the running system."""

    @strawberry.field(description="Latest snapshot; null before the first.")
    async def latest(self, info: Info) -> HealthSnapshot | None:
        """The latest snapshot."""
        row = await info.context.loaders.batch(loaders.latest, None)
        return None if row is None else HealthSnapshot.of(row)

    @strawberry.field(
        description="Snapshots, one a minute, oldest first; the last hour when left out, a day at most.",
        metadata=points.weight(100),
    )
    async def history(self, info: Info, range: DateTimeRangeInput | None = None) -> list[HealthSnapshot]:
        """The snapshots of a stretch of time."""
        rows = await info.context.loaders.batch(loaders.history, _time_range(range))
        return [HealthSnapshot.of(row) for row in rows]

    @strawberry.field(
        description="Tables whose row count moved more than expected since the snapshot before.",
        metadata=points.weight(10),
    )
    async def row_count_alerts(self, info: Info) -> list[RowCountAlert]:
        """Tables that moved by more than a twentieth, and by more than a hundred rows."""
        rows = await info.context.loaders.batch(loaders.row_count_alerts, None)
        return [RowCountAlert.of(row) for row in rows]


def _time_range(range: DateTimeRangeInput | None) -> loaders.TimeRange:
    """The time asked for; an end left out is now, a beginning left out an hour before the end."""
    values = range.values() if range else {}
    until = values.get("to") or utcnow()
    since = values.get("from_") or until - DEFAULT_HISTORY
    if not timedelta() <= until - since <= MAX_HISTORY:
        raise BadRequest("Ask for a day of snapshots at most, from its beginning to its end.")
    return loaders.TimeRange(since, until)


@strawberry.type
class SystemHealthQueries:
    """The part of Query that tells how the system is."""

    @strawberry.field(description="State of database, queues and providers; platform admins only.")
    async def system_health(self, info: Info) -> SystemHealth | None:
        """What the worker has measured."""
        info.context.actor.require_platform_admin()
        return SystemHealth()
