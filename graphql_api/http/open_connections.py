"""Connections that stay open, WebSockets and streams of events: how many there may be, and until when."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from graphql_api.auth import authentication
from graphql_api.errors import CloseCode, Unavailable
from graphql_api.observability import error_masking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from graphql_api.auth.actors import Actor
    from graphql_api.database.database import Database
    from graphql_api.settings import Settings

REVOCATION_CHECK_INTERVAL_SECONDS = 0.5
"""Seconds between two looks at whether everyone who stays is still let in."""


@dataclass(eq=False, slots=True)
class Slot:
    """One connection."""

    request_close: Callable[[CloseCode], None]
    """Ends it, with a close code."""
    actor: Actor | None = None
    """Whose it is, once they have said so."""


class ConnectionRegistry:
    """The connections of this process."""

    def __init__(self, database: Database, settings: Settings) -> None:
        """Begin with none."""
        self._database = database
        self._max_connections = settings.live_connections
        self._max_connections_per_actor = settings.live_connections_per_caller
        self._slots: set[Slot] = set()
        self._counts_by_actor: Counter[tuple[UUID | None, UUID | None]] = Counter()
        self._revocation_task: asyncio.Task[None] | None = None
        self._draining = False

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._slots)

    @contextlib.contextmanager
    def reserve_slot(self, request_close: Callable[[CloseCode], None]) -> Iterator[Slot]:
        """A place for a connection, of somebody not yet known; raises `Unavailable` where there is none."""
        if self._draining or len(self._slots) >= self._max_connections:
            raise Unavailable("This server has too many open connections: try again later.")
        seat = Slot(request_close)
        self._slots.add(seat)
        try:
            yield seat
        finally:
            self._slots.discard(seat)
            if seat.actor is not None:
                self._release(seat.actor)

    def assign_actor(self, slot: Slot, actor: Actor) -> None:
        """Tell whose a connection is; raises `Unavailable` where they have too many. All unknown are one caller."""
        if self._counts_by_actor[actor.identity] >= self._max_connections_per_actor:
            raise Unavailable("You have too many open connections: close some, or try again later.")
        slot.actor = actor
        self._counts_by_actor[actor.identity] += 1
        if self._revocation_task is None:
            self._revocation_task = asyncio.create_task(self._close_revoked())

    async def drain(self, seconds: float) -> None:
        """Let no more in, and end those that are there, for the server stops: all at once, after so long at most."""
        self._draining = True
        for seat in list(self._slots):
            seat.request_close(CloseCode.SERVICE_RESTART)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._slots:  # noqa: ASYNC110 - it happens once
                    await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Watch no more."""
        if self._revocation_task is not None:
            self._revocation_task.cancel()
            await asyncio.wait({self._revocation_task})

    def _release(self, actor: Actor) -> None:
        self._counts_by_actor[actor.identity] -= 1
        if not self._counts_by_actor[actor.identity]:
            del self._counts_by_actor[actor.identity]

    async def _close_revoked(self) -> None:
        """End the connections of callers whose key was revoked, or whose session has ended."""
        while True:
            await asyncio.sleep(REVOCATION_CHECK_INTERVAL_SECONDS)
            actors = {seat.actor.identity: seat.actor for seat in self._slots if seat.actor is not None}
            try:
                ended = await authentication.find_ended_identities(actors.values(), database=self._database)
            except (Unavailable, DBAPIError):
                continue  # while the database is away nobody can say
            except Exception as fault:  # noqa: BLE001 - whoever is revoked next must be found all the same
                error_masking.log_internal_error(fault)
                continue
            for seat in list(self._slots):
                if seat.actor is not None and seat.actor.identity in ended:
                    seat.request_close(CloseCode.FORBIDDEN)
