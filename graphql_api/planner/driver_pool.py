"""Runs statements on asyncpg's own connections, without SQLAlchemy; some connections are pinned for this alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from cachetools import LRUCache
from sqlalchemy import event

from graphql_api.observability import operation_stats

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.database.database import Database

Record: TypeAlias = Sequence[Any]
"""A row of asyncpg, which ships no types; it is read by position, and its columns may have any type."""

MAX_PREPARED_STATEMENTS = 64
MAX_PREPARED_CHARACTERS = 512 << 10
MAX_PREPARED_STATEMENT_CHARACTERS = 128 << 10
"""Limits per connection: prepared statements, their total characters, and those of one; longer ones are not cached.

PostgreSQL holds about 50 bytes for each character. asyncpg's own cache leaves out long statements, the costliest ones.
"""
PIN_WAIT_SECONDS, PIN_WAIT_SECONDS_PER_CHARACTER = 0.1, 4e-6
"""Wait of a statement for a pinned connection, and the additional wait per character of the statement.

Any other connection would plan the statement again, which takes longer for longer statements.
"""
_FORCE_GENERIC_PLAN = "SET plan_cache_mode = force_generic_plan"
_RESET_PLAN_CACHE_MODE = "RESET plan_cache_mode"


class StatementRunner(Protocol):
    """Runs statements, each on a connection that is its own meanwhile."""

    async def fetch(self, sql: str, arguments: Sequence[object], *, generic_plan: bool) -> list[Record]:
        """The rows; raises the errors of asyncpg. `generic_plan` allows one plan for all values of the parameters."""
        ...

    async def close(self) -> None:
        """Return every connection that is held."""
        ...


class _PreparedStatement(Protocol):
    """The part of asyncpg's prepared statement that is used: asyncpg ships no types."""

    async def fetch(self, *arguments: object) -> list[Record]: ...

    def get_query(self) -> str: ...


class _DriverConnection(Protocol):
    """The part of asyncpg's connection that is used."""

    async def fetch(self, sql: str, *arguments: object) -> list[Record]: ...

    async def prepare(self, sql: str) -> _PreparedStatement: ...

    async def execute(self, sql: str) -> str: ...

    def is_closed(self) -> bool: ...


def _prepared_cache() -> LRUCache[str, _PreparedStatement]:
    return LRUCache(MAX_PREPARED_CHARACTERS, getsizeof=lambda statement: len(statement.get_query()))


@dataclass(slots=True)
class _PinnedConnection:
    connection: AsyncConnection
    driver: _DriverConnection
    generic_plans: bool = False
    """Whether the session may have `plan_cache_mode` set."""
    connected_at: float = field(default_factory=time.monotonic)
    prepared: LRUCache[str, _PreparedStatement] = field(default_factory=_prepared_cache)

    async def fetch(self, sql: str, arguments: Sequence[object]) -> list[Record]:
        """The rows of a statement, which is prepared the first time."""
        if len(sql) > MAX_PREPARED_STATEMENT_CHARACTERS:
            return await self.driver.fetch(sql, *arguments)
        statement = self.prepared.get(sql)
        if statement is None:
            statement = self.prepared[sql] = await self.driver.prepare(sql)
            while len(self.prepared) > MAX_PREPARED_STATEMENTS:
                self.prepared.popitem()
        return await statement.fetch(*arguments)

    async def use_generic_plans(self, enabled: bool) -> None:
        """Have PostgreSQL plan prepared statements once for all values, or by its own judgement."""
        if enabled == self.generic_plans:
            return
        # If the task is cancelled meanwhile, the setting is unknown and counts as changed.
        self.generic_plans = True
        await self.driver.execute(_FORCE_GENERIC_PLAN if enabled else _RESET_PLAN_CACHE_MODE)
        self.generic_plans = enabled


class PinnedConnections:
    """A bounded number of connections of the primary, with prepared statements, each for one statement at a time.

    Where slow statements occupy all of them, a statement waits briefly, and then runs on a pooled connection.
    """

    def __init__(self, database: Database, max_connections: int, recycle: float, *, settable: bool = True) -> None:
        """Connections are opened when they are needed, and returned to the pool after `recycle` seconds.

        Without `settable`, as through a pooler of transactions, nothing is set or prepared on them.
        """
        self._settable = settable
        self._engine = database.primary
        self._fallback = PooledConnections(database)
        self._idle: deque[_PinnedConnection] = deque()
        self._slots = asyncio.Semaphore(max_connections)
        self._recycle = recycle
        self._releases: set[asyncio.Task[None]] = set()
        self._disconnected_at = 0.0
        event.listen(self._engine.sync_engine, "handle_error", self._note_disconnect)

    async def fetch(self, sql: str, arguments: Sequence[object], *, generic_plan: bool) -> list[Record]:
        """The rows of a statement."""
        may_be_prepared = self._settable and len(sql) <= MAX_PREPARED_STATEMENT_CHARACTERS
        wait = PIN_WAIT_SECONDS + may_be_prepared * PIN_WAIT_SECONDS_PER_CHARACTER * len(sql)
        if not await self._acquire_slot(wait):
            return await self._fallback.fetch(sql, arguments, generic_plan=generic_plan)
        operation_stats.add(statements=1)
        try:
            pinned = self._take_idle() or await self._connect()
            try:
                if not self._settable:
                    rows = await pinned.driver.fetch(sql, *arguments)
                else:
                    # PostgreSQL would plan most statements each time, which takes as long as running them.
                    await pinned.use_generic_plans(generic_plan)
                    rows = await pinned.fetch(sql, arguments)
            except BaseException:
                # The connection may be unusable: the pool tests it before the next use.
                self._release(pinned)
                raise
            if time.monotonic() - pinned.connected_at > self._recycle:
                self._release(pinned)
            else:
                self._idle.append(pinned)
            return rows
        finally:
            self._slots.release()

    def _take_idle(self) -> _PinnedConnection | None:
        """An idle connection that was opened after the last disconnect."""
        while self._idle:
            pinned = self._idle.pop()
            if pinned.connected_at > self._disconnected_at:
                return pinned
            self._release(pinned)
        return None

    def _note_disconnect(self, error: ExceptionContext) -> None:
        """After a failover the pool invalidates all of its connections, and so does this."""
        if error.is_disconnect:
            self._disconnected_at = time.monotonic()

    async def _acquire_slot(self, timeout: float) -> bool:  # noqa: ASYNC109 - it returns False instead of raising TimeoutError
        if not self._slots.locked():
            return await self._slots.acquire()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return await self._slots.acquire()
        return False

    async def close(self) -> None:
        """Return every connection to the pool."""
        while self._idle:
            self._release(self._idle.pop())
        await asyncio.gather(*self._releases)

    async def _connect(self) -> _PinnedConnection:
        connection = await self._engine.connect()
        return _PinnedConnection(connection, await _driver_connection(connection))

    def _release(self, pinned: _PinnedConnection) -> None:
        # A task of its own, because the current one may be cancelled.
        task = asyncio.ensure_future(_return_to_pool(pinned))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)


async def _return_to_pool(pinned: _PinnedConnection) -> None:
    with contextlib.suppress(Exception):
        with contextlib.suppress(Exception):
            await pinned.use_generic_plans(False)
        if pinned.generic_plans or pinned.driver.is_closed():
            await pinned.connection.invalidate()
        await pinned.connection.close()


class PooledConnections:
    """A connection of `Database.read_connection()` for each statement."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, sql: str, arguments: Sequence[object], *, generic_plan: bool) -> list[Record]:
        """The rows of a statement; PostgreSQL decides by itself how to plan it."""
        del generic_plan
        operation_stats.add(statements=1)
        async with self._database.read_connection() as connection:
            return await (await _driver_connection(connection)).fetch(sql, *arguments)

    async def close(self) -> None:
        """Do nothing: no connection is held."""


async def _driver_connection(connection: AsyncConnection) -> _DriverConnection:
    return cast("_DriverConnection", (await connection.get_raw_connection()).driver_connection)
