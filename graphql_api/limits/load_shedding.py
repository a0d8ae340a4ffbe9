"""How much a process takes on at once: what is beyond is turned away before it costs anything, and comes again."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from graphql_api.auth.crypto import hashing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Scope

    from graphql_api.database.database import Database
    from graphql_api.settings import Settings

WAIT = 0.1
"""Seconds that the last of those who are let in should take, as far as it is waiting that makes them slow."""
WINDOW = 0.2
"""Seconds for which it is counted how many requests end."""
FIRST = 3
"""Requests at once for each connection to the database, before it is known how long they take."""
DEEPEST = 12
"""The same while they are quick."""
LEAST = 2
"""The same while they are slow: one that is answered, and one that comes next."""
PATIENT = 100
"""The same while the database is away: they only wait."""
RETURNING = 1.0
"""Seconds after which a database that was away is taken for one that is there."""
ABANDON, ABANDONED = "notify.abandon", "notify.abandoned"
"""Members of a scope: that the request is not worth ending when nobody waits for it; that it was broken off so."""


class Pressure:
    """What one process has to do.

    By Little's law a request takes as long as those that are under way, divided by how many end in a second. So fewer
    are let in where they end slowly, but never fewer than two for each connection to the database.
    """

    def __init__(
        self, database: Database, connections: int, *, notice: float = 0, origins: frozenset[bytes] = frozenset()
    ) -> None:
        """Begin with nothing; a process that is told to end says so `notice` seconds before it takes no more."""
        self.leaving = False
        self.notice = notice
        self.origins = origins
        self.aside = 0
        """Requests under way that are none of our work: their body is still to come, or they are streams."""
        self.ended = 0
        """Requests that were answered."""
        self.turned_away = 0
        self._database = database
        self._least, self._most, self._patient = (each * connections for each in (LEAST, DEEPEST, PATIENT))
        self._first = self._room = float(FIRST * connections)
        self._since = 0.0
        self._ended_before = 0

    @classmethod
    def of(cls, settings: Settings, database: Database) -> Pressure:
        """As the settings say."""
        origins = frozenset(origin.encode("latin-1", "ignore") for origin in settings.cors_origins)
        return cls(database, settings.database_pool_size, notice=settings.notice, origins=origins)

    @contextlib.contextmanager
    def stepped_aside(self) -> Iterator[None]:
        """Count what is under way here as none of our work."""
        self.aside += 1
        try:
            yield
        finally:
            self.aside -= 1

    def full(self, under_way: int) -> bool:
        """Whether one more request is too many; those that only wait for a hash keep nobody else out."""
        under_way -= self.aside + hashing.under_way
        if under_way < self._least:
            return False
        now = time.monotonic()
        if now - self._since > WINDOW:
            self._measure(now)
        if under_way < self._room:
            return False
        away = now - self._database.away_at < RETURNING
        return not away or under_way >= self._patient

    def _measure(self, now: float) -> None:
        """See how many ended since this was last asked; if that was long ago, there was no pressure since."""
        seconds, ended = now - self._since, self.ended - self._ended_before
        self._since, self._ended_before = now, self.ended
        # Half of the way at a time: a moment in which nothing ended says little.
        measured = (self._room + ended / seconds * WAIT) / 2
        room = measured if seconds <= 2 * WINDOW else max(self._room, self._first)
        self._room = min(max(room, self._least), self._most)


def abandonable(scope: Scope) -> None:
    """Let a request be broken off when its client is gone."""
    scope[ABANDON] = True


def abandoned(scope: Scope) -> bool:
    """Whether it was."""
    return ABANDONED in scope
