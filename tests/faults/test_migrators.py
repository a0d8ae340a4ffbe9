"""Migrators that run concurrently, are killed, or find a busy database with data."""

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
MAX_READ_SECONDS = 0.3
"""Limit of the readers' 99th percentile while a migration waits for its lock; 0.097 on a quiet machine."""


@pytest_asyncio.fixture
async def empty_url(postgres_url: str) -> AsyncIterator[str]:
    """The URL of an empty database."""
    async with scratch_database(postgres_url) as url:
        yield url


@pytest_asyncio.fixture
async def full_url(empty_url: str) -> str:
    """The URL of a database with every migration, and data."""
    await migrate.upgrade(empty_url)
    await seed.seed(empty_url, signer=Signer((b"seed-key",), b"seed-salt"), notifications=ROWS)
    return empty_url


@pytest.mark.timeout(180)
async def test_one_of_eight_concurrent_migrators_migrates_and_none_fails(empty_url: str) -> None:
    lines = await asyncio.gather(*(run_migrator(empty_url) for _ in range(8)))

    assert [line[:4] for output in lines for line in output if line[:4].isdigit()] == REVISIONS
    assert [output[-1] for output in lines] == [f"The database is at revision {HEAD}."] * 8
    async with open_connection(empty_url) as connection:
        assert await connection.fetchval("SELECT sum(deadlocks) FROM pg_stat_database") == 0


BLOCKING_TRANSACTIONS = {
    "before it is built": ["BEGIN", "LOCK notifications IN ROW EXCLUSIVE MODE"],
    "when it is built": ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1 FROM users LIMIT 1"],
}
"""Transactions that block the build of an index."""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("when", BLOCKING_TRANSACTIONS)
async def test_an_index_left_invalid_by_a_killed_migrator_is_rebuilt(full_url: str, when: str) -> None:
    await migrate.downgrade(full_url, "0014")
    valid = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{INDEX}'::regclass"
    async with open_connection(full_url) as connection, open_connection(full_url) as blocker:
        for statement in BLOCKING_TRANSACTIONS[when]:
            await blocker.execute(statement)
        killed_migrator = await start_migrator(full_url)
        await wait_until(connection, "SELECT phase LIKE 'waiting for%' FROM pg_stat_progress_create_index")
        killed_migrator.kill()
        await killed_migrator.communicate()
        # PostgreSQL detects that the client is disconnected.
        await wait_until(connection, "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'")
        assert await connection.fetchval(valid) is False
        next_migrator = await start_migrator(full_url)
        assert await read_until(next_migrator, "  waiting for older transactions to end, behind pid ")
        await blocker.execute("ROLLBACK")
        rest, _ = await next_migrator.communicate()

        assert await connection.fetchval(valid) is True
    assert rest.decode().splitlines()[-1] == f"The database is at revision {HEAD}."
    await migrate.check(full_url)


@pytest.mark.timeout(180)
async def test_a_migration_that_waits_for_its_lock_hardly_slows_readers(full_url: str) -> None:
    await migrate.downgrade(full_url, "0031")
    waits: list[float] = []
    async with open_connection(full_url) as blocker, asyncio.TaskGroup() as group:
        await blocker.execute("BEGIN")
        await blocker.execute("LOCK api_key_lifetimes IN ACCESS SHARE MODE")
        # This revision adds a column to the table.
        migrator = await start_migrator(full_url, "0032")
        assert await read_until(migrator, "  waiting for AccessExclusiveLock on api_key_lifetimes, behind pid ")
        readers = [group.create_task(read_repeatedly(full_url, waits)) for _ in range(10)]
        await asyncio.sleep(4)
        await blocker.execute("ROLLBACK")
        rest, _ = await migrator.communicate()
        for task in readers:
            task.cancel()

    assert rest.decode().splitlines()[-1] == "The database is at revision 0032."
    quantiles = statistics.quantiles(waits, n=100)
    assert quantiles[98] < MAX_READ_SECONDS, (
        f"of {len(waits)} reads: p50 {quantiles[49]:.4f} s, p99 {quantiles[98]:.4f} s"
    )
    assert len(waits) > 400


@pytest.mark.timeout(600)
async def test_every_revision_goes_down_and_up_without_losing_data(full_url: str, postgres_url: str) -> None:
    schema_dumps: dict[str, str] = {}
    columns: dict[str, dict[str, list[str]]] = {}
    async with scratch_database(postgres_url) as other:
        await migrate.upgrade(other)
        await migrate.downgrade(other, "base")
        for revision in ["base", *REVISIONS]:
            if revision != "base":
                await migrate.upgrade(other, revision)
            schema_dumps[revision] = dump_sql(other)
            columns[revision] = await load_columns(other)
    assert dump_sql(full_url) == schema_dumps[HEAD]

    for revision, lower in zip(REVISIONS[::-1], [*REVISIONS[-2::-1], "base"], strict=True):
        before = await load_checksums(full_url, columns[lower])
        await migrate.downgrade(full_url, lower)
        assert (dump_sql(full_url), await load_checksums(full_url, columns[lower])) == (schema_dumps[lower], before), (
            f"{revision} down"
        )
        await migrate.upgrade(full_url, revision)
        assert (dump_sql(full_url), await load_checksums(full_url, columns[lower])) == (
            schema_dumps[revision],
            before,
        ), f"{revision} up"
        await migrate.downgrade(full_url, lower)


async def read_until(process: asyncio.subprocess.Process, prefix: str) -> bool:
    """Read the output of a process until a line with this prefix; False at its end."""
    assert process.stdout is not None
    async for line in process.stdout:
        if line.decode().startswith(prefix):
            return True
    return False


async def wait_until(connection: asyncpg.Connection, query: str, *, seconds: float = 30) -> None:
    """Wait until a query returns true."""
    async with asyncio.timeout(seconds):
        while not await connection.fetchval(query):  # noqa: ASYNC110 - the condition is in the database
            await asyncio.sleep(0.05)


async def read_repeatedly(url: str, waits: list[float]) -> None:
    """Read about fifteen times a second, and append the latencies."""
    async with open_connection(url) as connection:
        while True:
            started_at = time.perf_counter()
            await connection.fetch("SELECT * FROM api_key_lifetimes LIMIT 5")
            waits.append(time.perf_counter() - started_at)
            await asyncio.sleep(0.066)


async def load_columns(url: str) -> dict[str, list[str]]:
    """The columns of every table."""
    async with open_connection(url) as connection:
        rows = await connection.fetch(
            "SELECT relname, array_agg(attname::text ORDER BY attnum) FROM pg_class"
            " JOIN pg_attribute ON attrelid = pg_class.oid WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped"
            " AND relnamespace = 'public'::regnamespace AND relname <> 'graphql_api_version' GROUP BY 1"
        )
        return dict(rows)


async def load_checksums(url: str, columns: dict[str, list[str]]) -> dict[str, tuple[int, str]]:
    """Row count and checksum of each table."""
    async with open_connection(url) as connection:
        checksums = {}
        for table, names in columns.items():
            columns_sql = ", ".join(f'"{name}"' for name in names)
            checksums[table] = tuple(
                await connection.fetchrow(
                    f"SELECT count(*), md5(string_agg(line, chr(10) ORDER BY line))"
                    f" FROM (SELECT ROW({columns_sql})::text AS line FROM {table}) AS lines"
                )
            )
        return checksums
