"""Health snapshots, taken every minute, and counts of rows, taken every night."""

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
from graphql_api.observability.error_descriptions import describe_error

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.database.database import Database
    from graphql_api.worker.context import WorkerContext

TABLE_COUNT_TIMEOUT_SECONDS = 600
"""Statement timeout of counting one table."""
CPU_SAMPLE_SECONDS = 1.0
"""Time over which the use of the processor is measured."""

log = structlog.get_logger(__name__)


async def take_snapshot(worker: WorkerContext) -> None:
    """Measure the system, and store a snapshot; processor and memory are those of the worker's machine."""
    taken_at = utcnow()
    measurements = await _measure(worker.database)
    before = _read_cpu_times()
    await asyncio.sleep(CPU_SAMPLE_SECONDS)
    snapshot = HealthSnapshot(
        taken_at=taken_at,
        cpu_fraction=_cpu_fraction(before, _read_cpu_times()),
        memory_bytes=_memory_bytes(),
        **measurements,
    )
    async with worker.database.transaction() as tx:
        await health.store_snapshot(tx, worker.actor, snapshot)


async def _measure(database: Database) -> dict[str, Any]:
    """Measurements of the database; `database_ok` is false if it does not respond."""

    async def read(connection: AsyncConnection) -> dict[str, Any]:
        started_at = time.perf_counter()
        await connection.execute(text("SELECT 1"))
        latency = time.perf_counter() - started_at
        in_use, total = await health.connection_counts(connection)
        return {
            "database_ok": True,
            "connections_in_use": in_use,
            "connections_total": total,
            "latency_ms": round(latency * 1_000, 3),
            "queues": [health.queue_to_json(tasks) for tasks in await health.queued_tasks(connection)],
            "providers": await health.provider_health(connection),
        }

    try:
        return await database.read(read)
    except Unavailable as error:
        log.warning("database not available", **describe_error(error))
        return {"database_ok": False, "connections_in_use": 0, "connections_total": 0, "queues": [], "providers": []}


async def count_rows(worker: WorkerContext) -> None:
    """Count the rows of `COUNTED_TABLES`; tables that time out are skipped."""
    taken_at = utcnow()
    for table in health.COUNTED_TABLES:
        if worker.stopping.is_set():
            return
        try:
            async with worker.database.transaction() as tx:
                await health.count_rows(
                    tx, worker.actor, table, taken_at=taken_at, timeout_seconds=TABLE_COUNT_TIMEOUT_SECONDS
                )
        except Unavailable as error:
            log.warning("rows not counted", table=table, **describe_error(error))
    async with worker.database.transaction() as tx:
        await health.delete_old_counts(tx, worker.actor, before=taken_at)


class CpuTimes(NamedTuple):
    """Processor time of the machine since boot, in ticks."""

    idle_ticks: int
    total_ticks: int


def _read_cpu_times() -> CpuTimes | None:
    """Read `/proc/stat`; None without it."""
    try:
        ticks = [int(part) for part in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    return CpuTimes(idle_ticks=ticks[3] + ticks[4], total_ticks=sum(ticks))


def _cpu_fraction(before: CpuTimes | None, after: CpuTimes | None) -> float | None:
    """The fraction of processor time in use between two samples, from 0 to 1."""
    if before is None or after is None or after.total_ticks <= before.total_ticks:
        return None
    return round(
        min(max(1 - (after.idle_ticks - before.idle_ticks) / (after.total_ticks - before.total_ticks), 0), 1), 4
    )


def _memory_bytes() -> int | None:
    """Memory of the machine in use, from `/proc/meminfo`; None without it."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
        return (sizes["MemTotal"] - sizes["MemAvailable"]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None
