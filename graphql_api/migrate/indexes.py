"""Our indexes on tables that GOV.UK Notify created, built only on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from graphql_api import models
from graphql_api.errors import CommandError
from graphql_api.migrate.connections import open_connection
from graphql_api.migrate.database_origins import NOTIFY_TABLES
from graphql_api.migrate.locks import try_migration_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

# CREATE INDEX CONCURRENTLY waits for older transactions without blocking writers, so without a timeout.
SERVER_SETTINGS = {"lock_timeout": "0", "statement_timeout": "0", "application_name": "migrate"}

SELECT_VALID_INDEXES = sa.text(
    "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indisvalid"
)


async def build(url: str, *, write_line: Callable[[str], None]) -> None:
    """Build the indexes that Notify's tables lack, concurrently, one by one; `write_line` gets the name of each.

    Raises `CommandError` while another process migrates the database.
    """
    async with open_connection(url, SERVER_SETTINGS) as connection:
        if not await try_migration_lock(connection):
            raise CommandError("Another process migrates the database: try again later.")
        for index in await _missing_indexes(connection):
            # An interrupted build leaves an invalid index.
            await connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")
            statement = str(sa.schema.CreateIndex(index).compile(dialect=connection.dialect))
            await connection.exec_driver_sql(statement.replace("INDEX", "INDEX CONCURRENTLY", 1))
            write_line(str(index.name))
    write_line("All indexes exist.")


async def _missing_indexes(connection: AsyncConnection) -> list[sa.Index]:
    valid = set(await connection.scalars(SELECT_VALID_INDEXES))
    return [
        index
        for table in models.Model.metadata.sorted_tables
        if table.name in NOTIFY_TABLES
        for index in sorted(table.indexes, key=lambda index: str(index.name))
        if index.name not in valid
    ]
