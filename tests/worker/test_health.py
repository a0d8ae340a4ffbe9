"""Health snapshots and counts of rows."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from graphql_api.domain import health as domain
from graphql_api.errors import Unavailable
from graphql_api.models import Provider, TableCount, utcnow
from graphql_api.worker import health, schedule
from graphql_api.worker.context import WorkerContext
from tests.worker.harnesses import WorkerHarness

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest_asyncio.fixture
async def worker(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> WorkerContext:
    """A context without snapshots and counts."""
    monkeypatch.setattr(health, "CPU_SAMPLE_SECONDS", 0.05)
    await harness.execute("TRUNCATE health_snapshots, table_count_snapshots")
    await harness.execute("DELETE FROM provider_details")
    return harness.worker_context()


async def test_a_snapshot_measures_the_database_the_queue_and_the_machine(
    harness: WorkerHarness, worker: WorkerContext
) -> None:
    await harness.execute(
        """
        INSERT INTO pgqueuer (priority, status, entrypoint, execute_after) VALUES
            (0, 'queued', 'process job', now() - interval '5 minutes'), (0, 'queued', 'process job', now())
        """
    )
    before = utcnow()

    await health.take_snapshot(worker)
    seconds = (utcnow() - before).total_seconds()

    (row,) = await harness.fetch_rows("SELECT * FROM health_snapshots")
    queues = {queue.pop("name"): queue for queue in row["queues"]}
    assert row["database_ok"] is True
    assert before <= row["taken_at"] <= utcnow()
    assert 0 <= row["connections_in_use"] < row["connections_total"]
    assert 0 < row["latency_ms"] <= 1_000 * seconds
    assert queues["process job"]["depth"] == 2
    assert queues["process job"]["oldest_seconds"] == pytest.approx(300, abs=30 + seconds)
    assert queues["deliver notifications"] == {"depth": 0, "oldest_seconds": None}
    assert set(queues) == {"deliver notifications", "platform message", "process job", "receive receipts"}
    assert 0 <= row["cpu_fraction"] <= 1
    assert row["memory_bytes"] > 1_000_000


async def test_messages_not_delivered_within_five_minutes_count_as_slow(
    harness: WorkerHarness, worker: WorkerContext
) -> None:
    template = await harness.make.template(await harness.make.service())
    now = utcnow()
    for identifier, active in (("swift post", True), ("post", False)):
        await harness.make.add(
            Provider(
                display_name=identifier,
                identifier=identifier,
                notification_type="letter" if identifier == "post" else "sms",
                priority=51,
                active=active,
            )
        )
    handed_over = {"sent_by": "swift post", "created_at": now - 14 * MINUTE, "sent_at": now - 13 * MINUTE}
    for values in (
        {"status": "delivered", "updated_at": now - 10 * MINUTE},
        {"status": "delivered", "updated_at": now - 7 * MINUTE},
        {"status": "sending", "updated_at": now - 13 * MINUTE},
        {"status": "sending", "updated_at": now, "sent_at": now},
        {"status": "delivered", "updated_at": now, "key_type": "test"},
        {"status": "delivered", "updated_at": now, "created_at": now - 16 * MINUTE},
        {"status": "permanent-failure", "updated_at": now},
    ):
        await harness.make.notification(template, **(handed_over | values))

    await health.take_snapshot(worker)

    (row,) = await harness.fetch_rows("SELECT providers FROM health_snapshots")
    assert row["providers"] == [
        {"identifier": "swift post", "channel": "sms", "active": True, "priority": 51, "slow_fraction": 0.5},
        {"identifier": "post", "channel": "letter", "active": False, "priority": 51, "slow_fraction": None},
    ]


async def test_an_unavailable_database_is_recorded_once_it_is_available(
    harness: WorkerHarness, worker: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("The database did not answer in time: try again.")

    monkeypatch.setattr(worker.database, "read", away)
    await health.take_snapshot(worker)

    (row,) = await harness.fetch_rows("SELECT database_ok, connections_total, latency_ms, queues FROM health_snapshots")
    assert row == {"database_ok": False, "connections_total": 0, "latency_ms": None, "queues": []}


async def test_snapshots_are_kept_for_thirty_days(harness: WorkerHarness, worker: WorkerContext) -> None:
    for age in (31 * DAY, 29 * DAY):
        await harness.execute(
            """
            INSERT INTO health_snapshots
                (taken_at, database_ok, connections_in_use, connections_total, queues, providers)
            VALUES (:at, true, 0, 0, '[]', '[]')
            """,
            at=utcnow() - age,
        )

    await health.take_snapshot(worker)

    ages = await harness.fetch_rows(
        "SELECT (now() AT TIME ZONE 'utc')::date - taken_at::date AS days FROM health_snapshots"
    )
    assert sorted(row["days"] for row in ages) == [0, 29]


async def test_rows_are_counted_table_by_table_and_old_counts_deleted(
    harness: WorkerHarness, worker: WorkerContext
) -> None:
    await harness.make.service()
    for age in (401 * DAY, DAY):
        await harness.make.add(TableCount(table_name="services", taken_at=utcnow() - age, row_count=1))
    services = await harness.fetch_value("SELECT count(*) FROM services")

    await health.count_rows(worker)

    rows = await harness.fetch_rows(
        "SELECT table_name, row_count FROM table_count_snapshots ORDER BY taken_at, table_name"
    )
    assert [row["table_name"] for row in rows] == ["services", *domain.COUNTED_TABLES]
    assert {"table_name": "services", "row_count": services} in rows[1:]
    assert services > 0


async def test_a_table_that_times_out_is_skipped(
    harness: WorkerHarness, worker: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "TABLE_COUNT_TIMEOUT_SECONDS", 1)
    await harness.execute("TRUNCATE pgqueuer")
    async with lock_table(harness, "jobs"):
        await health.count_rows(worker)

    rows = await harness.fetch_rows("SELECT table_name FROM table_count_snapshots ORDER BY table_name")
    assert [row["table_name"] for row in rows] == [table for table in domain.COUNTED_TABLES if table != "jobs"]


@asynccontextmanager
async def lock_table(harness: WorkerHarness, table: str) -> Any:
    """Lock a table against reads."""
    async with harness.database.primary.connect() as connection:
        await connection.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield
        await connection.rollback()


def test_snapshots_and_counts_are_scheduled() -> None:
    assert schedule.SCHEDULES["take health snapshot"] == ("* * * * *", health.take_snapshot)
    assert schedule.SCHEDULES["count rows"] == ("50 4 * * *", health.count_rows)
