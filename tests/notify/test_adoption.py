"""Migrations of a database that Notify made leave its tables unchanged, byte for byte, and add ours."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from graphql_api import migrate, models, postgres
from graphql_api.migrate.database_origins import NOTIFY_TABLES
from graphql_api.settings import asyncpg_url
from tests.models.databases import dump_sql, open_connection, scratch_database
from tests.notify.dumps import DUMP_PATH, needs_dump

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.schema import SchemaItem

pytestmark = needs_dump


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[str]:
    """The address of the dump, restored."""
    async with scratch_database(postgres_url) as url:
        restore = [str(postgres.find_binaries() / "pg_restore"), "--no-owner", "--dbname", url, str(DUMP_PATH)]
        await asyncio.to_thread(subprocess.run, restore, check=True, capture_output=True)
        yield url


async def tables_of(url: str) -> list[str]:
    async with open_connection(url) as connection:
        rows = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace"
        )
        return [name for (name,) in rows]


async def test_its_tables_and_rows_stay_unchanged(database: str) -> None:
    theirs = await tables_of(database)
    assert len(theirs) == 79  # 78 tables and a view
    schema, rows = dump_sql(database, *theirs), dump_sql(database, *theirs, section="--data-only")

    await migrate.upgrade(database)

    assert dump_sql(database, *theirs) == schema
    assert dump_sql(database, *theirs, section="--data-only") == rows
    await migrate.check(database)


async def test_downgrading_restores_the_database(database: str) -> None:
    before = dump_sql(database)
    await migrate.upgrade(database)

    await migrate.downgrade(database, "0013")

    async with open_connection(database) as connection:
        await connection.execute("DROP TABLE graphql_api_version")
    assert dump_sql(database) == before


async def test_the_models_are_of_its_tables(database: str) -> None:
    def include(_item: SchemaItem, name: str | None, kind: str, reflected: bool, other: SchemaItem | None) -> bool:
        if kind == "table":
            return name in NOTIFY_TABLES - {"notifications_all_time_view"}
        # Without our indexes.
        return not (kind == "index" and not reflected and other is None)

    def differences(connection: Connection) -> Any:
        options = {"compare_type": True, "compare_server_default": True, "include_object": include}
        return compare_metadata(MigrationContext.configure(connection, opts=options), models.Model.metadata)

    engine = create_async_engine(asyncpg_url(database), poolclass=NullPool)
    async with engine.connect() as connection:
        differences_ = await connection.run_sync(differences)

    assert differences_ == []
