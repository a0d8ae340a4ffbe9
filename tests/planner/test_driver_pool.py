"""Pinned connections: bounded in number and in prepared statements, and returned to the pool as they were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from asyncpg import QueryCanceledError
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.database.database import Database
from graphql_api.errors import Unavailable
from graphql_api.gateways.object_store import Store
from graphql_api.http.requests import Operation
from graphql_api.planner import Planner, driver_pool
from graphql_api.planner.driver_pool import PinnedConnections
from graphql_api.settings import Settings
from schema import schema
from tests.waiting import never_idle_too_long, until

SLEEPING_STATEMENTS_QUERY = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE query LIKE '%sleep(600)' AND state = 'active' AND datname = current_database()"
)
PLAN_CACHE_MODE_QUERY = "SELECT current_setting('plan_cache_mode')"
PREPARED_COUNT_QUERY = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%/* prepared */%'"


@pytest_asyncio.fixture
async def pool(database_url: str, settings: Settings) -> AsyncIterator[Database]:
    """A database with a pool of its own, of two connections."""
    pooled = {"database_url": SecretStr(database_url), "database_pool_size": 2}
    database = Database.connect(settings.model_copy(update=pooled))
    never_idle_too_long(database.primary)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def pinned(pool: Database) -> AsyncIterator[PinnedConnections]:
    """One of its connections, pinned."""
    pinned = PinnedConnections(pool, 1, 300)
    yield pinned
    await pinned.close()


async def fetch_value(pinned: PinnedConnections, sql: str, *, generic_plan: bool = False) -> Any:
    ((value,),) = await pinned.fetch(sql, [], generic_plan=generic_plan)
    return value


async def test_the_prepared_statements_of_a_connection_are_bounded_in_number(
    pinned: PinnedConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_pool, "MAX_PREPARED_STATEMENTS", 5)

    for number in range(20):
        await fetch_value(pinned, f"SELECT {number} /* prepared */")

    # An evicted statement is closed when the next one is prepared.
    assert await fetch_value(pinned, PREPARED_COUNT_QUERY) in {5, 6}


async def test_the_prepared_statements_of_a_connection_are_bounded_in_characters(
    pinned: PinnedConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_pool, "MAX_PREPARED_CHARACTERS", 40_000)
    monkeypatch.setattr(driver_pool, "MAX_PREPARED_STATEMENT_CHARACTERS", 16_000)

    for number in range(20):
        assert await fetch_value(pinned, f"SELECT {number} /* prepared */ {' ' * 12_000}") == number
        assert await fetch_value(pinned, f"SELECT {number} /* prepared */ {' ' * 17_000}") == number

    assert await fetch_value(pinned, PREPARED_COUNT_QUERY) in {3, 4}


async def test_a_connection_is_returned_to_the_pool_with_its_setting_reset(
    pool: Database, pinned: PinnedConnections
) -> None:
    assert await fetch_value(pinned, PLAN_CACHE_MODE_QUERY, generic_plan=True) == "force_generic_plan"
    assert await fetch_value(pinned, PLAN_CACHE_MODE_QUERY, generic_plan=False) == "auto"
    assert await fetch_value(pinned, PLAN_CACHE_MODE_QUERY, generic_plan=True) == "force_generic_plan"
    await pinned.close()

    async with pool.read_connection() as one, pool.read_connection() as other:
        assert {await connection.scalar(text(PLAN_CACHE_MODE_QUERY)) for connection in (one, other)} == {"auto"}


async def test_a_cancelled_statement_ends_and_frees_its_connection(
    pinned: PinnedConnections, engine: AsyncEngine
) -> None:
    async with engine.connect() as other:
        await other.execution_options(isolation_level="AUTOCOMMIT")

        async def sleeping() -> int:
            return int(await other.scalar(SLEEPING_STATEMENTS_QUERY) or 0)

        tasks = [asyncio.create_task(fetch_value(pinned, "SELECT pg_sleep(600)", generic_plan=True)) for _ in range(3)]
        await until(sleeping)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

        assert await fetch_value(pinned, "SELECT 1") == 1

        async def none_sleeping() -> bool:
            return await sleeping() == 0

        await until(none_sleeping)


@pytest.mark.parametrize(("characters", "seconds"), [(0, 0.1), (50_000, 0.3), (1_000_000, 0.1)])
async def test_a_statement_runs_on_a_pooled_connection_while_slow_ones_occupy_the_pinned_connections(
    pool: Database, pinned: PinnedConnections, monkeypatch: pytest.MonkeyPatch, characters: int, seconds: float
) -> None:
    waits: list[tuple[float, bool]] = []
    acquire = PinnedConnections._acquire_slot  # noqa: SLF001 - how long it waits is what this is about

    async def recorded(self: PinnedConnections, timeout: float) -> bool:  # noqa: ASYNC109 - as the original
        acquired = await acquire(self, timeout)
        waits.append((round(timeout, 2), acquired))
        return acquired

    slow = asyncio.create_task(fetch_value(pinned, "SELECT pg_sleep(600)"))
    await asyncio.sleep(0)
    monkeypatch.setattr(PinnedConnections, "_acquire_slot", recorded)
    value = await fetch_value(pinned, "SELECT 1" + " " * characters)
    slow.cancel()
    await asyncio.wait({slow})

    assert value == 1
    assert waits == [(seconds, False)]
    async with pool.read_connection() as first, pool.read_connection() as second:  # both are in the pool again
        assert await first.scalar(text("SELECT 1")) == await second.scalar(text("SELECT 1")) == 1


async def test_a_connection_is_usable_after_a_statement_timeout(pinned: PinnedConnections) -> None:
    await fetch_value(pinned, "SELECT set_config('statement_timeout', '50', false)")
    with pytest.raises(QueryCanceledError):
        await fetch_value(pinned, "SELECT pg_sleep(600)")

    assert await fetch_value(pinned, "SELECT 1") == 1


async def test_no_connection_of_a_pool_of_one_is_pinned(
    database_url: str, settings: Settings, signer: Signer, store: Store
) -> None:
    pooled = settings.model_copy(update={"database_url": SecretStr(database_url), "database_pool_size": 1})
    database = Database.connect(pooled)
    planner = Planner.of(schema, database, pooled)
    admin = Actor(ActorKind.ADMIN, user_id=uuid4())
    try:
        response = await planner(
            Operation("{ services { totalCount } }"), Context(admin, database, pooled, signer, store)
        )
        async with database.transaction() as tx:
            value = await tx.scalar(text("SELECT 1"))
    finally:
        await planner.close()
        await database.close()

    assert (response or b"").startswith(b'{"data":{"services":{"totalCount":0}}')
    assert value == 1


@pytest.mark.parametrize("size", [1, 2])
async def test_a_lock_timeout_is_not_tried_again_by_graphql_core(
    size: int, pool: Database, database_url: str, settings: Settings, signer: Signer, store: Store
) -> None:
    overrides = {"database_url": SecretStr(database_url), "database_pool_size": size, "database_lock_timeout_ms": 50}
    hurried = settings.model_copy(update=overrides)
    database = Database.connect(hurried)
    planner = Planner.of(schema, database, hurried)
    context = Context(Actor(ActorKind.ADMIN, user_id=uuid4()), database, hurried, signer, store)
    try:
        async with pool.transaction() as tx:
            await tx.execute(text("LOCK TABLE services"))
            with pytest.raises(Unavailable):
                await planner(Operation("{ services { totalCount } }"), context)
    finally:
        await planner.close()
        await database.close()


async def test_a_query_of_many_root_fields_takes_no_more_than_four_connections(
    pool: Database, database_url: str, settings: Settings, signer: Signer, store: Store
) -> None:
    pooled = settings.model_copy(update={"database_url": SecretStr(database_url), "database_pool_size": 8})
    database = Database.connect(pooled)
    planner = Planner.of(schema, database, pooled)
    context = Context(Actor(ActorKind.ADMIN, user_id=uuid4()), database, pooled, signer, store)
    document = " ".join(f"a{number}: services {{ totalCount }}" for number in range(20))

    def checked_out() -> int:
        return sum(database.pool_metrics._checked_out.values())  # noqa: SLF001 - what Prometheus is shown

    try:
        async with pool.transaction() as tx:
            await tx.execute(text("LOCK TABLE services"))
            task = asyncio.create_task(planner(Operation(f"{{ {document} }}"), context))
            await until(lambda: checked_out() >= 4)
            # By then, a statement that waited for one of them has taken another, if it may.
            await asyncio.sleep(3 * driver_pool.PIN_WAIT_SECONDS)
            maximum = checked_out()
        response = await task
    finally:
        await planner.close()
        await database.close()

    assert maximum == 4
    assert (response or b"").count(b"totalCount") == 20


async def test_a_terminated_connection_is_replaced(pinned: PinnedConnections) -> None:
    with pytest.raises(Exception, match="terminating"):
        await fetch_value(pinned, "SELECT pg_terminate_backend(pg_backend_pid())")

    assert await fetch_value(pinned, "SELECT 1") == 1


async def test_after_a_failover_no_connection_to_the_former_primary_stays_pinned(
    pool: Database, pinned: PinnedConnections
) -> None:
    before = await fetch_value(pinned, "SELECT pg_backend_pid()")

    async def write() -> None:
        async with pool.transaction() as tx:
            await tx.execute(text("SET TRANSACTION READ ONLY"))  # as a former primary is
            await tx.execute(text("DELETE FROM users"))

    with pytest.raises(Unavailable):
        await write()
    after = [await fetch_value(pinned, "SELECT pg_backend_pid()") for _ in range(2)]

    assert before not in after
    assert after[0] == after[1]


async def test_a_table_may_change_under_a_prepared_statement(pool: Database, pinned: PinnedConnections) -> None:
    async with pool.transaction() as tx:
        await tx.execute(text("CREATE TABLE changing AS SELECT 1 AS number"))
    assert await fetch_value(pinned, "SELECT number FROM changing") == 1
    async with pool.transaction() as tx:
        await tx.execute(text("ALTER TABLE changing ALTER number TYPE bigint"))
    try:
        with pytest.raises(Exception, match="cached"):
            await fetch_value(pinned, "SELECT number FROM changing")

        assert await fetch_value(pinned, "SELECT number FROM changing") == 1
    finally:
        async with pool.transaction() as tx:
            await tx.execute(text("DROP TABLE changing"))
