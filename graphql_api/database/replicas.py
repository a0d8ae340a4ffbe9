"""Reading from a replica: only one that has come far enough, and the primary instead whenever it has not."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import text

from graphql_api.database import sqlstates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

KNOWN_FOR = 1.0
"""Seconds for which the standing of a connection's server is taken as it was."""
AWAY_FOR = 1.0
"""Seconds for which a replica that could not be reached is not looked for again."""
TRIES = 2
"""A statement that was in the way of what the replica had to replay is run once more."""

_STANDING = "standing"
_READ_STANDING = text(
    """
    SELECT pg_is_in_recovery() AS recovering, pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint AS position,
        CASE
            WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver)
            THEN 0
            ELSE EXTRACT(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::double precision
        END AS lag
    """
)


@asynccontextmanager
async def lent(connection: AsyncConnection) -> AsyncIterator[AsyncConnection]:
    """A connection of a pool, until the block ends; it goes back whoever may be cancelled meanwhile."""
    try:
        yield connection
    finally:
        await asyncio.shield(connection.close())


class Unfit(Exception):
    """The replica is not there, or not far enough: ask the primary."""


class Standing(NamedTuple):
    """How far the server of a connection had come, and when it said so: bytes of the log, and seconds behind."""

    read_at: float
    recovering: bool
    position: int
    lag: float

    def fits(self, after: int, most: float) -> bool:
        """Whether it may answer somebody whose last change stands at `after`, being `most` seconds behind at most."""
        return not self.recovering or (self.position >= after and self.lag <= most)


class Replica:
    """The bulk engine, which may lead to the primary too. Reads only, each at once and without a trace."""

    def __init__(self, engine: AsyncEngine, *, most_lag: float = math.inf, pooled: bool = False) -> None:
        """Read by this engine; `pooled` where each transaction may meet another server."""
        self.engine = engine
        self._most_lag = most_lag
        self._pooled = pooled
        self._away_until = 0.0

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]], after: int) -> T:
        """What `work` answers; it may be run twice. Raises `Unfit` where the primary should be asked."""
        for _ in range(TRIES):
            connection = await self._connect()
            try:
                async with lent(connection):
                    await self._check(connection, after)
                    return await work(connection)
            except Exception as error:
                if sqlstates.is_conflict(error):
                    continue
                if sqlstates.is_outage(error):
                    raise Unfit from error
                raise
        raise Unfit

    async def _connect(self) -> AsyncConnection:
        if time.monotonic() < self._away_until:
            raise Unfit
        try:
            connection = await self.engine.connect()
        except Exception as error:
            if not sqlstates.is_outage(error, connecting=True):
                raise
            self._away_until = time.monotonic() + AWAY_FOR
            raise Unfit from error
        if self._pooled:
            # The pooler takes no settings for a whole connection: each read is a transaction that may not write.
            return await connection.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=True)
        return await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def _check(self, connection: AsyncConnection, after: int) -> None:
        """Let a server answer that has come far enough; it is asked again when what is known of it is not enough."""
        info: dict[str, Any] = (await connection.get_raw_connection()).info
        known: Standing | None = info.get(_STANDING)
        now = time.monotonic()
        if (
            known is not None
            and not self._pooled
            and now - known.read_at < KNOWN_FOR
            and known.fits(after, self._most_lag)
        ):
            return
        row = (await connection.execute(_READ_STANDING)).one()
        lag = math.inf if row.lag is None else row.lag
        info[_STANDING] = found = Standing(now, row.recovering, row.position or 0, lag)
        if not found.fits(after, self._most_lag):
            raise Unfit
