"""Load shedding: requests beyond a process' capacity are rejected at once, before they cost anything."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from graphql_api.auth.crypto import hashing_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql_api.database.database import Database
    from graphql_api.settings import Settings

TARGET_WAIT_SECONDS = 0.1
"""The waiting time that admitted requests should not exceed."""
MEASUREMENT_WINDOW_SECONDS = 0.2
"""The interval over which completed requests are counted."""
INITIAL_REQUESTS_PER_CONNECTION = 3
"""Concurrent requests for each database connection, before anything is measured."""
MAX_REQUESTS_PER_CONNECTION = 12
"""The same while requests are fast."""
MIN_REQUESTS_PER_CONNECTION = 2
"""The same while requests are slow: one that runs, and one that waits for its connection."""
OUTAGE_REQUESTS_PER_CONNECTION = 100
"""The same while the database is unavailable: requests only wait."""
RECENT_OUTAGE_SECONDS = 1.0
"""Seconds for which a database counts as unavailable after a failure."""


class LoadShedder:
    """The capacity of one process, in concurrent requests.

    By Little's law a request takes as long as the number of concurrent requests divided by the throughput. So the
    capacity falls with the throughput, but never below two requests for each database connection.
    """

    def __init__(
        self,
        database: Database,
        database_connections: int,
        *,
        shutdown_notice_seconds: float = 0,
        cors_origins: frozenset[bytes] = frozenset(),
    ) -> None:
        """A process that shuts down reports it for `shutdown_notice_seconds` before it stops accepting requests."""
        self.shutting_down = False
        self.shutdown_notice_seconds = shutdown_notice_seconds
        self.cors_origins = cors_origins
        self.excluded_requests = 0
        """Active requests that do not count as load: their body is still arriving, or they are streams."""
        self.completed_requests = 0
        """Requests with a response."""
        self.shed_requests = 0
        self._database = database
        self._min_capacity, self._max_capacity, self._outage_capacity = (
            factor * database_connections
            for factor in (
                MIN_REQUESTS_PER_CONNECTION,
                MAX_REQUESTS_PER_CONNECTION,
                OUTAGE_REQUESTS_PER_CONNECTION,
            )
        )
        self._initial_capacity = self._capacity = float(INITIAL_REQUESTS_PER_CONNECTION * database_connections)
        self._measured_at = 0.0
        self._completed_when_measured = 0

    @classmethod
    def from_settings(cls, settings: Settings, database: Database) -> LoadShedder:
        """A load shedder by the settings."""
        origins = frozenset(origin.encode("latin-1", "ignore") for origin in settings.cors_origins)
        return cls(
            database,
            settings.database_pool_size,
            shutdown_notice_seconds=settings.shutdown_notice_seconds,
            cors_origins=origins,
        )

    @contextlib.contextmanager
    def exclude_request(self) -> Iterator[None]:
        """Do not count the current request as load, for the length of the block."""
        self.excluded_requests += 1
        try:
            yield
        finally:
            self.excluded_requests -= 1

    def is_full(self, active_requests: int) -> bool:
        """Whether to reject one more request; requests that wait for a password hash do not count."""
        active_requests -= self.excluded_requests + hashing_pool.pending
        if active_requests < self._min_capacity:
            return False
        now = time.monotonic()
        if now - self._measured_at > MEASUREMENT_WINDOW_SECONDS:
            self._update_capacity(now)
        if active_requests < self._capacity:
            return False
        unavailable = now - self._database.unavailable_at < RECENT_OUTAGE_SECONDS
        return not unavailable or active_requests >= self._outage_capacity

    def _update_capacity(self, now: float) -> None:
        """Measure the throughput since the last call; if that was long ago, there was no load in between."""
        seconds, completed = now - self._measured_at, self.completed_requests - self._completed_when_measured
        self._measured_at, self._completed_when_measured = now, self.completed_requests
        # Half of the way at a time: an interval in which no request completed says little.
        measured = (self._capacity + completed / seconds * TARGET_WAIT_SECONDS) / 2
        capacity = (
            measured if seconds <= 2 * MEASUREMENT_WINDOW_SECONDS else max(self._capacity, self._initial_capacity)
        )
        self._capacity = min(max(capacity, self._min_capacity), self._max_capacity)
