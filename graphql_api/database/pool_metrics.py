"""How many connections each pool holds and lends, to which server, and for how long: figures for Prometheus."""

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
"""Where a connection's `info` says whom it leads to."""

POOL_LABELS = ("bind", "inet_server_addr")
CHECKOUT_BUCKETS_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 300)
_CONNECTED_LABELS_KEY, _CHECKED_OUT_KEY = "held as", "lent since"


class PoolMetrics:
    """The connections of one process, by bind (`default` or `bulk`) and by the address of the server they lead to."""

    def __init__(self) -> None:
        """Begin with none."""
        self._connected: Counter[tuple[str, str]] = Counter()
        self._checked_out: Counter[tuple[str, str]] = Counter()
        self._pool_sizes: dict[str, int] = {}
        self._checkout_seconds = Histogram(
            "db_connection_open_duration_seconds",
            "How long connections are lent for at a time.",
            POOL_LABELS,
            buckets=CHECKOUT_BUCKETS_SECONDS,
            registry=None,
        )

    def watch(self, engine: AsyncEngine, bind: str) -> None:
        """Count the connections of an engine, whose listener for new ones has put their address into their `info`."""
        pool = engine.sync_engine.pool
        self._pool_sizes[bind] = pool.size() if isinstance(pool, QueuePool) else 0

        def connected(_driver: Any, record: Any) -> None:
            record.info[_CONNECTED_LABELS_KEY] = labels = bind, record.info.get(SERVER_ADDRESS_KEY, "")
            self._connected[labels] += 1

        def closed(_driver: Any, record: Any) -> None:
            if (labels := record.info.pop(_CONNECTED_LABELS_KEY, None)) is not None:
                self._connected[labels] -= 1

        def lent(_driver: Any, record: Any, _lent: Any) -> None:
            labels = bind, record.info.get(SERVER_ADDRESS_KEY, "")
            record.info[_CHECKED_OUT_KEY] = time.perf_counter(), labels
            self._checked_out[labels] += 1

        def returned(_driver: Any, record: Any) -> None:
            since, labels = record.info.pop(_CHECKED_OUT_KEY, (0.0, None))
            if labels is not None:
                self._checked_out[labels] -= 1
                self._checkout_seconds.labels(*labels).observe(time.perf_counter() - since)

        event.listen(pool, "connect", connected)
        event.listen(pool, "close", closed)
        event.listen(pool, "checkout", lent)
        event.listen(pool, "checkin", returned)

    def collect(self) -> Iterator[Metric]:
        """The figures of this moment, as a registry asks for them."""
        for name, text, counts in (
            ("db_connection_total_connected", "Connections held.", self._connected),
            ("db_connection_total_checked_out", "Connections in use.", self._checked_out),
        ):
            family = GaugeMetricFamily(name, text, labels=POOL_LABELS)
            for labels, count in counts.items():
                family.add_metric(labels, count)
            yield family
        most = GaugeMetricFamily("db_connection_pool_size", "Connections that may be held.", labels=POOL_LABELS[:1])
        for bind, size in self._pool_sizes.items():
            most.add_metric([bind], size)
        yield most
        yield from self._checkout_seconds.collect()
