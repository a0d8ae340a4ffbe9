"""Bulk reads: from the replica when it is available and current enough, otherwise from the primary."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api import models
from graphql_api.database.database import Database
from graphql_api.errors import Unavailable
from tests.builders import Builders
from tests.cluster.clusters import Cluster
from tests.cluster.conftest import Connect

pytestmark = pytest.mark.timeout(180)

ON_THE_REPLICA, ON_THE_PRIMARY = True, False


async def is_replica(connection: AsyncConnection) -> bool:
    """Whether the server is the replica."""
    found: bool = await connection.scalar(text("SELECT pg_is_in_recovery()"))
    return found


async def load_settings(connection: AsyncConnection) -> dict[str, str]:
    """Settings of the connection."""
    names = ["statement_timeout", "max_parallel_workers_per_gather", "default_transaction_read_only", "TimeZone"]
    return {name: str(await connection.scalar(text(f"SHOW {name}"))) for name in names}


async def test_reads_that_allow_staleness_use_the_replica_and_the_rest_the_primary(database: Database) -> None:
    assert await database.read(is_replica, bulk=True) is ON_THE_REPLICA
    assert await database.read(is_replica) is ON_THE_PRIMARY


async def test_a_connection_has_the_settings_of_its_server(connect: Connect) -> None:
    changes = {
        "database_statement_timeout_ms": 3_000,
        "database_statement_timeout_replica_ms": 9_000,
        "database_max_parallel_workers": 0,
        "database_max_parallel_workers_replica": 3,
    }
    async with connect(**changes) as database:
        assert await database.read(load_settings, bulk=True) == {
            "statement_timeout": "9s",
            "max_parallel_workers_per_gather": "3",
            "default_transaction_read_only": "on",
            "TimeZone": "UTC",
        }
        assert await database.read(load_settings) == {
            "statement_timeout": "3s",
            "max_parallel_workers_per_gather": "0",
            "default_transaction_read_only": "off",
            "TimeZone": "UTC",
        }


async def test_bulk_reads_cannot_write_without_a_replica(connect: Connect) -> None:
    async with connect(database_url_bulk=None) as database:
        shown = await database.read(load_settings, bulk=True)
        with pytest.raises(Unavailable):
            await database.read(lambda connection: connection.execute(text("DELETE FROM users")), bulk=True)

    assert (shown["statement_timeout"], shown["default_transaction_read_only"]) == ("4s", "on")


async def test_callers_read_their_own_writes_in_every_process_and_at_any_lag(
    connect: Connect, make: Builders, healthy_cluster: Cluster
) -> None:
    """Ten thousand reads; without the minimum position some of them miss the write."""
    user = await make.user(name="0")

    async def name(connection: AsyncConnection) -> tuple[bool, int]:
        statement = select(func.pg_is_in_recovery(), models.User.name).where(models.User.id == user.id)
        replica, number = (await connection.execute(statement)).one()
        return replica, int(number)

    reads_by_server: Counter[bool] = Counter()
    missed = naive_missed = 0
    healthy_cluster.replica.sql("ALTER SYSTEM SET recovery_min_apply_delay = '20ms'", "SELECT pg_reload_conf()")
    try:
        async with connect() as writer, connect() as reader:
            for number in range(1, 2_001):
                async with writer.transaction() as tx:
                    await tx.execute(
                        text("UPDATE users SET name = :name WHERE id = :id"), {"name": str(number), "id": user.id}
                    )
                await writer.record_write(user.id)
                if number % 100 == 0:
                    await asyncio.sleep(0.05)
                for _ in range(5):
                    replica, stored = await reader.read(
                        name, bulk=True, min_position=await reader.last_write_position(user.id)
                    )
                    reads_by_server[replica] += 1
                    missed += stored != number
                _, stored = await reader.read(name, bulk=True)
                naive_missed += stored != number
    finally:
        healthy_cluster.replica.sql("ALTER SYSTEM RESET recovery_min_apply_delay", "SELECT pg_reload_conf()")

    print(f"own writes: {dict(reads_by_server)} by whether from the replica; naive missed {naive_missed}")  # noqa: T201
    assert missed == 0
    assert sum(reads_by_server.values()) == 10_000
    assert reads_by_server[ON_THE_REPLICA] > 0
    assert naive_missed > 0


async def test_other_callers_can_read_stale_rows(database: Database, make: Builders, healthy_cluster: Cluster) -> None:
    await database.read(is_replica, bulk=True)
    healthy_cluster.pause_replay()
    user = await make.user()
    statement = select(models.User.id).where(models.User.id == user.id)

    assert await database.read(lambda connection: connection.scalar(statement), bulk=True) is None
    assert await database.read(lambda connection: connection.scalar(statement)) == user.id


async def test_a_lagging_replica_is_not_used_until_it_has_caught_up(
    connect: Connect, make: Builders, healthy_cluster: Cluster
) -> None:
    async with connect(database_bulk_max_lag=1) as database:
        assert await database.read(is_replica, bulk=True) is ON_THE_REPLICA
        healthy_cluster.pause_replay()
        await make.user()
        await asyncio.sleep(2.1)

        assert await database.read(is_replica, bulk=True) is ON_THE_PRIMARY

        healthy_cluster.resume_replay()
        healthy_cluster.wait_for_replay()
        assert await database.read(is_replica, bulk=True) is ON_THE_REPLICA


async def test_a_dead_replica_is_skipped_at_once_and_used_again_within_a_minute(
    connect: Connect, healthy_cluster: Cluster
) -> None:
    """With default settings, eight concurrent readers never fail."""
    async with connect() as database:
        stopped, read_from_replica = asyncio.Event(), asyncio.Event()
        slowest = 0.0
        reads: Counter[bool] = Counter()

        async def keep_reading() -> None:
            nonlocal slowest
            while not stopped.is_set():
                started_at = time.perf_counter()
                replica = await database.read(is_replica, bulk=True)
                reads[replica] += 1
                if replica:
                    read_from_replica.set()
                slowest = max(slowest, time.perf_counter() - started_at)
                await asyncio.sleep(0.005)

        readers = [asyncio.create_task(keep_reading()) for _ in range(8)]
        await asyncio.sleep(0.5)
        before, usual_seconds, slowest = reads.copy(), slowest, 0.0
        await asyncio.to_thread(healthy_cluster.replica.stop, signal.SIGKILL)
        await asyncio.sleep(1)
        meanwhile, fallback_seconds = reads - before, slowest
        await asyncio.to_thread(healthy_cluster.replica.start)
        started_at = time.monotonic()
        read_from_replica.clear()
        await read_from_replica.wait()
        return_seconds = time.monotonic() - started_at
        stopped.set()
        await asyncio.gather(*readers)

    figures = (
        f"slowest read {fallback_seconds * 1_000:.0f} ms, before {usual_seconds * 1_000:.0f} ms; "
        f"read again after {return_seconds:.1f} s"
    )
    print(f"replica killed: {figures}")  # noqa: T201
    assert before[ON_THE_REPLICA] > 0
    assert before[ON_THE_PRIMARY] == 0
    assert meanwhile[ON_THE_PRIMARY] > 0
    assert fallback_seconds < usual_seconds + 0.1  # on a busy machine any read can take long
    assert return_seconds < 60


async def test_a_replica_that_is_the_only_bulk_host_may_die_too(connect: Connect, healthy_cluster: Cluster) -> None:
    async with connect(database_url_bulk=healthy_cluster.url(healthy_cluster.replica.port)) as database:
        assert await database.read(is_replica, bulk=True) is ON_THE_REPLICA
        healthy_cluster.replica.stop(signal.SIGKILL)

        assert await database.read(is_replica, bulk=True) is ON_THE_PRIMARY

        healthy_cluster.replica.start()
        healthy_cluster.wait_for_streaming()
        await asyncio.sleep(1.1)
        assert await database.read(is_replica, bulk=True) is ON_THE_REPLICA


async def test_a_read_cancelled_by_replay_is_repeated_on_the_primary(
    connect: Connect, make: Builders, healthy_cluster: Cluster
) -> None:
    """Its rows are updated and vacuumed repeatedly: the replica cancels it twice, then the primary runs it."""
    service = await make.service()
    healthy_cluster.wait_for_replay()
    reads: list[bool] = []

    async def read_slowly(connection: AsyncConnection) -> Any:
        reads.append(await is_replica(connection))
        # The statement keeps its snapshot while it sleeps.
        slow = text("SELECT count(*), pg_sleep(1.2) FROM (SELECT FROM services WHERE id = :id) AS matching")
        return (await connection.execute(slow, {"id": service.id})).one().count

    async def vacuum() -> None:
        while True:
            churn = f"UPDATE services SET rate_limit = rate_limit + 1 WHERE id = '{service.id}'"
            await asyncio.to_thread(healthy_cluster.primary.sql, churn, "VACUUM services")
            await asyncio.sleep(0.1)

    async with connect() as database:
        vacuuming = asyncio.create_task(vacuum())
        count = await database.read(read_slowly, bulk=True)
        vacuuming.cancel()

    assert count == 1
    assert reads == [ON_THE_REPLICA, ON_THE_REPLICA, ON_THE_PRIMARY]


async def test_an_error_of_the_statement_itself_is_not_retried(database: Database) -> None:
    """A statement that times out on the replica is not run on the primary."""
    calls = 0

    async def time_out(connection: AsyncConnection) -> None:
        nonlocal calls
        calls += 1
        await connection.execute(text("SET statement_timeout = 50"))
        try:
            await connection.execute(text("SELECT pg_sleep(1)"))
        finally:
            await connection.execute(text("RESET statement_timeout"))

    with pytest.raises(Unavailable):
        await database.read(time_out, bulk=True)

    assert calls == 1


async def test_connections_are_counted_by_bind_and_server(database: Database) -> None:
    def figures() -> dict[tuple[str, str], float]:
        return {
            (sample.name, sample.labels["bind"]): sample.value
            for family in database.pool_metrics.collect()
            for sample in family.samples
            if sample.name.endswith(("connected", "checked_out", "size", "seconds_count"))
            and sample.labels.get("inet_server_addr", "127.0.0.1") == "127.0.0.1"
        }

    async with database.read_connection():
        await database.read(is_replica, bulk=True)
        during = figures()
    after = figures()
    await database.close()
    closed = figures()

    assert during == {
        ("db_connection_total_connected", "default"): 1,
        ("db_connection_total_connected", "bulk"): 1,
        ("db_connection_total_checked_out", "default"): 1,
        ("db_connection_total_checked_out", "bulk"): 0,
        ("db_connection_pool_size", "default"): 8,
        ("db_connection_pool_size", "bulk"): 8,
        ("db_connection_open_duration_seconds_count", "bulk"): 1,
    }
    assert after["db_connection_total_checked_out", "default"] == 0
    assert after["db_connection_open_duration_seconds_count", "default"] == 1
    assert (closed["db_connection_total_connected", "default"], closed["db_connection_total_connected", "bulk"]) == (
        0,
        0,
    )


async def test_a_caller_without_writes_does_not_wait(database: Database) -> None:
    assert await database.last_write_position(uuid4()) == 0
