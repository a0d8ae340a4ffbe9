"""Connections that stay open, WebSockets and event streams: their number, and when the server closes them."""

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
"""Seconds between two checks for sessions that ended and keys that were revoked."""


@dataclass(eq=False, slots=True)
class Slot:
    """One connection."""

    request_close: Callable[[CloseCode], None]
    """Closes the connection."""
    actor: Actor | None = None
    """The caller, once authenticated."""


class ConnectionRegistry:
    """The open connections of this process."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._max_connections = settings.live_connections
        self._max_connections_per_actor = settings.live_connections_per_caller
        self._slots: set[Slot] = set()
        self._counts_by_actor: Counter[tuple[UUID | None, UUID | None]] = Counter()
        self._revocation_task: asyncio.Task[None] | None = None
        self._draining = False

    @property
    def count(self) -> int:
        """Open connections."""
        return len(self._slots)

    @contextlib.contextmanager
    def reserve_slot(self, request_close: Callable[[CloseCode], None]) -> Iterator[Slot]:
        """A slot for a connection, before it is authenticated; raises `Unavailable` where all are taken."""
        if self._draining or len(self._slots) >= self._max_connections:
            raise Unavailable("This server has too many open connections: try again later.")
        slot = Slot(request_close)
        self._slots.add(slot)
        try:
            yield slot
        finally:
            self._slots.discard(slot)
            if slot.actor is not None:
                self._release(slot.actor)

    def assign_actor(self, slot: Slot, actor: Actor) -> None:
        """Assign a connection to its caller; raises `Unavailable` over the limit. All anonymous callers share one."""
        if self._counts_by_actor[actor.identity] >= self._max_connections_per_actor:
            raise Unavailable("You have too many open connections: close some, or try again later.")
        slot.actor = actor
        self._counts_by_actor[actor.identity] += 1
        if self._revocation_task is None:
            self._revocation_task = asyncio.create_task(self._close_revoked())

    async def drain(self, seconds: float) -> None:
        """Accept no more connections, close all, and wait for that at most so many seconds, as the server stops."""
        self._draining = True
        for slot in list(self._slots):
            slot.request_close(CloseCode.SERVICE_RESTART)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._slots:  # noqa: ASYNC110 - once in a process
                    await asyncio.sleep(0.01)

    async def close(self) -> None:
        """Stop checking for revoked callers."""
        if self._revocation_task is not None:
            self._revocation_task.cancel()
            await asyncio.wait({self._revocation_task})

    def _release(self, actor: Actor) -> None:
        self._counts_by_actor[actor.identity] -= 1
        if not self._counts_by_actor[actor.identity]:
            del self._counts_by_actor[actor.identity]

    async def _close_revoked(self) -> None:
        """Close the connections of callers whose key was revoked or whose session has ended."""
        while True:
            await asyncio.sleep(REVOCATION_CHECK_INTERVAL_SECONDS)
            actors = {slot.actor.identity: slot.actor for slot in self._slots if slot.actor is not None}
            try:
                ended_identities = await authentication.find_ended_identities(actors.values(), database=self._database)
            except (Unavailable, DBAPIError):
                continue  # the database is unavailable
            except Exception as error:  # noqa: BLE001 - the next check must still run
                error_masking.log_internal_error(error)
                continue
            for slot in list(self._slots):
                if slot.actor is not None and slot.actor.identity in ended_identities:
                    slot.request_close(CloseCode.FORBIDDEN)
