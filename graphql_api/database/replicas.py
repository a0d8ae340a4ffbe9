"""Reads from a replica, as long as it has replayed enough of the WAL; `ReplicaNotReady` sends them to the primary."""

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
"""Seconds for which the replication state read on a connection is reused."""
REPLICA_RETRY_SECONDS = 1.0
"""Seconds before a replica that could not be reached is tried again."""
MAX_READ_ATTEMPTS = 2
"""Attempts at a read that is cancelled by a recovery conflict."""

_STATE_KEY = "replication state"
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
    """The replica is unavailable, or has not replayed enough: read from the primary."""


class ReplicationState(NamedTuple):
    """The state of a connection's server: when it was read, WAL bytes replayed, and the lag in seconds."""

    read_at: float
    in_recovery: bool
    replayed_position: int
    lag_seconds: float

    def is_caught_up(self, min_position: int, max_lag_seconds: float) -> bool:
        """Whether it has replayed up to `min_position`, and lags by `max_lag_seconds` at most; a primary always has."""
        return not self.in_recovery or (self.replayed_position >= min_position and self.lag_seconds <= max_lag_seconds)


class Replica:
    """The bulk engine, which may lead to the primary too; for reads only."""

    def __init__(self, engine: AsyncEngine, *, max_lag_seconds: float = math.inf, through_pooler: bool = False) -> None:
        """Read through this engine; with `through_pooler`, each transaction may reach another server."""
        self.engine = engine
        self._max_lag_seconds = max_lag_seconds
        self._through_pooler = through_pooler
        self._circuit_breaker = CircuitBreaker(REPLICA_RETRY_SECONDS)

    async def read(self, work: Callable[[AsyncConnection], Awaitable[T]], min_position: int) -> T:
        """The result of `work`, which may run twice. Raises `ReplicaNotReady`."""
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
            # The pooler takes no settings of a session: each read is a read-only transaction.
            return await connection.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=True)
        return await connection.execution_options(isolation_level="AUTOCOMMIT")

    async def _require_caught_up(self, connection: AsyncConnection, min_position: int) -> None:
        """Raise `ReplicaNotReady` unless the server is caught up; a cached state that is not enough is read again."""
        info: dict[str, Any] = (await connection.get_raw_connection()).info
        state: ReplicationState | None = info.get(_STATE_KEY)
        now = time.monotonic()
        if (
            state is not None
            and not self._through_pooler
            and now - state.read_at < STATE_TTL_SECONDS
            and state.is_caught_up(min_position, self._max_lag_seconds)
        ):
            return
        row = (await connection.execute(_SELECT_STATE)).one()
        lag = math.inf if row.lag is None else row.lag
        info[_STATE_KEY] = state = ReplicationState(now, row.recovering, row.position or 0, lag)
        if not state.is_caught_up(min_position, self._max_lag_seconds):
            raise ReplicaNotReady
