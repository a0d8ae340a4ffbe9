"""What things cost, as the kernel and PostgreSQL count it."""

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
    """Seconds of a core that a process has used, all its threads."""
    fields = _process_stat(pid)
    return (int(fields[11]) + int(fields[12])) * CLOCK_TICK_SECONDS


def children_cpu_seconds(pid: int) -> float:
    """Seconds of a core that the children of a process have used, those that have ended included."""
    ended = _process_stat(pid)
    total = (int(ended[13]) + int(ended[14])) * CLOCK_TICK_SECONDS
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
    """Megabytes of a process that are in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / BYTES_PER_MEGABYTE
    return 0.0


def _process_stat(pid: int) -> list[str]:
    """The fields of /proc/pid/stat after the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@dataclass
class Measurement:
    """What one server did with one question at one concurrency, over all its turns."""

    rates: list[float] = field(default_factory=list)
    """Answers a second, of each turn."""
    latencies: list[float] = field(default_factory=list)
    """Seconds, of each answer."""
    failures: int = 0
    server_cpu_seconds: float = 0.0
    """Seconds of processor time of the server."""
    database_cpu_seconds: float = 0.0
    """Seconds of processor time of PostgreSQL."""
    statements: float | None = None
    """Statements for each request."""
    note: str = ""
    """Why nothing was measured, where nothing was."""

    @property
    def median_rate(self) -> float:
        """Median of the turns' answers a second."""
        return statistics.median(self.rates) if self.rates else 0.0

    @property
    def server_cpu_ms(self) -> float:
        """Milliseconds of the server's processor time a request."""
        return 1_000 * self.server_cpu_seconds / len(self.latencies) if self.latencies else 0.0

    @property
    def database_cpu_ms(self) -> float:
        """Milliseconds of PostgreSQL's processor time a request."""
        return 1_000 * self.database_cpu_seconds / len(self.latencies) if self.latencies else 0.0

    def latency_ms(self, fraction: float) -> float:
        """Milliseconds within which this share of the answers came."""
        return 1_000 * quantile(self.latencies, fraction) if self.latencies else 0.0


def quantile(values: Sequence[float], fraction: float) -> float:
    """The value that this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


def ratio(one: Measurement, other: Measurement) -> float | None:
    """How many times as fast one is as the other: the median over turns, which were next to each other."""
    pairs = [a / b for a, b in zip(one.rates, other.rates, strict=False) if b]
    return statistics.median(pairs) if pairs else None


class StatementCounter:
    """PostgreSQL's own count of statements, which is off while time is taken."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def start(self) -> None:
        """Count from nothing."""
        await self._set_tracking("top")

    async def stop(self) -> None:
        """Count no more."""
        await self._set_tracking("none")

    async def take_count(self) -> int:
        """How many there have been since the last call, BEGIN and COMMIT left out."""
        connection = await asyncpg.connect(self._url)
        try:
            found = await connection.fetchval(
                """
                SELECT coalesce(sum(calls), 0)::bigint FROM benchmark.pg_stat_statements
                WHERE query NOT LIKE '%pg_stat_statements%'
                """
            )
            await connection.execute("SELECT benchmark.pg_stat_statements_reset()")
        finally:
            await connection.close()
        return int(found)

    async def _set_tracking(self, tracked: str) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute("ALTER SYSTEM SET pg_stat_statements.track_utility = off")
            await connection.execute(f"ALTER SYSTEM SET pg_stat_statements.track = '{tracked}'")
            await connection.execute("SELECT pg_reload_conf()")
            await connection.execute("SELECT benchmark.pg_stat_statements_reset()")
        finally:
            await connection.close()
