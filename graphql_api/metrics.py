"""Figures for Prometheus: operations by name, how long they took, and what the connection pools are at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql_api.database import Database

NAMES = 200
"""Different operation names that are told apart; any more are counted together."""
LONGEST_NAME = 60
BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
OTHERS, UNNAMED = "(other)", "(unnamed)"


class Metrics:
    """What one process has answered."""

    def __init__(self, database: Database) -> None:
        """Begin at nothing."""
        self.registry = CollectorRegistry()
        self._names: set[str] = set()
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
        self._rejected = Counter(
            "http_rejected", "Requests that never became an operation.", ["status"], registry=self.registry
        )
        self.registry.register(_Pools(database))
        GCCollector(registry=self.registry)
        ProcessCollector(registry=self.registry)

    def answered(self, name: str | None, outcome: str, seconds: float) -> None:
        """Count an operation; `outcome` is ok, errors (some fields failed) or refused (all of it)."""
        label = self._label(name)
        self._operations.labels(label, outcome).inc()
        self._seconds.labels(label).observe(seconds)

    def rejected(self, status: int) -> None:
        """Count a request that was no operation."""
        self._rejected.labels(str(status)).inc()

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)

    def _label(self, name: str | None) -> str:
        if not name:
            return UNNAMED
        if name not in self._names:
            if len(self._names) >= NAMES or len(name) > LONGEST_NAME:
                return OTHERS
            self._names.add(name)
        return name


class _Pools:
    """Connections of each engine, read when they are asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("database_connections", "Connections of the pools.", labels=["pool", "state"])
        engines = {"primary": self._database.primary, "bulk": self._database.bulk}
        if self._database.bulk is self._database.primary:
            del engines["bulk"]
        for name, engine in engines.items():
            for state, method in (("idle", "checkedin"), ("used", "checkedout"), ("most", "size")):
                # The pool of a test, which keeps no connections, has no figures.
                if count := getattr(engine.pool, method, None):
                    family.add_metric([name, state], count())
        yield family
