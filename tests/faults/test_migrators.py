"""Migrators that meet, are killed, or find the database busy and full."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from graphql_api import migrate, seed
from graphql_api.auth.crypto import Signer
from tests.migrations import REVISIONS, run_migrator, start_migrator
from tests.models.databases import dump_sql, open_connection, scratch_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

HEAD = REVISIONS[-1]
ROWS = 10_000
INDEX = "ix_notifications_job_id_created_at_id"
STALL = 0.3
"""Seconds that one of a hundred readers may wait while a migration tries to get its lock; 0.097 on a quiet machine."""


@pytest_asyncio.fixture
async def empty(postgres_url: str) -> AsyncIterator[str]:
    """The address of an empty database."""
    async with scratch_database(postgres_url) as url:
        yield url


@pytest_asyncio.fixture
async def full(empty: str) -> str:
    """The address of a database with every migration, and data."""
    await migrate.upgrade(empty)
    await seed.seed(empty, signer=Signer((b"seed-key",), b"seed-salt"), notifications=ROWS)
    return empty


@pytest.mark.timeout(180)
async def test_one_of_eight_concurrent_migrators_migrates_and_none_fails(empty: str) -> None:
    lines = await asyncio.gather(*(run_migrator(empty) for _ in range(8)))

    assert [line[:4] for one in lines for line in one if line[:4].isdigit()] == REVISIONS
    assert [one[-1] for one in lines] == [f"The database is at revision {HEAD}."] * 8
    async with open_connection(empty) as connection:
        assert await connection.fetchval("SELECT sum(deadlocks) FROM pg_stat_database") == 0


OLDER = {
    "before it is built": ["BEGIN", "LOCK notifications IN ROW EXCLUSIVE MODE"],
    "when it is built": ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1 FROM users LIMIT 1"],
}
"""Transactions that an index waits for."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("when", OLDER)
async def test_an_index_left_invalid_by_a_killed_migrator_is_rebuilt(full: str, when: str) -> None:
    await migrate.downgrade(full, "0014")
    valid = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{INDEX}'::regclass"
    async with open_connection(full) as connection, open_connection(full) as older:
        for statement in OLDER[when]:
            await older.execute(statement)
        killed = await start_migrator(full)
        await until(connection, "SELECT phase LIKE 'waiting for%' FROM pg_stat_progress_create_index")
        killed.kill()
        await killed.communicate()
        # PostgreSQL finds out by itself that nobody waits for the index any more.
        await until(connection, "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'")
        assert await connection.fetchval(valid) is False
        following = await start_migrator(full)
        assert await said(following, "  waiting for older transactions to end, behind pid ")
        await older.execute("ROLLBACK")
        rest, _ = await following.communicate()

        assert await connection.fetchval(valid) is True
    assert rest.decode().splitlines()[-1] == f"The database is at revision {HEAD}."
    await migrate.check(full)


@pytest.mark.timeout(180)
async def test_a_migration_that_waits_for_its_lock_hardly_slows_readers(full: str) -> None:
    await migrate.downgrade(full, "0031")
    waits: list[float] = []
    async with open_connection(full) as blocker, asyncio.TaskGroup() as group:
        await blocker.execute("BEGIN")
        await blocker.execute("LOCK api_key_lifetimes IN ACCESS SHARE MODE")
        # It adds a column to that table.
        migrating = await start_migrator(full, "0032")
        assert await said(migrating, "  waiting for AccessExclusiveLock on api_key_lifetimes, behind pid ")
        reading = [group.create_task(read_now_and_then(full, waits)) for _ in range(10)]
        await asyncio.sleep(4)
        await blocker.execute("ROLLBACK")
        rest, _ = await migrating.communicate()
        for task in reading:
            task.cancel()

    assert rest.decode().splitlines()[-1] == "The database is at revision 0032."
    quantiles = statistics.quantiles(waits, n=100)
    assert quantiles[98] < STALL, f"of {len(waits)} reads: p50 {quantiles[49]:.4f} s, p99 {quantiles[98]:.4f} s"
    assert len(waits) > 400


@pytest.mark.timeout(600)
async def test_every_revision_goes_down_and_up_without_losing_data(full: str, postgres_url: str) -> None:
    shapes: dict[str, str] = {}
    columns: dict[str, dict[str, list[str]]] = {}
    async with scratch_database(postgres_url) as other:
        await migrate.upgrade(other)
        await migrate.downgrade(other, "base")
        for revision in ["base", *REVISIONS]:
            if revision != "base":
                await migrate.upgrade(other, revision)
            shapes[revision] = dump_sql(other)
            columns[revision] = await columns_of(other)
    assert dump_sql(full) == shapes[HEAD]

    for revision, lower in zip(REVISIONS[::-1], [*REVISIONS[-2::-1], "base"], strict=True):
        before = await sums(full, columns[lower])
        await migrate.downgrade(full, lower)
        assert (dump_sql(full), await sums(full, columns[lower])) == (shapes[lower], before), f"{revision} down"
        await migrate.upgrade(full, revision)
        assert (dump_sql(full), await sums(full, columns[lower])) == (shapes[revision], before), f"{revision} up"
        await migrate.downgrade(full, lower)


async def said(process: asyncio.subprocess.Process, beginning: str) -> bool:
    """Read what a process says until a line begins so, or nothing comes any more."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.decode().startswith(beginning):
            return True
    return False


async def until(connection: asyncpg.Connection, question: str, *, seconds: float = 30) -> None:
    """Wait until a question is answered with true."""
    async with asyncio.timeout(seconds):
        while not await connection.fetchval(question):  # noqa: ASYNC110 it is PostgreSQL that we wait for
            await asyncio.sleep(0.05)


async def read_now_and_then(url: str, waits: list[float]) -> None:
    """Read some fifteen times a second, and note how long it took."""
    async with open_connection(url) as connection:
        while True:
            began = time.perf_counter()
            await connection.fetch("SELECT * FROM api_key_lifetimes LIMIT 5")
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.066)


async def columns_of(url: str) -> dict[str, list[str]]:
    """The columns of every table."""
    async with open_connection(url) as connection:
        rows = await connection.fetch(
            "SELECT relname, array_agg(attname::text ORDER BY attnum) FROM pg_class"
            " JOIN pg_attribute ON attrelid = pg_class.oid WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped"
            " AND relnamespace = 'public'::regnamespace AND relname <> 'graphql_api_version' GROUP BY 1"
        )
        return dict(rows)


async def sums(url: str, columns: dict[str, list[str]]) -> dict[str, tuple[int, str]]:
    """How many rows each table has, and a checksum of them."""
    async with open_connection(url) as connection:
        found = {}
        for table, names in columns.items():
            listed = ", ".join(f'"{name}"' for name in names)
            found[table] = tuple(
                await connection.fetchrow(
                    f"SELECT count(*), md5(string_agg(line, chr(10) ORDER BY line))"
                    f" FROM (SELECT ROW({listed})::text AS line FROM {table}) AS lines"
                )
            )
        return found
