"""How much a process takes on at once: what is beyond is turned away before it costs anything, and comes again."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from graphql_api.auth.crypto import hashing_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Scope

    from graphql_api.database.database import Database
    from graphql_api.settings import Settings

TARGET_WAIT_SECONDS = 0.1
"""Seconds that the last of those who are let in should take, as far as it is waiting that makes them slow."""
MEASUREMENT_WINDOW_SECONDS = 0.2
"""Seconds for which it is counted how many requests end."""
INITIAL_REQUESTS_PER_CONNECTION = 3
"""Requests at once for each connection to the database, before it is known how long they take."""
MAX_REQUESTS_PER_CONNECTION = 12
"""The same while they are quick."""
MIN_REQUESTS_PER_CONNECTION = 2
"""The same while they are slow: one that is answered, and one that comes next."""
OUTAGE_REQUESTS_PER_CONNECTION = 100
"""The same while the database is away: they only wait."""
RECENT_OUTAGE_SECONDS = 1.0
"""Seconds after which a database that was away is taken for one that is there."""
CANCEL_ON_DISCONNECT_KEY, CANCELLED_ON_DISCONNECT_KEY = "notify.abandon", "notify.abandoned"
"""Members of a scope: that the request is not worth ending when nobody waits for it; that it was broken off so."""


class LoadShedder:
    """What one process has to do.

    By Little's law a request takes as long as those that are under way, divided by how many end in a second. So fewer
    are let in where they end slowly, but never fewer than two for each connection to the database.
    """

    def __init__(
        self,
        database: Database,
        database_connections: int,
        *,
        shutdown_notice_seconds: float = 0,
        cors_origins: frozenset[bytes] = frozenset(),
    ) -> None:
        """Begin with nothing; a process that is told to end says so `notice` seconds before it takes no more."""
        self.shutting_down = False
        self.shutdown_notice_seconds = shutdown_notice_seconds
        self.cors_origins = cors_origins
        self.excluded_requests = 0
        """Requests under way that are none of our work: their body is still to come, or they are streams."""
        self.completed_requests = 0
        """Requests that were answered."""
        self.shed_requests = 0
        self._database = database
        self._min_capacity, self._max_capacity, self._outage_capacity = (
            each * database_connections
            for each in (MIN_REQUESTS_PER_CONNECTION, MAX_REQUESTS_PER_CONNECTION, OUTAGE_REQUESTS_PER_CONNECTION)
        )
        self._initial_capacity = self._capacity = float(INITIAL_REQUESTS_PER_CONNECTION * database_connections)
        self._measured_at = 0.0
        self._completed_when_measured = 0

    @classmethod
    def from_settings(cls, settings: Settings, database: Database) -> LoadShedder:
        """As the settings say."""
        origins = frozenset(origin.encode("latin-1", "ignore") for origin in settings.cors_origins)
        return cls(
            database,
            settings.database_pool_size,
            shutdown_notice_seconds=settings.shutdown_notice_seconds,
            cors_origins=origins,
        )

    @contextlib.contextmanager
    def exclude_request(self) -> Iterator[None]:
        """Count what is under way here as none of our work."""
        self.excluded_requests += 1
        try:
            yield
        finally:
            self.excluded_requests -= 1

    def is_full(self, active_requests: int) -> bool:
        """Whether one more request is too many; those that only wait for a hash keep nobody else out."""
        active_requests -= self.excluded_requests + hashing_pool.pending
        if active_requests < self._min_capacity:
            return False
        now = time.monotonic()
        if now - self._measured_at > MEASUREMENT_WINDOW_SECONDS:
            self._update_capacity(now)
        if active_requests < self._capacity:
            return False
        away = now - self._database.unavailable_at < RECENT_OUTAGE_SECONDS
        return not away or active_requests >= self._outage_capacity

    def _update_capacity(self, now: float) -> None:
        """See how many ended since this was last asked; if that was long ago, there was no pressure since."""
        seconds, ended = now - self._measured_at, self.completed_requests - self._completed_when_measured
        self._measured_at, self._completed_when_measured = now, self.completed_requests
        # Half of the way at a time: a moment in which nothing ended says little.
        measured = (self._capacity + ended / seconds * TARGET_WAIT_SECONDS) / 2
        room = measured if seconds <= 2 * MEASUREMENT_WINDOW_SECONDS else max(self._capacity, self._initial_capacity)
        self._capacity = min(max(room, self._min_capacity), self._max_capacity)


def cancel_on_disconnect(scope: Scope) -> None:
    """Let a request be broken off when its client is gone."""
    scope[CANCEL_ON_DISCONNECT_KEY] = True


def is_cancelled_on_disconnect(scope: Scope) -> bool:
    """Whether it was."""
    return CANCELLED_ON_DISCONNECT_KEY in scope
