"""What Prometheus is told: operations, requests and connections; and of the whole service, its queue and messages.

Where several processes serve, each counts in files of its own in the folder `PROMETHEUS_MULTIPROC_DIR`, and whichever
is asked adds them up. Nothing here names a person or a service: labels are words of ours, and names of operations.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.process_collector import ProcessCollector
from sqlalchemy import event

from graphql_api import tally

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from prometheus_client.core import Metric

    from graphql_api.actors import Actor
    from graphql_api.database import Database
    from graphql_api.tally import Tally

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

PATHS = frozenset({"/graphql", "/uploads", "/_status", "/metrics", "/"})
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})

_NAMED = re.compile(r"\s*(?:query|mutation|subscription)\s+([_A-Za-z]\w*)", re.ASCII)


class _Operation(NamedTuple):
    """The series of one operation and outcome; a histogram each for all outcomes."""

    operations: Counter
    seconds: Histogram
    statements: Histogram


class Metrics:
    """What one process has answered."""

    def __init__(self, database: Database) -> None:
        """Begin at nothing."""
        self.registry = CollectorRegistry()
        self._names: dict[str, UUID | None] = {}
        self._series: dict[tuple[str, str], _Operation] = {}
        self._requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
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
        self.registry.register(database.pools)
        for engine in {database.primary, database.bulk}:
            event.listen(engine.sync_engine, "before_cursor_execute", _count_statement)

    def answered(self, actor: Actor, name: str | None, query: str, outcome: str, seconds: float, told: Tally) -> None:
        """Count an operation, under its name in the document or the request."""
        label = self._label(name, query, outcome, actor)
        series = self._series.get((label, outcome))
        if series is None:
            series = self._series[label, outcome] = _Operation(
                self._operations.labels(label, outcome), self._seconds.labels(label), self._statements.labels(label)
            )
        series.operations.inc()
        series.seconds.observe(seconds)
        series.statements.observe(told.statements)

    def responded(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        if path not in PATHS:
            path = "/assets" if path.startswith("/assets/") else OTHERS
        key = path, method if method in METHODS else OTHERS, status
        series = self._requests.get(key)
        if series is None:
            series = self._requests[key] = (
                self._answers.labels(key[0], key[1], str(status)),
                self._answer_seconds.labels(path),
            )
        series[0].inc()
        series[1].observe(seconds)

    def rejected(self, status: int) -> None:
        """Count a request that was no operation."""
        self._rejected.labels(str(status)).inc()

    def refresh(self) -> None:
        """Put what is only known at a moment where the other processes of this server find it."""
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
        registry = self.registry
        if folder := _folder():
            self.refresh()
            registry = CollectorRegistry()
            for process in _gone(folder):
                mark_process_dead(process, str(folder))  # type: ignore[no-untyped-call]
            MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
        shared = CollectorRegistry()
        shared.register(_Given(service))
        return generate_latest(registry) + generate_latest(shared)

    def _label(self, name: str | None, query: str, outcome: str, actor: Actor) -> str:
        if not name:
            match = _NAMED.match(query)
            name = match[1] if match else UNNAMED
        if name in self._names or name == UNNAMED:
            return name
        # What was refused may have any text for a name, and whoever is not signed in may be anybody.
        if outcome == REFUSED or not actor.signed_in:
            return OTHERS
        caller = actor.api_key_id or actor.user_id
        brought = sum(one == caller for one in self._names.values())
        if len(self._names) >= NAMES or len(name) > LONGEST_NAME or brought >= NAMES_OF_A_CALLER:
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
        tally.add(statements=1)


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
