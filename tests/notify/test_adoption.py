"""A database that Notify made is taken over as it is: its tables stay, down to the last byte, and ours come beside."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest_asyncio

from graphql_api import migrate, postgres
from tests.models.databases import connected, scratch, shape
from tests.notify.dumps import DUMP, needs_dump

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = needs_dump


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[str]:
    """The address of the dump, restored."""
    async with scratch(postgres_url) as url:
        restore = [str(postgres.find_binaries() / "pg_restore"), "--no-owner", "--dbname", url, str(DUMP)]
        await asyncio.to_thread(subprocess.run, restore, check=True, capture_output=True)
        yield url


async def tables_of(url: str) -> list[str]:
    async with connected(url) as connection:
        found = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace = 'public'::regnamespace"
        )
        return [name for (name,) in found]


async def test_its_tables_stay_byte_for_byte_and_hold_what_they_held(database: str) -> None:
    theirs = await tables_of(database)
    assert len(theirs) == 79  # 78 tables and a view
    schema, rows = shape(database, *theirs), shape(database, *theirs, part="--data-only")

    await migrate.upgrade(database)

    assert shape(database, *theirs) == schema
    assert shape(database, *theirs, part="--data-only") == rows
    await migrate.check(database)


async def test_it_can_be_given_back(database: str) -> None:
    before = shape(database)
    await migrate.upgrade(database)

    await migrate.downgrade(database, "0013")

    async with connected(database) as connection:
        await connection.execute("DROP TABLE graphql_api_version")
    assert shape(database) == before
