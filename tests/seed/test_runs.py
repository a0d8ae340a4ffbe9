"""Seed runs: deterministic, and refused where the database holds other data."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from graphql_api import seed
from graphql_api.auth.crypto import Signer
from graphql_api.billing import london_days
from graphql_api.seed import runs
from tests.models.databases import scratch_database
from tests.seed.conftest import NOTIFICATIONS, NOW, SIGNER, DatabaseFactory, local_store, table_digests


async def test_runs_with_and_without_bulk_loading_are_equal(
    create_database: DatabaseFactory, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runs, "BULK_LOAD_MIN_NOTIFICATIONS", 0)
    other = await create_database()
    await seed.seed(other, signer=SIGNER, notifications=NOTIFICATIONS, now=NOW, store=local_store(tmp_path))

    assert await table_digests(other) == await table_digests(url)


async def test_a_second_run_leaves_everything_as_it_is(url: str, demo: seed.Demo) -> None:
    before = await table_digests(url)

    again = await seed.seed(url, signer=SIGNER, notifications=10)

    assert again == demo
    assert not again.created
    assert await table_digests(url) == before


async def test_data_signed_with_other_secrets_are_refused(url: str) -> None:
    with pytest.raises(seed.SeedError, match="with another SECRET_KEY"):
        await seed.seed(url, signer=Signer((b"other",), b"seed-salt"))


async def test_a_database_with_other_data_is_refused_unless_forced(create_database: DatabaseFactory) -> None:
    url = await create_database()
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO organisation (id, name, active, created_at, can_approve_own_go_live_requests) "
        "VALUES (gen_random_uuid(), 'Other', true, now(), false)"
    )
    with pytest.raises(seed.SeedError, match="already holds other data"):
        await seed.seed(url, signer=SIGNER, notifications=100)
    service_count = await connection.fetchval("SELECT count(*) FROM services")
    demo = await seed.seed(url, signer=SIGNER, notifications=100, history=0, force=True)
    counts = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM organisation), (SELECT count(*) FROM notifications)"
    )
    await connection.close()

    assert service_count == 0
    assert demo.created
    assert tuple(counts) == (9, 100)


async def test_a_database_without_tables_is_refused(postgres_url: str) -> None:
    async with scratch_database(postgres_url) as url:
        with pytest.raises(seed.SeedError, match="migrate it first"):
            await seed.seed(url, signer=SIGNER)


@pytest.mark.parametrize("notifications", [0, 1, 30, 500])
async def test_small_data_sets_are_complete(create_database: DatabaseFactory, notifications: int) -> None:
    url = await create_database()
    progress: list[tuple[int, int]] = []

    demo = await seed.seed(
        url, signer=SIGNER, notifications=notifications, progress=lambda _, done, total: progress.append((done, total))
    )

    connection = await asyncpg.connect(url)
    running = await connection.fetchval("SELECT count(*) FROM jobs WHERE job_status = 'in progress'")
    newest = await connection.fetchval("SELECT max(created_at) FROM notifications")
    groups = await connection.fetchrow(
        """
        SELECT count(*) FILTER (WHERE notification_status IN ('delivered', 'sent')),
            count(*) FILTER (WHERE notification_status LIKE '%-%')
        FROM notifications WHERE service_id = $1
        """,
        demo.service_id,
    )
    await connection.close()
    total = notifications + notifications // 2
    assert progress[-1] == (total, total)
    assert running == 0
    if notifications == 500:
        first = london_days.midnight(london_days.today())
        assert first < newest < first + timedelta(hours=1)
        assert min(groups) >= 10
