"""The indexes that our lists are read by: where Notify made the tables, they come only when an operator asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from graphql_api import models
from graphql_api.errors import CommandError
from graphql_api.migrate.connections import open_connection
from graphql_api.migrate.database_origins import MIGRATION_LOCK_ID, NOTIFY_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

# It waits for older transactions without blocking anybody, so it may wait as long as it takes.
SERVER_SETTINGS = {"lock_timeout": "0", "statement_timeout": "0", "application_name": "migrate"}

SELECT_VALID_INDEXES = sa.text(
    "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indisvalid"
)


async def build(url: str, *, write_line: Callable[[str], None]) -> None:
    """Build the indexes of ours that Notify's tables lack, one by one and beside traffic; tell each, and the end.

    Raises Complaint while somebody else migrates.
    """
    async with open_connection(url, SERVER_SETTINGS) as connection:
        if not await connection.scalar(sa.select(sa.func.pg_try_advisory_lock(MIGRATION_LOCK_ID))):
            raise CommandError("Somebody else migrates the database: try again when they are done.")
        for index in await _missing_indexes(connection):
            # What a try that was broken off has left is invalid.
            await connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}")
            made = str(sa.schema.CreateIndex(index).compile(dialect=connection.dialect))
            await connection.exec_driver_sql(made.replace("INDEX", "INDEX CONCURRENTLY", 1))
            write_line(str(index.name))
    write_line("All indexes that we read by are there.")


async def _missing_indexes(connection: AsyncConnection) -> list[sa.Index]:
    valid = set(await connection.scalars(SELECT_VALID_INDEXES))
    return [
        index
        for table in models.Model.metadata.sorted_tables
        if table.name in NOTIFY_TABLES
        for index in sorted(table.indexes, key=lambda index: str(index.name))
        if index.name not in valid
    ]
