"""Nightly tasks that are interrupted and repeated: nothing is lost, and nothing counts twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest_asyncio
from sqlalchemy import text

from graphql_api import models
from graphql_api.billing import london_days
from graphql_api.domain import job_runs, retention
from graphql_api.enums import Channel
from graphql_api.worker import schedule
from tests.models.databases import cloned
from tests.waiting import WAIT_TIMEOUT_SECONDS
from tests.worker.harnesses import SYSTEM, WorkerHarness

TODAY = london_days.today()
LONG_AGO = london_days.midnight(TODAY - timedelta(days=20))
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest_asyncio.fixture(scope="module")
async def worker_url(postgres_url: str) -> AsyncIterator[str]:
    """A database of these tests only: a run counts each day since the first message, years ago in other databases."""
    async with cloned(postgres_url) as url:
        yield url


@asynccontextmanager
async def run_nightly_process(harness: WorkerHarness) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that runs the nightly tasks, killed with SIGKILL at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "graphql_api", "work", "--nightly"),
        env=harness.process_environment(),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def message_counts(harness: WorkerHarness, template: models.Template) -> tuple[int, int]:
    """The numbers of a template's messages in `notifications` and in the history."""
    current = await harness.fetch_value("SELECT count(*) FROM notifications WHERE template_id = :id", id=template.id)
    history = await harness.fetch_value(
        "SELECT count(*) FROM notification_history WHERE template_id = :id", id=template.id
    )
    return current, history


async def load_facts(harness: WorkerHarness, template: models.Template) -> dict[int, tuple[str, int]]:
    """Facts of a template's messages (status, count), by the age of the day in days."""
    rows = await harness.fetch_rows(
        "SELECT bst_date, notification_status, notification_count FROM ft_notification_status WHERE template_id = :id",
        id=template.id,
    )
    return {(TODAY - row["bst_date"]).days: (row["notification_status"], row["notification_count"]) for row in rows}


async def test_messages_move_in_batches(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    for number in range(5):
        await harness.make.notification(template, created_at=LONG_AGO, key_type="test" if number == 2 else "normal")
    past = retention.ExpiredMessages(template.service_id, "sms", london_days.midnight(TODAY))
    moved: list[int] = []
    while not moved or moved[-1]:
        async with harness.database.transaction() as tx:
            moved.append(await retention.move_to_history(tx, SYSTEM, past, batch_size=2))

    assert moved == [2, 2, 1, 0]
    assert await message_counts(harness, template) == (0, 4)


async def test_a_locked_message_is_skipped(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    held = await harness.make.notification(template, created_at=LONG_AGO)
    await harness.make.notification(template, created_at=LONG_AGO)
    async with harness.database.transaction() as tx:
        await tx.execute(text("SELECT FROM notifications WHERE id = :id FOR UPDATE"), {"id": held.id})
        await schedule.move_expired_messages(harness.worker_context())
        assert await message_counts(harness, template) == (1, 1)

    await schedule.move_expired_messages(harness.worker_context())
    assert await message_counts(harness, template) == (0, 2)


async def test_an_existing_history_row_does_not_change(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    message = await harness.make.notification(template, created_at=LONG_AGO, client_reference="new")
    await harness.make.notification_history(template, id=message.id, created_at=LONG_AGO, client_reference="old")

    await schedule.move_expired_messages(harness.worker_context())

    assert await message_counts(harness, template) == (0, 1)
    history = "SELECT client_reference FROM notification_history WHERE id = :id"
    assert await harness.fetch_value(history, id=message.id) == "old"


async def test_a_run_killed_while_messages_move_has_moved_whole_batches(
    harness: WorkerHarness,
) -> None:
    template = await harness.make.template(await harness.make.service())
    for _ in range(3):
        await harness.make.notification(template, created_at=LONG_AGO)

    # Inserting into the history locks the service's row, so the move stops after its delete.
    async with harness.database.transaction() as tx:
        lock = "SELECT FROM services WHERE id = :id FOR UPDATE"
        await tx.execute(text(lock), {"id": template.service_id})
        async with run_nightly_process(harness) as process:
            await harness.wait_until(lambda: has_waiting_session(harness))
            assert process.returncode is None
            assert await message_counts(harness, template) == (3, 0)

    await harness.wait_until(lambda: has_no_waiting_session(harness))
    assert await message_counts(harness, template) == (3, 0)
    async with run_nightly_process(harness) as process:
        assert await asyncio.wait_for(process.wait(), WAIT_TIMEOUT_SECONDS) == 0
    assert await message_counts(harness, template) == (0, 3)


async def test_a_run_killed_while_it_counts_continues_from_that_day(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    for days in (1, 2, 3, 4):
        for _ in range(days):
            await harness.make.notification(template, created_at=london_days.midnight(TODAY - timedelta(days=days)))
    await schedule.count_statuses(harness.worker_context())
    first = {days: ("delivered", days) for days in (1, 2, 3, 4)}
    assert await load_facts(harness, template) == first
    await harness.execute(
        "UPDATE notifications SET notification_status = 'permanent-failure' WHERE template_id = :id", id=template.id
    )
    second = {days: ("permanent-failure", days) for days in (1, 2, 3, 4)}

    async with harness.database.transaction() as tx:
        lock = "SELECT FROM ft_notification_status WHERE template_id = :id AND bst_date = :day FOR UPDATE"
        await tx.execute(text(lock), {"id": template.id, "day": TODAY - timedelta(days=2)})
        async with run_nightly_process(harness):
            await harness.wait_until(lambda: has_waiting_session(harness))
            assert await load_facts(harness, template) == second | {1: first[1], 2: first[2]}

    await harness.wait_until(lambda: has_no_waiting_session(harness))
    assert await load_facts(harness, template) == second | {1: first[1], 2: first[2]}
    async with run_nightly_process(harness) as process:
        assert await asyncio.wait_for(process.wait(), WAIT_TIMEOUT_SECONDS) == 0
    assert await load_facts(harness, template) == second


async def test_two_concurrent_runs_count_once(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    for days in (1, 2, 3, 4):
        await harness.make.notification(template, created_at=london_days.midnight(TODAY - timedelta(days=days)))

    await asyncio.gather(*(schedule.count_statuses(harness.worker_context()) for _ in range(3)))
    await asyncio.gather(*(schedule.count_billing(harness.worker_context()) for _ in range(3)))

    assert await load_facts(harness, template) == dict.fromkeys((1, 2, 3, 4), ("delivered", 1))
    billed = "SELECT sum(notifications_sent) FROM ft_billing WHERE template_id = :id"
    assert await harness.fetch_value(billed, id=template.id) == 4


async def test_a_read_while_messages_move_finds_each_of_them_once(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    for _ in range(40):
        await harness.make.notification(template, created_at=LONG_AGO)
    past = retention.ExpiredMessages(template.service_id, "sms", london_days.midnight(TODAY))
    moving = True
    seen: list[Any] = []

    async def read() -> None:
        count = "SELECT count(*) FROM notifications_all_time_view WHERE template_id = :id"
        while moving:
            seen.append(await harness.fetch_value(count, id=template.id))

    reading = asyncio.create_task(read())
    for _ in range(40):
        async with harness.database.transaction() as tx:
            await retention.move_to_history(tx, SYSTEM, past, batch_size=1)
    moving = False
    await reading

    assert set(seen) == {40}
    assert await message_counts(harness, template) == (0, 40)


async def test_jobs_past_retention_lose_their_lists_and_keep_their_counts(harness: WorkerHarness) -> None:
    service = await harness.make.service()
    await harness.make.add(models.DataRetention(service_id=service.id, notification_type="email", days_of_retention=30))
    sms, email = await harness.make.template(service), await harness.make.template(service, Channel.EMAIL)
    young = london_days.midnight(TODAY - timedelta(days=7))
    jobs = {
        "old": await harness.make.job(sms, created_at=LONG_AGO),
        "kept longer": await harness.make.job(email, created_at=LONG_AGO),
        "young": await harness.make.job(sms, created_at=young),
        "of the day before": await harness.make.job(sms, created_at=young - timedelta(seconds=1)),
        "began late": await harness.make.job(sms, created_at=LONG_AGO, scheduled_for=young),
        "unfinished": await harness.make.job(sms, created_at=LONG_AGO, job_status="error"),
        "cancelled": await harness.make.job(sms, created_at=LONG_AGO, job_status="cancelled"),
    }
    paths = {name: job_runs.list_path(service.id, job.id) for name, job in jobs.items()}
    for name, path in paths.items():
        # A run killed between deleting the list and archiving the job is repeated.
        if name != "cancelled":
            await harness.store.put(path, b"phone number\n")

    await schedule.archive_expired_jobs(harness.worker_context())

    archived = await harness.fetch_rows("SELECT id FROM jobs WHERE service_id = :id AND archived", id=service.id)
    gone = {"old", "of the day before", "cancelled"}
    assert {row["id"] for row in archived} == {jobs[name].id for name in gone}
    assert {name for name, path in paths.items() if not await harness.store.exists(path)} == gone


async def has_waiting_session(harness: WorkerHarness) -> bool:
    return bool(await harness.fetch_value(WAITING))


async def has_no_waiting_session(harness: WorkerHarness) -> bool:
    return not await harness.fetch_value(WAITING)
