"""Prometheus metrics of connection pools: connections held and in use, by server, and how long they are in use."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from prometheus_client import Histogram
from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric
    from sqlalchemy.ext.asyncio import AsyncEngine

SERVER_ADDRESS_KEY = "server address"
"""The key in a connection's `info` of the address of its server."""

POOL_LABELS = ("bind", "inet_server_addr")
CHECKOUT_BUCKETS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 300)
_CONNECTED_LABELS_KEY, _CHECKED_OUT_KEY = "connected labels", "checked out at"


class PoolMetrics:
    """The connections of one process, by bind (`default` or `bulk`) and by the address of the server they lead to."""

    def __init__(self) -> None:
        self._connected: Counter[tuple[str, str]] = Counter()
        self._checked_out: Counter[tuple[str, str]] = Counter()
        self._pool_sizes: dict[str, int] = {}
        self._checkout_seconds = Histogram(
            "db_connection_open_duration_seconds",
            "Seconds for which a connection is checked out of its pool.",
            POOL_LABELS,
            buckets=CHECKOUT_BUCKETS_SECONDS,
            registry=None,
        )

    def watch(self, engine: AsyncEngine, bind: str) -> None:
        """Count the connections of an engine whose connect listener has put `SERVER_ADDRESS_KEY` into their `info`."""
        pool = engine.sync_engine.pool
        self._pool_sizes[bind] = pool.size() if isinstance(pool, QueuePool) else 0

        def connected(_driver: Any, record: Any) -> None:
            record.info[_CONNECTED_LABELS_KEY] = labels = bind, record.info.get(SERVER_ADDRESS_KEY, "")
            self._connected[labels] += 1

        def closed(_driver: Any, record: Any) -> None:
            if (labels := record.info.pop(_CONNECTED_LABELS_KEY, None)) is not None:
                self._connected[labels] -= 1

        def checked_out(_driver: Any, record: Any, _proxy: Any) -> None:
            labels = bind, record.info.get(SERVER_ADDRESS_KEY, "")
            record.info[_CHECKED_OUT_KEY] = time.perf_counter(), labels
            self._checked_out[labels] += 1

        def checked_in(_driver: Any, record: Any) -> None:
            since, labels = record.info.pop(_CHECKED_OUT_KEY, (0.0, None))
            if labels is not None:
                self._checked_out[labels] -= 1
                self._checkout_seconds.labels(*labels).observe(time.perf_counter() - since)

        event.listen(pool, "connect", connected)
        event.listen(pool, "close", closed)
        event.listen(pool, "checkout", checked_out)
        event.listen(pool, "checkin", checked_in)

    def collect(self) -> Iterator[Metric]:
        """The current metrics, for a registry."""
        for name, help_text, counts in (
            ("db_connection_total_connected", "Open connections of the pool.", self._connected),
            ("db_connection_total_checked_out", "Connections checked out of the pool.", self._checked_out),
        ):
            family = GaugeMetricFamily(name, help_text, labels=POOL_LABELS)
            for labels, count in counts.items():
                family.add_metric(labels, count)
            yield family
        pool_size = GaugeMetricFamily(
            "db_connection_pool_size", "Maximum number of connections of the pool.", labels=POOL_LABELS[:1]
        )
        for bind, size in self._pool_sizes.items():
            pool_size.add_metric([bind], size)
        yield pool_size
        yield from self._checkout_seconds.collect()
