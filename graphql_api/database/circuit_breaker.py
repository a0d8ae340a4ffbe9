"""A circuit breaker for servers that are optional: a replica, a Redis."""

from __future__ import annotations

import time


class CircuitBreaker:
    """Is open for some seconds after a failure: callers then do without the server, and wait for no timeout."""

    def __init__(self, open_seconds: float) -> None:
        self._open_seconds = open_seconds
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the server failed less than `open_seconds` ago."""
        return time.monotonic() < self._open_until

    def record_failure(self) -> None:
        """Open, from now on."""
        self._open_until = time.monotonic() + self._open_seconds
