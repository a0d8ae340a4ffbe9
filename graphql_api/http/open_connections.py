"""Connections that stay open, WebSockets and streams of events: how many there may be, and until when."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from graphql_api.auth import authentication
from graphql_api.errors import Unavailable
from graphql_api.observability import error_masking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from graphql_api.auth.actors import Actor
    from graphql_api.database.database import Database
    from graphql_api.settings import Settings

FORBIDDEN = 4403
"""The close code of a caller who is let in no more, as graphql-transport-ws has it."""
RESTART = 1012
"""That of a server which stops: come back, and find another."""
LATER = 1013
"""That of a server which has too many connections: come back later."""
WATCHED_EVERY = 0.5
"""Seconds between two looks at whether everyone who stays is still let in."""


@dataclass(eq=False, slots=True)
class Seat:
    """One connection."""

    end: Callable[[int], None]
    """Ends it, with a close code."""
    actor: Actor | None = None
    """Whose it is, once they have said so."""


class Live:
    """The connections of this process."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """Begin with none."""
        self._database = database
        self._most = settings.live_connections
        self._most_of_one = settings.live_connections_per_caller
        self._seats: set[Seat] = set()
        self._counts: Counter[tuple[UUID | None, UUID | None]] = Counter()
        self._watching: asyncio.Task[None] | None = None
        self._draining = False

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._seats)

    @contextlib.contextmanager
    def seat(self, end: Callable[[int], None]) -> Iterator[Seat]:
        """A place for a connection, of somebody not yet known; raises `Unavailable` where there is none."""
        if self._draining or len(self._seats) >= self._most:
            raise Unavailable("This server has too many open connections: try again later.")
        seat = Seat(end)
        self._seats.add(seat)
        try:
            yield seat
        finally:
            self._seats.discard(seat)
            if seat.actor is not None:
                self._leave(seat.actor)

    def take(self, seat: Seat, actor: Actor) -> None:
        """Tell whose a connection is; raises `Unavailable` where they have too many. All unknown are one caller."""
        if self._counts[actor.identity] >= self._most_of_one:
            raise Unavailable("You have too many open connections: close some, or try again later.")
        seat.actor = actor
        self._counts[actor.identity] += 1
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def drain(self, seconds: float) -> None:
        """Let no more in, and end those that are there, for the server stops: all at once, after so long at most."""
        self._draining = True
        for seat in list(self._seats):
            seat.end(RESTART)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._seats:  # noqa: ASYNC110 - it happens once
                    await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Watch no more."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})

    def _leave(self, actor: Actor) -> None:
        self._counts[actor.identity] -= 1
        if not self._counts[actor.identity]:
            del self._counts[actor.identity]

    async def _watch(self) -> None:
        """End the connections of callers whose key was revoked, or whose session has ended."""
        while True:
            await asyncio.sleep(WATCHED_EVERY)
            actors = {seat.actor.identity: seat.actor for seat in self._seats if seat.actor is not None}
            try:
                ended = await authentication.ended(actors.values(), database=self._database)
            except (Unavailable, DBAPIError):
                continue  # while the database is away nobody can say
            except Exception as fault:  # noqa: BLE001 - whoever is revoked next must be found all the same
                error_masking.fault(fault)
                continue
            for seat in list(self._seats):
                if seat.actor is not None and seat.actor.identity in ended:
                    seat.end(FORBIDDEN)
