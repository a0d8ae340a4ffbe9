"""Direct connections for migrations."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine

from graphql_api.migrate import connection_errors
from graphql_api.settings import asyncpg_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sqlalchemy.ext.asyncio import AsyncConnection


@asynccontextmanager
async def open_connection(url: str, settings: Mapping[str, str] | None = None) -> AsyncIterator[AsyncConnection]:
    """A connection with these server settings, in autocommit mode.

    Raises `CommandError` for the errors of `connection_errors`.
    """
    engine = create_async_engine(
        asyncpg_url(url),
        poolclass=pool.NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"server_settings": dict(settings or {})},
    )
    with connection_errors.translate_database_errors():
        async with engine.connect() as connection:
            yield connection
