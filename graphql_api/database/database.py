"""Access to PostgreSQL: `read()` and `read_connection()` for statements that read, `transaction()` for changes.

Nothing else commits. A read takes a connection for as long as its statements run, so that the fields of one request can
read concurrently; a transaction holds one session until it ends. Bulk reads, which may be slightly stale, go to the
replica where there is one. An unavailable database, as during a restart, is waited for.
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
"""Unique constraints that a caller can violate: the argument that is wrong, and the message."""

RECONNECT_DELAY_SECONDS = (0.02, 0.2)
"""Bounds of the random delay between two attempts to connect to an unavailable database."""

_SET_TIMEOUTS = text(
    "SELECT set_config('statement_timeout', :statement, true), set_config('lock_timeout', :lock, true)"
)

_WAL_POSITION: ColumnElement[int] = literal_column("pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")

log = structlog.get_logger(__name__)


class Database:
    """The primary, and an engine for bulk reads: the replica's, or another pool of the primary's."""

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
        """Use these engines; `connect` makes them from settings.

        With `timeouts_ms`, of a statement and of a lock, each transaction sets its timeouts itself.
        """
        self.primary = primary
        self.pool_metrics = PoolMetrics()
        self.has_replica = has_replica
        self.unavailable_at = -math.inf
        """When the primary was last unavailable, by `time.monotonic`."""
        self._replica = replica
        self._reconnect_timeout_seconds = reconnect_timeout_seconds
        self._timeouts_ms = timeouts_ms
        self._session_info = {"notify_compatible": notify_compatible}

    @classmethod
    def connect(cls, settings: Settings) -> Database:
        """Engines by the settings, which connect when they are first used."""
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
        """The engine of reads that may be slightly stale."""
        return self._replica.engine if self._replica else self.primary

    async def read(
        self, work: Callable[[AsyncConnection], Awaitable[T]], *, bulk: bool = False, min_position: int = 0
    ) -> T:
        """The result of `work`, whose statements are not in one transaction; run again when the connection is lost.

        With `bulk` it may run on a replica that has replayed the WAL up to `min_position` (see `last_write_position`).
        """
        if bulk and self._replica is not None:
            try:
                with translated_errors():
                    return await self._replica.read(work, min_position)
            except ReplicaNotReady:
                pass
        deadline = time.monotonic() + self._reconnect_timeout_seconds
        while True:
            try:
                async with self.read_connection() as connection:
                    return await work(connection)
            except Unavailable as error:
                if not is_outage(error.__cause__):
                    raise
                self.unavailable_at = time.monotonic()
                if self.unavailable_at >= deadline:
                    raise

    @asynccontextmanager
    async def read_connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection to the primary in autocommit mode, for reads."""
        with translated_errors():
            async with closing_connection(await self._connect()) as connection:
                yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block, or rolls back when an error is raised."""
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
        """The WAL position, in bytes, of a caller's last change in any process; 0 for none."""

        async def find(connection: AsyncConnection) -> int:
            return await connection.scalar(select(LastWrite.position).where(LastWrite.caller_id == caller_id)) or 0

        return await self.read(find)

    async def record_write(self, caller_id: UUID) -> None:
        """Record that a caller has changed something, so that they read from no replica that has not replayed it."""
        if not self.has_replica:
            return
        statement = insert(LastWrite).values(caller_id=caller_id, position=_WAL_POSITION)
        position = func.greatest(LastWrite.position, statement.excluded.position)
        try:
            async with self.read_connection() as connection:
                await connection.execute(
                    statement.on_conflict_do_update(index_elements=[LastWrite.caller_id], set_={"position": position})
                )
        except (Unavailable, DBAPIError) as error:
            # The change itself is committed: its response must not be an error.
            log.warning(
                "write position not recorded",
                kind=type(error).__qualname__,
            )

    async def close(self) -> None:
        """Close all connections."""
        await self.primary.dispose()
        if self._replica is not None:
            await self._replica.engine.dispose()

    async def _connect(self) -> AsyncConnection:
        """A connection to the primary, which is waited for while it is unavailable."""
        deadline = time.monotonic() + self._reconnect_timeout_seconds
        while True:
            try:
                return await self.primary.connect()
            except Exception as error:
                if sqlstate(error) == PROTOCOL_VIOLATION_SQLSTATE:
                    log.error("a pooler takes no settings: set DATABASE_THROUGH_POOLER")  # noqa: TRY400 - the cause is known
                if not is_outage(error, connecting=True):
                    raise
                self.unavailable_at = time.monotonic()
                if self.unavailable_at >= deadline:
                    raise
            await asyncio.sleep(random.uniform(*RECONNECT_DELAY_SECONDS))  # noqa: S311 - jitter


class translated_errors:  # noqa: N801 - reads as the statement that it is in `with translated_errors():`
    """Translate errors of the database into `AlreadyExists` or `Unavailable`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IntegrityError) and sqlstate(error) == UNIQUE_VIOLATION_SQLSTATE:
            argument, message = UNIQUE_CONSTRAINT_ERRORS.get(constraint_name(error), (None, ""))
            if argument is not None:
                raise AlreadyExists(message, argument) from error
        elif is_transient(error):
            raise Unavailable("The database did not answer in time: try again.") from error


def constraint_name(error: IntegrityError) -> str:
    """The name of the violated constraint; empty when the driver gives none."""
    cause = getattr(error.orig, "__cause__", None)
    return getattr(cause, "constraint_name", None) or ""
