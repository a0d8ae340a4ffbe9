"""How the system is, measured once a minute, and how many rows its tables have, counted once a night."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from sqlalchemy import text

from graphql_api.domain import health
from graphql_api.errors import Unavailable
from graphql_api.models import HealthSnapshot, utcnow
from graphql_api.worker.faults import described

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.database.database import Database
    from graphql_api.worker.context import Work

OF_A_TABLE = 600
"""Seconds that counting one table may take."""
OBSERVED = 1.0
"""Seconds over which the processor is observed."""

log = structlog.get_logger(__name__)


async def take_snapshot(work: Work) -> None:
    """Measure the system, and keep that; the machine's figures are those of the worker's own."""
    taken_at = utcnow()
    measured = await _measure(work.database)
    before = _processor()
    await asyncio.sleep(OBSERVED)
    snapshot = HealthSnapshot(
        taken_at=taken_at, cpu_fraction=_busy(before, _processor()), memory_bytes=_memory(), **measured
    )
    async with work.database.transaction() as tx:
        await health.keep(tx, work.actor, snapshot)


async def _measure(database: Database) -> dict[str, Any]:
    """What the database tells; that it does not answer, where it does not."""

    async def read(connection: AsyncConnection) -> dict[str, Any]:
        since = time.perf_counter()
        await connection.execute(text("SELECT 1"))
        latency = time.perf_counter() - since
        in_use, total = await health.connections(connection)
        return {
            "database_ok": True,
            "connections_in_use": in_use,
            "connections_total": total,
            "latency_ms": round(latency * 1_000, 3),
            "queues": [health.as_json(tasks) for tasks in await health.queue(connection)],
            "providers": await health.providers(connection),
        }

    try:
        return await database.read(read)
    except Unavailable as error:
        log.warning("the database did not answer", **described(error))
        return {"database_ok": False, "connections_in_use": 0, "connections_total": 0, "queues": [], "providers": []}


async def count_rows(work: Work) -> None:
    """Count the rows of the tables that matter; one that takes too long is left out."""
    taken_at = utcnow()
    for table in health.COUNTED:
        if work.stopping.is_set():
            return
        try:
            async with work.database.transaction() as tx:
                await health.count_rows(tx, work.actor, table, taken_at=taken_at, seconds=OF_A_TABLE)
        except Unavailable as error:
            log.warning("rows not counted", table=table, **described(error))
    async with work.database.transaction() as tx:
        await health.forget_counts(tx, work.actor, before=taken_at)


class Processor(NamedTuple):
    """For how long the machine's processors have run, in ticks."""

    idle: int
    total: int


def _processor() -> Processor | None:
    """The processors' time as Linux tells it; None elsewhere."""
    try:
        ticks = [int(part) for part in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return Processor(idle=ticks[3] + ticks[4], total=sum(ticks))


def _busy(before: Processor | None, after: Processor | None) -> float | None:
    """The share of the time between that the processors were at work, from 0 to 1."""
    if before is None or after is None or after.total <= before.total:
        return None
    return round(min(max(1 - (after.idle - before.idle) / (after.total - before.total), 0), 1), 4)


def _memory() -> int | None:
    """Bytes of the machine's memory in use, as Linux tells it; None elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return (sizes["MemTotal"] - sizes["MemAvailable"]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None
