"""Two doors to PostgreSQL: `reading()` for one short statement or a few, `transaction()` for a change.

Nothing else commits. A read takes a connection of its own for as long as its statements run, so that siblings of one
request can read side by side; a transaction holds one session until it ends.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine

from graphql_api.errors import AlreadyExists, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.engine import URL

    from graphql_api.settings import Settings

UNIQUE_VIOLATION = "23505"
GONE = frozenset({"57014", "57P01", "57P02", "57P03", "55P03", "53300", "25P03", "08000", "08003", "08006", "40P01"})
"""SQLSTATEs that say nothing of the request: timeouts, shutdowns, too many connections, lost ones."""

TAKEN = {
    "services_name_key": ("name", "Another service has this name."),
    "services_normalised_service_name_key": ("name", "Another service has this name, or nearly."),
    "ix_organisation_name": ("name", "Another organisation has this name."),
    "domain_pkey": ("domains", "The domain belongs to another organisation."),
    "uix_service_to_key_name": ("name", "A live API key of this service has this name."),
    "ix_users_email_address": ("email_address", "The address is registered."),
}
"""Unique constraints that a caller can run into: the argument that is wrong, and what to tell them."""


class Database:
    """The primary, and a bulk door for reads that may be a moment old (the primary where there is none)."""

    def __init__(
        self, primary: AsyncEngine, bulk: AsyncEngine | None = None, *, notify_compatible: bool | None = None
    ) -> None:
        """Take engines as they are; `connect` makes them from settings."""
        self.primary = primary
        self.bulk = bulk or primary
        self._info = {"notify_compatible": notify_compatible}

    @classmethod
    def connect(cls, settings: Settings) -> Database:
        """Engines by the settings; no connection is made before it is needed."""
        bulk = settings.bulk
        return cls(
            _engine(settings, settings.primary),
            _engine(settings, bulk) if bulk else None,
            notify_compatible=settings.notify_compatible,
        )

    @asynccontextmanager
    async def reading(self, *, bulk: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection for reading, each statement by itself."""
        engine = self.bulk if bulk else self.primary
        with translated_errors():
            async with engine.connect() as connection:
                yield await connection.execution_options(isolation_level="AUTOCOMMIT")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end, or rolls back when anything is raised."""
        with translated_errors():
            session = AsyncSession(self.primary, expire_on_commit=False, info=self._info)
            async with session, session.begin():
                yield session

    async def close(self) -> None:
        """Let every connection go."""
        await self.primary.dispose()
        if self.bulk is not self.primary:
            await self.bulk.dispose()


class translated_errors:  # noqa: N801 - reads as the statement that it is in `with translated_errors():`
    """Turn what the database says into what a caller can use: a taken value, or a moment's absence."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Translate a unique violation by its constraint, and trouble that is not the caller's."""
        if isinstance(error, IntegrityError) and sqlstate(error) == UNIQUE_VIOLATION:
            taken = TAKEN.get(constraint(error))
            if taken:
                raise AlreadyExists(taken[1], taken[0]) from error
        elif isinstance(
            error, PoolTimeoutError | OperationalError | InterfaceError | OSError | asyncio.TimeoutError
        ) or (isinstance(error, DBAPIError) and (error.connection_invalidated or sqlstate(error) in GONE)):
            raise Unavailable("The database did not answer in time: try again.") from error


def sqlstate(error: DBAPIError) -> str | None:
    """The five characters by which PostgreSQL names an error."""
    return getattr(error.orig, "sqlstate", None)


def constraint(error: IntegrityError) -> str:
    """Name of the constraint that was violated."""
    cause = getattr(error.orig, "__cause__", None)
    return getattr(cause, "constraint_name", None) or ""


def _engine(settings: Settings, url: URL) -> AsyncEngine:
    arguments: dict[str, Any] = {"timeout": settings.database_connect_timeout}
    if settings.database_through_pooler:
        arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
    else:
        arguments["server_settings"] = {
            "application_name": "notify-graphql",
            "timezone": "UTC",
            "statement_timeout": str(settings.database_statement_timeout_ms),
            "lock_timeout": str(settings.database_lock_timeout_ms),
            "idle_in_transaction_session_timeout": "10000",
            "jit": "off",
        }
    return create_async_engine(
        url,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=settings.database_pool_timeout,
        pool_recycle=settings.database_pool_recycle,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=arguments,
    )
