"""Connections to PostgreSQL as asyncpg has them: a few are borrowed from the pool and kept, for statements alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import event

from graphql_api.observability import operation_stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.database.database import Database

Records = list[Any]
STATEMENTS, LETTERS, LONGEST = 64, 512 << 10, 128 << 10
"""Statements that a connection keeps prepared, letters of them all, and of one: longer ones are prepared each time.

For each letter PostgreSQL holds some 50 bytes. The driver's own cache leaves out all that are long, the costliest.
"""
PATIENCE, OF_A_LETTER = 0.1, 4e-6
"""Seconds that a statement waits for a connection that is kept, and so many more for each letter of one that it knows.

Any other plans it anew, which takes long for a long one.
"""
_PLAN_ONCE = "SET plan_cache_mode = force_generic_plan"
_PLAN_AS_USUAL = "RESET plan_cache_mode"


class Reads(Protocol):
    """What runs a statement."""

    async def fetch(self, sql: str, arguments: Sequence[Any], *, steady: bool) -> Records:
        """The rows; raises whatever asyncpg does. A `steady` statement is run in the same way for all values."""
        ...

    async def close(self) -> None:
        """Let go of what is held."""
        ...


@dataclass(slots=True)
class _Lent:
    connection: AsyncConnection
    driver: Any
    steady: bool = False
    born: float = field(default_factory=time.monotonic)
    prepared: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    letters: int = 0

    async def fetch(self, sql: str, arguments: Sequence[Any]) -> Records:
        """The rows of a statement, prepared the first time."""
        rows: Records
        if len(sql) > LONGEST:
            rows = await self.driver.fetch(sql, *arguments)
            return rows
        statement = self.prepared.get(sql)
        if statement is None:
            statement = self.prepared[sql] = await self.driver.prepare(sql)
            self.letters += len(sql)
            while len(self.prepared) > STATEMENTS or self.letters > LETTERS:
                oldest, _ = self.prepared.popitem(last=False)
                self.letters -= len(oldest)
        else:
            self.prepared.move_to_end(sql)
        rows = await statement.fetch(*arguments)
        return rows

    async def plan(self, *, once: bool) -> None:
        """Have plans of statements made once for all values, or by PostgreSQL's own judgement."""
        if once == self.steady:
            return
        # Whoever is cancelled just now does not know.
        self.steady = True
        await self.driver.execute(_PLAN_ONCE if once else _PLAN_AS_USUAL)
        self.steady = once


class Kept:
    """At most so many connections, each for one statement at a time; whoever comes later waits their turn.

    Where slow statements hold them all, nobody waits long: what the pool has besides is borrowed for a statement.
    """

    def __init__(self, database: Database, most: int, recycle: float, *, settable: bool = True) -> None:
        """Open none before it is needed; each is given back after `recycle` seconds.

        Where they are not `settable`, as through a pooler, they are left as they are, and nothing is kept on them.
        """
        self._settable = settable
        self._engine = database.primary
        self._besides = Borrowed(database)
        self._free: deque[_Lent] = deque()
        self._turn = asyncio.Semaphore(most)
        self._recycle = recycle
        self._leaving: set[asyncio.Task[None]] = set()
        self._lost_at = 0.0
        event.listen(self._engine.sync_engine, "handle_error", self._note)

    async def fetch(self, sql: str, arguments: Sequence[Any], *, steady: bool) -> Records:
        """The rows of a statement."""
        known = self._settable and len(sql) <= LONGEST
        if not await self._in_turn(PATIENCE + known * OF_A_LETTER * len(sql)):
            return await self._besides.fetch(sql, arguments, steady=steady)
        operation_stats.add(statements=1)
        try:
            lent = self._kept() or await self._borrow()
            try:
                if not self._settable:
                    rows: Records = await lent.driver.fetch(sql, *arguments)
                else:
                    # PostgreSQL would plan most of these each time, which takes as long as running them.
                    await lent.plan(once=steady)
                    rows = await lent.fetch(sql, arguments)
            except BaseException:
                # Whether it can be used again nobody knows: the pool tries it before it lends it to another.
                self._give_back(lent)
                raise
            if time.monotonic() - lent.born > self._recycle:
                self._give_back(lent)
            else:
                self._free.append(lent)
            return rows
        finally:
            self._turn.release()

    def _kept(self) -> _Lent | None:
        """One that is free, and leads to where the pool's new connections lead."""
        while self._free:
            lent = self._free.pop()
            if lent.born > self._lost_at:
                return lent
            self._give_back(lent)
        return None

    def _note(self, error: ExceptionContext) -> None:
        """After a failover the pool lets all go that it has: so do we."""
        if error.is_disconnect:
            self._lost_at = time.monotonic()

    async def _in_turn(self, patience: float) -> bool:
        """Wait for one of the connections, but not long; answers whether there is one now."""
        if not self._turn.locked():
            return await self._turn.acquire()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                return await self._turn.acquire()
        return False

    async def close(self) -> None:
        """Give all back."""
        while self._free:
            self._give_back(self._free.pop())
        await asyncio.gather(*self._leaving)

    async def _borrow(self) -> _Lent:
        connection = await self._engine.connect()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        return _Lent(connection, driver)

    def _give_back(self, lent: _Lent) -> None:
        # A task of its own: whoever gives back may be cancelled just now.
        leaving = asyncio.ensure_future(_close(lent))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)


async def _close(lent: _Lent) -> None:
    with contextlib.suppress(Exception):
        with contextlib.suppress(Exception):
            await lent.plan(once=False)
        if lent.steady or lent.driver.is_closed():
            await lent.connection.invalidate()
        await lent.connection.close()


class Borrowed:
    """A connection of `Database.reading()` for each statement."""

    def __init__(self, database: Database) -> None:
        """Read by this door."""
        self._database = database

    async def fetch(self, sql: str, arguments: Sequence[Any], *, steady: bool) -> Records:
        """The rows of a statement."""
        del steady
        operation_stats.add(statements=1)
        async with self._database.read_connection() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            rows: Records = await driver.fetch(sql, *arguments)
            return rows

    async def close(self) -> None:
        """Nothing is held."""
