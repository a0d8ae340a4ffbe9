"""The health of the system, for platform admins."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Self, TypeAlias

import strawberry

from graphql_api.enums import Channel
from graphql_api.errors import BadRequest
from graphql_api.limits import points
from graphql_api.models import utcnow
from loaders import health as loaders
from schema.core import Info, value_object
from schema.ranges import DateTimeRangeInput

DEFAULT_HISTORY_DURATION, MAX_HISTORY_DURATION = timedelta(hours=1), timedelta(days=1)
MAX_GRAPHQL_INT = 2**31 - 1


@value_object
class QueueHealth:
    """State of one queue."""

    name: str
    """Name of the queue."""
    depth: int
    """Number of waiting tasks."""
    oldest_age_seconds: float | None
    """Age of the oldest waiting task; null when there is none."""


@value_object
class ProviderHealth:
    """State of one provider at the time of a snapshot."""

    identifier: str
    """Identifier of the provider, such as mmg."""
    channel: Channel
    """Channel that it delivers."""
    active: bool
    """Whether messages were given to it."""
    priority: int
    """Weight among the providers of its channel."""
    slow_fraction: float | None
    """Fraction of messages slower than the threshold, from 0 to 1."""
    errors_in_last_minute: int | None
    """Number of errors in the minute before."""


@value_object
class HealthSnapshot:
    """Measurements at one time."""

    taken_at: datetime
    """When it was taken."""
    database_ok: bool
    """Whether the database could be queried."""
    database_connections_in_use: int
    """Number of connections that run a statement."""
    database_connections_total: int
    """Number of open connections."""
    database_latency_milliseconds: float | None
    """Duration of a trivial query."""
    queues: list[QueueHealth]
    """State of each queue."""
    providers: list[ProviderHealth]
    """State of each provider."""
    cpu_fraction: float | None
    """Fraction of processor time in use, from 0 to 1."""
    memory_bytes: float | None
    """Memory in use, in bytes."""

    @classmethod
    def of(cls, row: Any) -> Self:
        """A stored snapshot."""
        return cls(
            taken_at=row.taken_at,
            database_ok=row.database_ok,
            database_connections_in_use=row.connections_in_use,
            database_connections_total=row.connections_total,
            database_latency_milliseconds=row.latency_ms,
            queues=[
                QueueHealth(name=queue["name"], depth=queue["depth"], oldest_age_seconds=queue["oldest_seconds"])
                for queue in row.queues
            ],
            providers=[
                ProviderHealth(
                    identifier=provider["identifier"],
                    channel=Channel(provider["channel"]),
                    active=provider["active"],
                    priority=provider["priority"],
                    slow_fraction=provider["slow_fraction"],
                    errors_in_last_minute=provider.get("errors"),
                )
                for provider in row.providers
            ],
            cpu_fraction=row.cpu_fraction,
            memory_bytes=row.memory_bytes,
        )


@value_object
class RowCountAlert:
    """A table whose row count changed more than expected."""

    table: str
    """Name of the table."""
    previous_count: int
    """Number of rows at the count before."""
    current_count: int
    """Number of rows at the latest count."""
    taken_at: datetime
    """When the rows were last counted."""

    @classmethod
    def of(cls, row: Any) -> Self:
        """The last two counts of a table, at most the largest Int of GraphQL."""
        return cls(
            table=row.table_name,
            previous_count=min(row.before, MAX_GRAPHQL_INT),
            current_count=min(row.row_count, MAX_GRAPHQL_INT),
            taken_at=row.taken_at,
        )


HistoryRange: TypeAlias = Annotated[
    DateTimeRangeInput | None,
    strawberry.argument(description="Time of the snapshots, at most one day; the last hour when left out."),
]


@value_object
class SystemHealth:
    """Health of the running system."""

    @strawberry.field(description="Latest snapshot; null before the first.")
    async def latest(self, info: Info) -> HealthSnapshot | None:
        """The latest snapshot."""
        row = await info.context.loaders.batch(loaders.latest, None)
        return None if row is None else HealthSnapshot.of(row)

    @strawberry.field(
        description="Snapshots, one per minute, earliest first.",
        metadata=points.weight(100),
    )
    async def history(self, info: Info, range: HistoryRange = None) -> list[HealthSnapshot]:
        """The snapshots of a range of time."""
        rows = await info.context.loaders.batch(loaders.history, _time_range(range))
        return [HealthSnapshot.of(row) for row in rows]

    @strawberry.field(
        description="Tables whose row count changed more than expected since the count before.",
        metadata=points.weight(10),
    )
    async def row_count_alerts(self, info: Info) -> list[RowCountAlert]:
        """Tables that changed by more than 5 %, and by more than 100 rows."""
        rows = await info.context.loaders.batch(loaders.row_count_alerts, None)
        return [RowCountAlert.of(row) for row in rows]


def _time_range(range: DateTimeRangeInput | None) -> loaders.TimeRange:
    """The range of time; its end is now when left out, its beginning an hour before the end."""
    values = range.values() if range else {}
    until = values.get("to") or utcnow()
    since = values.get("from_") or until - DEFAULT_HISTORY_DURATION
    if not timedelta() <= until - since <= MAX_HISTORY_DURATION:
        raise BadRequest("`range` must begin before it ends and be at most one day long.")
    return loaders.TimeRange(since, until)


@strawberry.type
class SystemHealthQueries:
    """The field of Query about the health of the system."""

    @strawberry.field(description="State of database, queues and providers; platform admins only.")
    async def system_health(self, info: Info) -> SystemHealth | None:
        """The worker's measurements; `Forbidden` except to platform admins."""
        info.context.actor.require_platform_admin()
        return SystemHealth()
