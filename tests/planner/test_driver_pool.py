"""What plans are read by: few connections, kept ready, bounded in what they keep, and fit for whoever has them next."""

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
from graphql_api.planner.driver_pool import Kept
from graphql_api.settings import Settings
from schema import schema
from tests.waiting import never_idle_too_long, until

ASLEEP = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE query LIKE '%sleep(600)' AND state = 'active' AND datname = current_database()"
)
PLAN_CACHE_MODE_QUERY = "SELECT current_setting('plan_cache_mode')"
PREPARED_COUNT_QUERY = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%/* kept */%'"


@pytest_asyncio.fixture
async def server(database_url: str, settings: Settings) -> AsyncIterator[Database]:
    """A database with a pool of its own, of two connections."""
    pooled = {"database_url": SecretStr(database_url), "database_pool_size": 2}
    database = Database.connect(settings.model_copy(update=pooled))
    never_idle_too_long(database.primary)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def pinned(server: Database) -> AsyncIterator[Kept]:
    """One of them, kept."""
    kept = Kept(server, 1, 300)
    yield kept
    await kept.close()


async def fetch_value(pinned: Kept, sql: str, *, generic_plan: bool = False) -> Any:
    ((found,),) = await pinned.fetch(sql, [], steady=generic_plan)
    return found


async def test_statements_that_a_connection_keeps_are_bounded(pinned: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_pool, "STATEMENTS", 5)

    for number in range(20):
        await fetch_value(pinned, f"SELECT {number} /* kept */")

    # The last one to go is closed with the next that is prepared.
    assert await fetch_value(pinned, PREPARED_COUNT_QUERY) in {5, 6}


async def test_letters_of_the_statements_that_a_connection_keeps_are_bounded(
    pinned: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_pool, "LETTERS", 40_000)
    monkeypatch.setattr(driver_pool, "LONGEST", 16_000)

    for number in range(20):
        assert await fetch_value(pinned, f"SELECT {number} /* kept */ {' ' * 12_000}") == number
        assert await fetch_value(pinned, f"SELECT {number} /* kept */ {' ' * 17_000}") == number

    assert await fetch_value(pinned, PREPARED_COUNT_QUERY) in {3, 4}


async def test_a_connection_plans_as_usual_for_whoever_has_it_next(server: Database, pinned: Kept) -> None:
    assert await fetch_value(pinned, PLAN_CACHE_MODE_QUERY, generic_plan=True) == "force_generic_plan"
    assert await fetch_value(pinned, PLAN_CACHE_MODE_QUERY, generic_plan=False) == "auto"
    assert await fetch_value(pinned, PLAN_CACHE_MODE_QUERY, generic_plan=True) == "force_generic_plan"
    await pinned.close()

    async with server.read_connection() as one, server.read_connection() as other:
        assert {await connection.scalar(text(PLAN_CACHE_MODE_QUERY)) for connection in (one, other)} == {"auto"}


async def test_whoever_leaves_while_a_statement_runs_leaves_the_connection_to_others(
    pinned: Kept, engine: AsyncEngine
) -> None:
    async with engine.connect() as other:
        await other.execution_options(isolation_level="AUTOCOMMIT")

        async def asleep() -> int:
            return int(await other.scalar(ASLEEP) or 0)

        asking = [asyncio.create_task(fetch_value(pinned, "SELECT pg_sleep(600)", generic_plan=True)) for _ in range(3)]
        await until(asleep)
        for one in asking:
            one.cancel()
        await asyncio.wait(asking)

        assert await fetch_value(pinned, "SELECT 1") == 1

        async def awake() -> bool:
            return await asleep() == 0

        await until(awake)


@pytest.mark.parametrize(("characters", "seconds"), [(0, 0.1), (50_000, 0.3), (1_000_000, 0.1)])
async def test_a_statement_that_has_waited_long_enough_for_slow_ones_takes_another_connection_of_the_pool(
    server: Database, kept: Kept, monkeypatch: pytest.MonkeyPatch, characters: int, seconds: float
) -> None:
    waited: list[tuple[float, bool]] = []
    in_turn = Kept._in_turn  # noqa: SLF001 - how long it waits is what this is about

    async def noted(self: Kept, patience: float) -> bool:
        there = await in_turn(self, patience)
        waited.append((round(patience, 2), there))
        return there

    slow = asyncio.create_task(fetch_value(kept, "SELECT pg_sleep(600)"))
    await asyncio.sleep(0)
    monkeypatch.setattr(Kept, "_in_turn", noted)
    besides = await fetch_value(kept, "SELECT 1" + " " * characters)
    slow.cancel()
    await asyncio.wait({slow})

    assert besides == 1
    assert waited == [(seconds, False)]
    async with server.read_connection() as first, server.read_connection() as second:  # both are there again
        assert await first.scalar(text("SELECT 1")) == await second.scalar(text("SELECT 1")) == 1


async def test_a_statement_that_takes_too_long_is_no_harm_to_the_next(pinned: Kept) -> None:
    await fetch_value(pinned, "SELECT set_config('statement_timeout', '50', false)")
    with pytest.raises(QueryCanceledError):
        await fetch_value(pinned, "SELECT pg_sleep(600)")

    assert await fetch_value(pinned, "SELECT 1") == 1


async def test_a_pool_of_one_connection_is_left_to_all(
    database_url: str, settings: Settings, signer: Signer, store: Store
) -> None:
    pooled = settings.model_copy(update={"database_url": SecretStr(database_url), "database_pool_size": 1})
    database = Database.connect(pooled)
    planner = Planner.of(schema, database, pooled)
    admin = Actor(ActorKind.ADMIN, user_id=uuid4())
    try:
        answer = await planner(
            Operation("{ services { totalCount } }"), Context(admin, database, pooled, signer, store)
        )
        async with database.transaction() as tx:
            found = await tx.scalar(text("SELECT 1"))
    finally:
        await planner.close()
        await database.close()

    assert (answer or b"").startswith(b'{"data":{"services":{"totalCount":0}}')
    assert found == 1


@pytest.mark.parametrize("size", [1, 2])
async def test_what_the_database_has_no_time_for_is_not_asked_again_by_graphql(
    size: int, server: Database, database_url: str, settings: Settings, signer: Signer, store: Store
) -> None:
    hasty = {"database_url": SecretStr(database_url), "database_pool_size": size, "database_lock_timeout_ms": 50}
    hurried = settings.model_copy(update=hasty)
    database = Database.connect(hurried)
    planner = Planner.of(schema, database, hurried)
    context = Context(Actor(ActorKind.ADMIN, user_id=uuid4()), database, hurried, signer, store)
    try:
        async with server.transaction() as tx:
            await tx.execute(text("LOCK TABLE services"))
            with pytest.raises(Unavailable):
                await planner(Operation("{ services { totalCount } }"), context)
    finally:
        await planner.close()
        await database.close()


async def test_a_wide_query_leaves_connections_to_others(
    server: Database, database_url: str, settings: Settings, signer: Signer, store: Store
) -> None:
    wide = settings.model_copy(update={"database_url": SecretStr(database_url), "database_pool_size": 8})
    database = Database.connect(wide)
    planner = Planner.of(schema, database, wide)
    context = Context(Actor(ActorKind.ADMIN, user_id=uuid4()), database, wide, signer, store)
    document = " ".join(f"a{number}: services {{ totalCount }}" for number in range(20))

    def lent() -> int:
        return sum(database.pool_metrics._checked_out.values())  # noqa: SLF001 - what Prometheus is shown

    try:
        async with server.transaction() as tx:
            await tx.execute(text("LOCK TABLE services"))
            asking = asyncio.create_task(planner(Operation(f"{{ {document} }}"), context))
            await until(lambda: lent() >= 4)
            # Whatever waited for one of these has taken another by then, if it may.
            await asyncio.sleep(3 * driver_pool.PATIENCE)
            most = lent()
        answer = await asking
    finally:
        await planner.close()
        await database.close()

    assert most == 4
    assert (answer or b"").count(b"totalCount") == 20


async def test_a_connection_that_is_lost_is_replaced(pinned: Kept) -> None:
    with pytest.raises(Exception, match="terminating"):
        await fetch_value(pinned, "SELECT pg_terminate_backend(pg_backend_pid())")

    assert await fetch_value(pinned, "SELECT 1") == 1


async def test_after_a_failover_none_is_kept_that_leads_to_what_was_the_primary(server: Database, pinned: Kept) -> None:
    before = await fetch_value(pinned, "SELECT pg_backend_pid()")

    async def write() -> None:
        async with server.transaction() as tx:
            await tx.execute(text("SET TRANSACTION READ ONLY"))  # as it answers by now
            await tx.execute(text("DELETE FROM users"))

    with pytest.raises(Unavailable):
        await write()
    after = [await fetch_value(pinned, "SELECT pg_backend_pid()") for _ in range(2)]

    assert before not in after
    assert after[0] == after[1]


async def test_a_table_may_be_changed_under_a_statement_that_is_kept(server: Database, pinned: Kept) -> None:
    async with server.transaction() as tx:
        await tx.execute(text("CREATE TABLE changing AS SELECT 1 AS number"))
    assert await fetch_value(pinned, "SELECT number FROM changing") == 1
    async with server.transaction() as tx:
        await tx.execute(text("ALTER TABLE changing ALTER number TYPE bigint"))
    try:
        with pytest.raises(Exception, match="cached"):
            await fetch_value(pinned, "SELECT number FROM changing")

        assert await fetch_value(pinned, "SELECT number FROM changing") == 1
    finally:
        async with server.transaction() as tx:
            await tx.execute(text("DROP TABLE changing"))
