"""Processor time, memory and statements, as the kernel and PostgreSQL count them."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Sequence

CLOCK_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
BYTES_PER_MEGABYTE = 1 << 20


def cpu_seconds(pid: int) -> float:
    """Processor time of a process with all its threads, in seconds."""
    fields = _process_stat(pid)
    return (int(fields[11]) + int(fields[12])) * CLOCK_TICK_SECONDS


def children_cpu_seconds(pid: int) -> float:
    """Processor time of the children of a process, including those that have ended, in seconds."""
    parent = _process_stat(pid)
    total = (int(parent[13]) + int(parent[14])) * CLOCK_TICK_SECONDS
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = _process_stat(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid:
                total += (int(fields[11]) + int(fields[12])) * CLOCK_TICK_SECONDS
    return total


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process, in megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / BYTES_PER_MEGABYTE
    return 0.0


def _process_stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat after the name, which may contain any characters."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@dataclass
class Measurement:
    """Results of one server for one scenario and concurrency, over all turns."""

    rates: list[float] = field(default_factory=list)
    """Responses per second of each turn."""
    latencies: list[float] = field(default_factory=list)
    """Seconds until each response."""
    failures: int = 0
    server_cpu_seconds: float = 0.0
    """Seconds of processor time of the server."""
    database_cpu_seconds: float = 0.0
    """Seconds of processor time of PostgreSQL."""
    statements: float | None = None
    """Statements per request."""
    note: str = ""
    """Reason why nothing was measured."""

    @property
    def median_rate(self) -> float:
        """Median over the turns, in responses per second."""
        return statistics.median(self.rates) if self.rates else 0.0

    @property
    def server_cpu_ms(self) -> float:
        """The server's processor time per request, in milliseconds."""
        return 1_000 * self.server_cpu_seconds / len(self.latencies) if self.latencies else 0.0

    @property
    def database_cpu_ms(self) -> float:
        """PostgreSQL's processor time per request, in milliseconds."""
        return 1_000 * self.database_cpu_seconds / len(self.latencies) if self.latencies else 0.0

    def latency_ms(self, fraction: float) -> float:
        """Quantile of the latencies, in milliseconds."""
        return 1_000 * quantile(self.latencies, fraction) if self.latencies else 0.0


def quantile(values: Sequence[float], fraction: float) -> float:
    """The value that this fraction of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def ratio(measured: Measurement, baseline: Measurement) -> float | None:
    """Median over the turns of the rate divided by that of the baseline; None without turns."""
    ratios = [rate / base for rate, base in zip(measured.rates, baseline.rates, strict=False) if base]
    return statistics.median(ratios) if ratios else None


class StatementCounter:
    """The counter of pg_stat_statements, which is off during measurements of time."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def start(self) -> None:
        """Start counting, from zero."""
        await self._set_tracking("top")

    async def stop(self) -> None:
        """Stop counting."""
        await self._set_tracking("none")

    async def take_count(self) -> int:
        """Number of statements since the last call, without BEGIN and COMMIT."""
        connection = await asyncpg.connect(self._url)
        try:
            count = await connection.fetchval(
                """
                SELECT coalesce(sum(calls), 0)::bigint FROM benchmark.pg_stat_statements
                WHERE query NOT LIKE '%pg_stat_statements%'
                """
            )
            await connection.execute("SELECT benchmark.pg_stat_statements_reset()")
        finally:
            await connection.close()
        return int(count)

    async def _set_tracking(self, tracked: str) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute("ALTER SYSTEM SET pg_stat_statements.track_utility = off")
            await connection.execute(f"ALTER SYSTEM SET pg_stat_statements.track = '{tracked}'")
            await connection.execute("SELECT pg_reload_conf()")
            await connection.execute("SELECT benchmark.pg_stat_statements_reset()")
        finally:
            await connection.close()
