"""Two doors to PostgreSQL: `read()` and `reading()` for a statement or a few, `transaction()` for a change.

Nothing else commits. A read takes a connection of its own for as long as its statements run, so that siblings of one
request can read side by side; a transaction holds one session until it ends. What may be a moment old is read by the
bulk door, from a replica where there is one. A database that is away, as while it restarts, is waited for.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy import func, literal_column, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from graphql_api.database import engines
from graphql_api.database.connections import closing_connection
from graphql_api.database.pool_metrics import PoolMetrics
from graphql_api.database.replicas import Replica, ReplicaNotReady
from graphql_api.database.sqlstates import (
    PROTOCOL_VIOLATION_SQLSTATE,
    UNIQUE_VIOLATION_SQLSTATE,
    is_outage,
    is_transient,
    sqlstate,
)
from graphql_api.errors import AlreadyExists, Unavailable
from graphql_api.models import LastWrite

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from uuid import UUID

    from sqlalchemy import ColumnElement

    from graphql_api.settings import Settings

T = TypeVar("T")

UNIQUE_CONSTRAINT_ERRORS = {
    "services_name_key": ("name", "Another service has this name."),
    "services_normalised_service_name_key": ("name", "Another service has this name, or nearly."),
    "ix_organisation_name": ("name", "Another organisation has this name."),
    "domain_pkey": ("domains", "The domain belongs to another organisation."),
    "uix_service_to_key_name": ("name", "A live API key of this service has this name."),
    "ix_users_email_address": ("email_address", "The address is registered."),
}
"""Unique constraints that a caller can run into: the argument that is wrong, and what to tell them."""


RECONNECT_DELAY_SECONDS = (0.02, 0.2)
"""Seconds between two looks for a database that is away: the shortest and the longest."""

_SET_TIMEOUTS = text(
    "SELECT set_config('statement_timeout', :statement, true), set_config('lock_timeout', :lock, true)"
)

_WAL_POSITION: ColumnElement[int] = literal_column("pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")

log = structlog.get_logger(__name__)


class Database:
    """The primary, and a bulk door for reads that may be a moment old (the primary where there is no replica)."""

    def __init__(
        self,
        primary: AsyncEngine,
        replica: Replica | None = None,
        *,
        has_replica: bool = False,
        reconnect_timeout_seconds: float = 0,
        timeouts_ms: tuple[int, int] | None = None,
        notify_compatible: bool | None = None,
    ) -> None:
        """Take engines as they are; `connect` makes them from settings.

        With `timeouts`, milliseconds for a statement and for a lock, each transaction says so itself.
        """
        self.primary = primary
        self.pool_metrics = PoolMetrics()
        self.has_replica = has_replica
        self.unavailable_at = -math.inf
        """When the primary was last found to be away, by the clock of `time.monotonic`."""
        self._replica = replica
        self._reconnect_timeout_seconds = reconnect_timeout_seconds
        self._timeouts_ms = timeouts_ms
        self._session_info = {"notify_compatible": notify_compatible}

    @classmethod
    def connect(cls, settings: Settings) -> Database:
        """Engines by the settings; no connection is made before it is needed."""
        pooled = settings.database_through_pooler
        database = cls(
            engines.primary(settings),
            Replica(engines.bulk(settings), max_lag_seconds=settings.database_bulk_max_lag, through_pooler=pooled),
            has_replica=settings.replica_url is not None,
            reconnect_timeout_seconds=settings.database_patience,
            timeouts_ms=(settings.database_statement_timeout_ms, settings.database_lock_timeout_ms) if pooled else None,
            notify_compatible=settings.notify_compatible,
        )
        database.pool_metrics.watch(database.primary, engines.DEFAULT_BIND)
        database.pool_metrics.watch(database.bulk_engine, engines.BULK_BIND)
        return database

    @property
    def bulk_engine(self) -> AsyncEngine:
        """The engine of reads that may be a moment old."""
        return self._replica.engine if self._replica else self.primary

    async def read(
        self, work: Callable[[AsyncConnection], Awaitable[T]], *, bulk: bool = False, min_position: int = 0
    ) -> T:
        """What `work` reads, each statement by itself; it is run again when the connection is lost meanwhile.

        With `bulk` a replica may answer that has replayed the log up to `after`, which `last_write` tells.
        """
        if bulk and self._replica is not None:
            try:
                with translated_errors():
                    return await self._replica.read(work, min_position)
            except ReplicaNotReady:
                pass
        give_up = time.monotonic() + self._reconnect_timeout_seconds
        while True:
            try:
                async with self.read_connection() as connection:
                    return await work(connection)
            except Unavailable as error:
                if not is_outage(error.__cause__):
                    raise
                self.unavailable_at = time.monotonic()
                if self.unavailable_at >= give_up:
                    raise

    @asynccontextmanager
    async def read_connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection to the primary for reading, each statement by itself."""
        with translated_errors():
            async with closing_connection(await self._connect()) as connection:
                yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end, or rolls back when anything is raised."""
        with translated_errors():
            async with closing_connection(await self._connect()) as connection:
                session = AsyncSession(connection, expire_on_commit=False, info=self._session_info)
                async with session, session.begin():
                    if self._timeouts_ms:
                        await session.execute(
                            _SET_TIMEOUTS, dict(zip(("statement", "lock"), map(str, self._timeouts_ms), strict=True))
                        )
                    yield session

    async def last_write_position(self, caller_id: UUID) -> int:
        """Where in the log the last change of a caller stands, whichever process made it: 0 for none."""

        async def find(connection: AsyncConnection) -> int:
            return await connection.scalar(select(LastWrite.position).where(LastWrite.caller_id == caller_id)) or 0

        return await self.read(find)

    async def record_write(self, caller_id: UUID) -> None:
        """Keep that a caller has just changed something, so that they read no replica that does not have it yet."""
        if not self.has_replica:
            return
        note = insert(LastWrite).values(caller_id=caller_id, position=_WAL_POSITION)
        later = func.greatest(LastWrite.position, note.excluded.position)
        try:
            async with self.read_connection() as connection:
                await connection.execute(
                    note.on_conflict_do_update(index_elements=[LastWrite.caller_id], set_={"position": later})
                )
        except (Unavailable, DBAPIError) as error:
            # The change itself is done, and must not look as if it were not.
            log.warning("change not noted: a replica may hide it from its author", kind=type(error).__qualname__)

    async def close(self) -> None:
        """Let every connection go."""
        await self.primary.dispose()
        if self._replica is not None:
            await self._replica.engine.dispose()

    async def _connect(self) -> AsyncConnection:
        """A connection to the primary, which is waited for while it is away."""
        give_up = time.monotonic() + self._reconnect_timeout_seconds
        while True:
            try:
                return await self.primary.connect()
            except Exception as error:
                if sqlstate(error) == PROTOCOL_VIOLATION_SQLSTATE:
                    log.error("a pooler takes no settings: set DATABASE_THROUGH_POOLER")  # noqa: TRY400 - known
                if not is_outage(error, connecting=True):
                    raise
                self.unavailable_at = time.monotonic()
                if self.unavailable_at >= give_up:
                    raise
            await asyncio.sleep(random.uniform(*RECONNECT_DELAY_SECONDS))  # noqa: S311 - so that not all come at once


class translated_errors:  # noqa: N801 - reads as the statement that it is in `with translated_errors():`
    """Turn what the database says into what a caller can use: a taken value, or a moment's absence."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Translate a unique violation by its constraint, and trouble that is not the caller's."""
        if isinstance(error, IntegrityError) and sqlstate(error) == UNIQUE_VIOLATION_SQLSTATE:
            taken = UNIQUE_CONSTRAINT_ERRORS.get(constraint_name(error))
            if taken:
                raise AlreadyExists(taken[1], taken[0]) from error
        elif is_transient(error):
            raise Unavailable("The database did not answer in time: try again.") from error


def constraint_name(error: IntegrityError) -> str:
    """Name of the constraint that was violated."""
    cause = getattr(error.orig, "__cause__", None)
    return getattr(cause, "constraint_name", None) or ""
