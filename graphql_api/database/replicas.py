"""Reading from a replica: only one that has come far enough, and the primary instead whenever it has not."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import text

from graphql_api.database import sqlstates
from graphql_api.database.circuit_breaker import CircuitBreaker
from graphql_api.database.connections import closing_connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

STATE_TTL_SECONDS = 1.0
"""Seconds for which the standing of a connection's server is taken as it was."""
REPLICA_RETRY_SECONDS = 1.0
"""Seconds for which a replica that could not be reached is not looked for again."""
MAX_READ_ATTEMPTS = 2
"""A statement that was in the way of what the replica had to replay is run once more."""

_STATE_KEY = "standing"
_SELECT_STATE = text(
    """
    SELECT pg_is_in_recovery() AS recovering, pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint AS position,
        CASE
            WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver)
            THEN 0
            ELSE EXTRACT(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::double precision
        END AS lag
    """
)


class ReplicaNotReady(Exception):
    """The replica is not there, or not far enough: ask the primary."""


class ReplicationState(NamedTuple):
    """How far the server of a connection had come, and when it said so: bytes of the log, and seconds behind."""

    read_at: float
    in_recovery: bool
    replayed_position: int
    lag_seconds: float

    def is_caught_up(self, min_position: int, max_lag_seconds: float) -> bool:
        """Whether it may answer somebody whose last change stands at `after`, being `most` seconds behind at most."""
        return not self.in_recovery or (self.replayed_position >= min_position and self.lag_seconds <= max_lag_seconds)


class Replica:
    """The bulk engine, which may lead to the primary too. Reads only, each at once and without a trace."""

    def __init__(self, engine: AsyncEngine, *, max_lag_seconds: float = math.inf, through_pooler: bool = False) -> None:
        """Read by this engine; `pooled` where each transaction may meet another server."""
        self.engine = engine
        self._max_lag_seconds = max_lag_seconds
        self._through_pooler = through_pooler
        self._circuit_breaker = CircuitBreaker(REPLICA_RETRY_SECONDS)

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]], min_position: int) -> T:
        """What `work` answers; it may be run twice. Raises `Unfit` where the primary should be asked."""
        for _ in range(MAX_READ_ATTEMPTS):
            connection = await self._connect()
            try:
                async with closing_connection(connection):
                    await self._require_caught_up(connection, min_position)
                    return await work(connection)
            except Exception as error:
                if sqlstates.is_recovery_conflict(error):
                    continue
                if sqlstates.is_outage(error):
                    raise ReplicaNotReady from error
                raise
        raise ReplicaNotReady

    async def _connect(self) -> AsyncConnection:
        if self._circuit_breaker.is_open:
            raise ReplicaNotReady
        try:
            connection = await self.engine.connect()
        except Exception as error:
            if not sqlstates.is_outage(error, connecting=True):
                raise
            self._circuit_breaker.record_failure()
            raise ReplicaNotReady from error
        if self._through_pooler:
            # The pooler takes no settings for a whole connection: each read is a transaction that may not write.
            return await connection.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=True)
        return await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def _require_caught_up(self, connection: AsyncConnection, min_position: int) -> None:
        """Let a server answer that has come far enough; it is asked again when what is known of it is not enough."""
        info: dict[str, Any] = (await connection.get_raw_connection()).info
        known: ReplicationState | None = info.get(_STATE_KEY)
        now = time.monotonic()
        if (
            known is not None
            and not self._through_pooler
            and now - known.read_at < STATE_TTL_SECONDS
            and known.is_caught_up(min_position, self._max_lag_seconds)
        ):
            return
        row = (await connection.execute(_SELECT_STATE)).one()
        lag = math.inf if row.lag is None else row.lag
        info[_STATE_KEY] = found = ReplicationState(now, row.recovering, row.position or 0, lag)
        if not found.is_caught_up(min_position, self._max_lag_seconds):
            raise ReplicaNotReady
