"""Reads of health snapshots and row counts, which only platform admins see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, select

from graphql_api.auth.visibility import visibility_scope
from graphql_api.models import HealthSnapshot, TableCount
from loaders.core import batch, visible_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

ALERT_MIN_CHANGE_FRACTION = 0.05
"""Fraction of a table's rows; a smaller change from one count to the next gives no alert."""
ALERT_MIN_CHANGE_ROWS = 100
"""Number of rows; a smaller change gives no alert either."""
TABLES_ALLOWED_TO_SHRINK = ("notifications",)
"""Tables that may lose any number of rows: messages are deleted after their retention period."""


class TimeRange(NamedTuple):
    """A range of instants in naive UTC: `since` is included, `until` is not."""

    since: datetime
    until: datetime


_SNAPSHOT_STATEMENT = select(*HealthSnapshot.__table__.columns)


@batch(key=lambda _: 0)
async def latest(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, Any]:
    """The latest snapshot."""
    visible = visible_rows(_SNAPSHOT_STATEMENT, HealthSnapshot, visibility_scope(actor))
    rows = await connection.execute(visible.order_by(HealthSnapshot.taken_at.desc()).limit(1))
    return dict.fromkeys(keys, rows.first())


@batch(default_factory=list)
async def history(
    connection: AsyncConnection, actor: Actor, keys: Sequence[TimeRange]
) -> Mapping[TimeRange, list[Any]]:
    """Snapshots of ranges of time, the earliest first."""
    snapshots = {}
    for time_range in keys:
        statement = visible_rows(_SNAPSHOT_STATEMENT, HealthSnapshot, visibility_scope(actor)).where(
            HealthSnapshot.taken_at >= time_range.since, HealthSnapshot.taken_at < time_range.until
        )
        snapshots[time_range] = list((await connection.execute(statement.order_by(HealthSnapshot.taken_at))).all())
    return snapshots


@batch(key=lambda _: 0, default_factory=list)
async def row_count_alerts(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, Any]:
    """Tables whose latest count differs from the one before by more than both alert limits."""
    earlier = TableCount.taken_at.desc()
    counts = visible_rows(
        select(
            TableCount.table_name,
            TableCount.taken_at,
            TableCount.row_count,
            func.lead(TableCount.row_count).over(partition_by=TableCount.table_name, order_by=earlier).label("before"),
            func.row_number().over(partition_by=TableCount.table_name, order_by=earlier).label("place"),
        ),
        TableCount,
        visibility_scope(actor),
    ).subquery()
    change = func.abs(counts.c.row_count - counts.c.before)
    statement = (
        select(counts.c.table_name, counts.c.taken_at, counts.c.row_count, counts.c.before)
        .where(
            counts.c.place == 1,
            change > ALERT_MIN_CHANGE_ROWS,
            change > ALERT_MIN_CHANGE_FRACTION * counts.c.before,
            counts.c.table_name.not_in(TABLES_ALLOWED_TO_SHRINK) | (counts.c.row_count > counts.c.before),
        )
        .order_by(counts.c.table_name)
    )
    rows = (await connection.execute(statement)).all()
    return {key: list(rows) for key in keys}
