"""Databases with demo data; tests that only read share one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from graphql_api import models, seed
from graphql_api.auth.crypto import Signer
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings
from tests.models.databases import cloned

NOW = datetime(2026, 10, 27, 14, 30)  # noqa: DTZ001 - naive UTC; the day after next from the one of 25 hours
SIGNER = Signer((b"seed-key",), b"seed-salt")
NOTIFICATIONS = 3_000

DatabaseFactory = Callable[[], Awaitable[str]]


@pytest_asyncio.fixture(scope="session")
async def create_database(postgres_url: str) -> AsyncIterator[DatabaseFactory]:
    """Creates databases with empty tables."""
    async with AsyncExitStack() as databases:

        async def create() -> str:
            return await databases.enter_async_context(cloned(postgres_url))

        yield create


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The object store of the seeded database."""
    return local_store(tmp_path_factory.mktemp("store"))


@pytest_asyncio.fixture(scope="session")
async def url(create_database: DatabaseFactory, object_store: Store) -> str:
    """A seeded database."""
    url = await create_database()
    await seed.seed(url, signer=SIGNER, notifications=NOTIFICATIONS, now=NOW, store=object_store)
    return url


@pytest_asyncio.fixture(scope="session")
async def demo(url: str) -> seed.Demo:
    """The demo of the seeded database, as a second run returns it."""
    return await seed.seed(url, signer=SIGNER)


@pytest_asyncio.fixture
async def db(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the seeded database."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


def local_store(folder: Path) -> Store:
    """A store in a folder."""
    return Store.connect(Settings.model_validate({"data_dir": folder}))


async def table_digests(url: str) -> dict[str, str]:
    """A digest of every table, and of every index."""
    connection = await asyncpg.connect(url)
    digests = {}
    # The change log holds times of writing, which differ between runs.
    for table in models.Model.metadata.sorted_tables:
        if table.name == "change_log":
            continue
        digests[table.name] = await connection.fetchval(
            f"SELECT coalesce(md5(string_agg(row::text, '|' ORDER BY row::text)), '') FROM {table.name} AS row"
        )
    digests["indexes"] = await connection.fetchval(
        "SELECT string_agg(indexdef, ';' ORDER BY indexdef) FROM pg_indexes WHERE schemaname = 'public'"
    )
    await connection.close()
    return digests
