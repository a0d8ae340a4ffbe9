"""Prometheus metrics of a process: operations, requests and pools; rendered with metrics of the whole service.

With several processes, each writes files of its own in the folder `PROMETHEUS_MULTIPROC_DIR`, and the one that is
scraped adds them up. No label names a person or a service: labels are constants, and names of operations.
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

    from graphql_api.database.database import Database
    from graphql_api.observability.operation_stats import OperationStats

MULTIPROCESS_DIR_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
MAX_OPERATION_NAMES = 100
"""Operation names that become labels; all others share `OTHER_LABEL`."""
MAX_OPERATION_NAMES_PER_CALLER = 20
"""The share of one caller, so that generated names do not displace those of others."""
MAX_OPERATION_NAME_CHARACTERS = 60
DURATION_BUCKETS_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
STATEMENT_COUNT_BUCKETS = (0, 1, 2, 3, 5, 8, 13, 20, 30, 50)
OTHER_LABEL, UNNAMED_LABEL = "(other)", "(unnamed)"
OUTCOME_OK, OUTCOME_ERRORS, OUTCOME_REFUSED = "ok", "errors", "refused"
"""Outcomes: no errors, some fields failed, or the operation was refused."""
PLAN_PLANNED, PLAN_DECLINED, PLAN_FAILED = "planned", "declined", "failed"
"""Results of planning: the planner wrote the response, it left the operation to graphql-core, or it raised an error."""

SAVEPOINT_STATEMENT_PREFIXES = ("SAVEPOINT", "RELEASE", "ROLLBACK")

LABELLED_PATHS = frozenset(
    {"/", "/graphql", "/metrics", "/uploads", "/_status", "/_status/live-service-and-organisation-counts"}
)
LABELLED_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})

_NAME = re.compile(r"[_A-Za-z]\w*", re.ASCII)
_OPERATION_NAME = re.compile(r"\s*(?:query|mutation|subscription)\s+([_A-Za-z]\w*)", re.ASCII)


class _PendingObservations:
    """Observations of a histogram that are not flushed yet: flushing each by itself takes ten times as long."""

    __slots__ = ("_bounds", "_counts", "_series", "_sum")

    def __init__(self, series: Histogram, bounds: tuple[float, ...]) -> None:
        self._series = series
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, amount: float) -> None:
        self._counts[bisect_left(self._bounds, amount)] += 1
        self._sum += amount

    def flush(self) -> None:
        # The Prometheus client has no function for several observations.
        for bucket, count in zip(self._series._buckets, self._counts, strict=True):  # noqa: SLF001
            if count:
                bucket.inc(count)
        self._series._sum.inc(self._sum)  # noqa: SLF001
        self._counts = [0] * len(self._counts)
        self._sum = 0.0


class Metrics:
    """The metrics of one process."""

    def __init__(self, database: Database) -> None:
        self.registry = CollectorRegistry()
        self._operation_names: dict[str, UUID | None] = {}
        self._pending_counts: dict[tuple[Counter, tuple[str, ...]], int] = defaultdict(int)
        self._pending_observations: dict[tuple[Histogram, str], _PendingObservations] = {}
        self._operation_counter = Counter(
            "graphql_operations", "Operations by name and outcome.", ["operation", "outcome"], registry=self.registry
        )
        self._operation_seconds = Histogram(
            "graphql_operation_seconds",
            "Duration of operations in seconds.",
            ["operation"],
            buckets=DURATION_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._operation_statements = Histogram(
            "graphql_operation_statements",
            "SQL statements per operation.",
            ["operation"],
            buckets=STATEMENT_COUNT_BUCKETS,
            registry=self.registry,
        )
        self._plan_counter = Counter(
            "graphql_plans", "Operations offered to the planner, by result.", ["result"], registry=self.registry
        )
        self._request_counter = Counter(
            "http_requests",
            "HTTP requests by path, method and status.",
            ["path", "method", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "http_request_seconds",
            "Duration of HTTP requests in seconds, up to the last byte of the response.",
            ["path"],
            buckets=DURATION_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._rejection_counter = Counter(
            "http_rejected",
            "HTTP requests rejected before they became an operation.",
            ["status"],
            registry=self.registry,
        )
        self._pool_metrics = database.pool_metrics
        self._gauges: dict[str, Gauge] = {}
        if not _multiprocess_dir():
            self.registry.register(self._pool_metrics)
            GCCollector(registry=self.registry)
            ProcessCollector(registry=self.registry)
        for engine in {database.primary, database.bulk_engine}:
            event.listen(engine.sync_engine, "before_cursor_execute", _count_statement)

    def record_operation(
        self, caller_id: UUID | None, name: str | None, query: str, outcome: str, seconds: float, stats: OperationStats
    ) -> None:
        """Count an operation of a caller (None: not signed in), by its name in the request or the document."""
        label = self._operation_label(name, query, outcome, caller_id)
        self._pending_counts[self._operation_counter, (label, outcome)] += 1
        self._observe(self._operation_seconds, label, seconds, DURATION_BUCKETS_SECONDS)
        self._observe(self._operation_statements, label, stats.statements, STATEMENT_COUNT_BUCKETS)

    def record_plan(self, result: str) -> None:
        """Count an operation that was offered to the planner."""
        self._pending_counts[self._plan_counter, (result,)] += 1

    def record_response(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count an HTTP request."""
        if path not in LABELLED_PATHS:
            path = "/assets" if path.startswith("/assets/") else OTHER_LABEL
        self._pending_counts[
            self._request_counter, (path, method if method in LABELLED_METHODS else OTHER_LABEL, str(status))
        ] += 1
        self._observe(self._request_seconds, path, seconds, DURATION_BUCKETS_SECONDS)

    def record_rejections(self, status: int, count: int = 1) -> None:
        """Count HTTP requests rejected before they became an operation."""
        if count:
            self._pending_counts[self._rejection_counter, (str(status),)] += count

    def flush(self) -> None:
        """Move pending counts and observations into the metrics, which other processes can read."""
        counts, self._pending_counts = self._pending_counts, defaultdict(int)
        for (counter, labels), count in counts.items():
            counter.labels(*labels).inc(count)
        for observations in self._pending_observations.values():
            observations.flush()
        if not _multiprocess_dir():
            return
        for family in self._pool_metrics.collect():
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

    def render(self, service_metrics: Iterable[Metric] = ()) -> bytes:
        """All metrics in the text format of Prometheus, with those of the whole service."""
        self.flush()
        registry = self.registry
        if folder := _multiprocess_dir():
            registry = CollectorRegistry()
            for process in _dead_processes(folder):
                mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
            MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
        shared = CollectorRegistry()
        shared.register(_StaticCollector(service_metrics))
        return generate_latest(registry) + generate_latest(shared)

    def _observe(self, series: Histogram, label: str, amount: float, bounds: tuple[float, ...]) -> None:
        pending = self._pending_observations.get((series, label))
        if pending is None:
            pending = self._pending_observations[series, label] = _PendingObservations(series.labels(label), bounds)
        pending.observe(amount)

    def _operation_label(self, name: str | None, query: str, outcome: str, caller_id: UUID | None) -> str:
        name = operation_name(name, query)
        if name in self._operation_names or name in {UNNAMED_LABEL, OTHER_LABEL}:
            return name
        # The name of a refused operation can be any text. All anonymous callers count as one here.
        if outcome == OUTCOME_REFUSED or len(self._operation_names) >= MAX_OPERATION_NAMES:
            return OTHER_LABEL
        if list(self._operation_names.values()).count(caller_id) >= MAX_OPERATION_NAMES_PER_CALLER:
            return OTHER_LABEL
        self._operation_names[name] = caller_id
        return name


def operation_name(name: str | None, query: str) -> str:
    """The name that the request gives or, by default, that of the document's first operation.

    `(unnamed)` where there is none, `(other)` for one that is no GraphQL name or too long to be shown.
    """
    if not name:
        match = _OPERATION_NAME.match(query)
        if match is None:
            return UNNAMED_LABEL
        name = match[1]
    valid = len(name) <= MAX_OPERATION_NAME_CHARACTERS and _NAME.fullmatch(name)
    return name if valid else OTHER_LABEL


class _StaticCollector:
    """A collector of metrics that are measured already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families

    def describe(self) -> Iterable[Metric]:
        return ()


def _count_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    if not statement.startswith(SAVEPOINT_STATEMENT_PREFIXES):
        operation_stats.add(statements=1)


def _multiprocess_dir() -> Path | None:
    """The folder of several processes; None for a single process."""
    folder = os.environ.get(MULTIPROCESS_DIR_VARIABLE)
    return Path(folder) if folder else None


def _dead_processes(folder: Path) -> set[int]:
    """Processes that have ended: their counters still count, their gauges do not."""
    processes = {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*_*.db")}
    return {process for process in processes if not _is_running(process)}


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
