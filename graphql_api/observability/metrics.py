"""What Prometheus is told: operations, requests and connections; and of the whole service, its queue and messages.

Where several processes serve, each counts in files of its own in the folder `PROMETHEUS_MULTIPROC_DIR`, and whichever
is asked adds them up. Nothing here names a person or a service: labels are words of ours, and names of operations.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy import event

from graphql_api.observability import operation_stats

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from prometheus_client.core import Metric

    from graphql_api.auth.actors import Actor
    from graphql_api.database.database import Database
    from graphql_api.observability.operation_stats import Tally

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
NAMES = 100
"""Different operation names that are told apart; any more are counted together."""
NAMES_OF_A_CALLER = 20
"""How many of them one caller can bring in, lest whoever makes names up takes the place of all others."""
LONGEST_NAME = 60
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
STATEMENTS = (0, 1, 2, 3, 5, 8, 13, 20, 30, 50)
OTHERS, UNNAMED = "(other)", "(unnamed)"
OK, ERRORS, REFUSED = "ok", "errors", "refused"
"""Outcomes: all is well, some fields failed, or the whole operation was refused."""

BOOKKEEPING = ("SAVEPOINT", "RELEASE", "ROLLBACK")

PATHS = frozenset(
    {"/", "/graphql", "/metrics", "/uploads", "/_status", "/_status/live-service-and-organisation-counts"}
)
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})

_NAMED = re.compile(r"\s*(?:query|mutation|subscription)\s+([_A-Za-z]\w*)", re.ASCII)


class _Kept:
    """What is yet to be added to a series: adding one by one would take ten times as long."""

    __slots__ = ("_bounds", "_counts", "_series", "_sum")

    def __init__(self, series: Histogram, bounds: tuple[float, ...]) -> None:
        self._series = series
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, amount: float) -> None:
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._sum += amount

    def write(self) -> None:
        # Prometheus' own client has no word for many at once.
        for bucket, count in zip(self._series._buckets, self._counts, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)
        self._series._sum.inc(self._sum)  # noqa: SLF001
        self._counts = [0] * len(self._counts)
        self._sum = 0.0


class Metrics:
    """What one process has answered."""

    def __init__(self, database: Database) -> None:
        """Begin at nothing."""
        self.registry = CollectorRegistry()
        self._names: dict[str, UUID | None] = {}
        self._counts: dict[tuple[Counter, tuple[str, ...]], int] = defaultdict(int)
        self._kept: dict[tuple[Histogram, str], _Kept] = {}
        self._operations = Counter(
            "graphql_operations", "Operations answered.", ["operation", "outcome"], registry=self.registry
        )
        self._seconds = Histogram(
            "graphql_operation_seconds",
            "How long operations took.",
            ["operation"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._statements = Histogram(
            "graphql_operation_statements",
            "SQL statements that operations took.",
            ["operation"],
            buckets=STATEMENTS,
            registry=self.registry,
        )
        self._answers = Counter(
            "http_requests", "Requests answered.", ["path", "method", "status"], registry=self.registry
        )
        self._answer_seconds = Histogram(
            "http_request_seconds",
            "How long requests took, until the last byte of the answer.",
            ["path"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._rejected = Counter(
            "http_rejected", "Requests that never became an operation.", ["status"], registry=self.registry
        )
        self._pools = database.pools
        self._gauges: dict[str, Gauge] = {}
        if not _folder():
            self.registry.register(self._pools)
            GCCollector(registry=self.registry)
            ProcessCollector(registry=self.registry)
        for engine in {database.primary, database.bulk}:
            event.listen(engine.sync_engine, "before_cursor_execute", _count_statement)

    def answered(self, actor: Actor, name: str | None, query: str, outcome: str, seconds: float, told: Tally) -> None:
        """Count an operation, under its name in the document or the request."""
        label = self._label(name, query, outcome, actor)
        self._counts[self._operations, (label, outcome)] += 1
        self._observe(self._seconds, label, seconds, BUCKETS)
        self._observe(self._statements, label, told.statements, STATEMENTS)

    def responded(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        if path not in PATHS:
            path = "/assets" if path.startswith("/assets/") else OTHERS
        self._counts[self._answers, (path, method if method in METHODS else OTHERS, str(status))] += 1
        self._observe(self._answer_seconds, path, seconds, BUCKETS)

    def rejected(self, status: int, count: int = 1) -> None:
        """Count requests that were no operation."""
        if count:
            self._counts[self._rejected, (str(status),)] += count

    def refresh(self) -> None:
        """Write down what has been counted, for the other processes of this server as well."""
        counts, self._counts = self._counts, defaultdict(int)
        for (counter, labels), count in counts.items():
            counter.labels(*labels).inc(count)
        for kept in self._kept.values():
            kept.write()
        if not _folder():
            return
        for family in self._pools.collect():
            if family.type != "gauge":
                continue
            for sample in family.samples:
                if sample.name not in self._gauges:
                    self._gauges[sample.name] = Gauge(
                        sample.name,
                        family.documentation,
                        list(sample.labels),
                        multiprocess_mode="livesum",
                        registry=self.registry,
                    )
                self._gauges[sample.name].labels(**sample.labels).set(sample.value)

    def text(self, service: Iterable[Metric] = ()) -> bytes:
        """Everything, as Prometheus reads it, and what is told of the whole service."""
        self.refresh()
        registry = self.registry
        if folder := _folder():
            registry = CollectorRegistry()
            for process in _gone(folder):
                mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
            MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
        shared = CollectorRegistry()
        shared.register(_Given(service))
        return generate_latest(registry) + generate_latest(shared)

    def _observe(self, series: Histogram, label: str, amount: float, bounds: tuple[float, ...]) -> None:
        kept = self._kept.get((series, label))
        if kept is None:
            kept = self._kept[series, label] = _Kept(series.labels(label), bounds)
        kept.observe(amount)

    def _label(self, name: str | None, query: str, outcome: str, actor: Actor) -> str:
        if not name:
            match = _NAMED.match(query)
            name = match[1] if match else UNNAMED
        if name in self._names or name == UNNAMED:
            return name
        # What was refused may have any text for a name. All who are not signed in are one caller here.
        if outcome == REFUSED or len(self._names) >= NAMES or len(name) > LONGEST_NAME:
            return OTHERS
        caller = actor.api_key_id or actor.user_id
        if list(self._names.values()).count(caller) >= NAMES_OF_A_CALLER:
            return OTHERS
        self._names[name] = caller
        return name


class _Given:
    """Measures that were taken already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families

    def describe(self) -> Iterable[Metric]:
        return ()


def _count_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if not statement.startswith(BOOKKEEPING):
        operation_stats.add(statements=1)


def _folder() -> Path | None:
    """Where the processes of a server count together; None for one that is alone."""
    folder = os.environ.get(FOLDER)
    return Path(folder) if folder else None


def _gone(folder: Path) -> set[int]:
    """Processes that have ended, and left what they held: their counts stay true, their connections do not."""
    processes = {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}
    return {process for process in processes if not _runs(process)}


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
