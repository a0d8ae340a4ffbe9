"""Workers that are killed while they run: no message is lost, and none is sent twice."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from graphql_api import models
from tests.worker.harnesses import WorkerHarness, recipient_csv

PROGRAM = """
import asyncio
from graphql_api.settings import Settings
from graphql_api.worker import run
asyncio.run(run(Settings()))
"""
NAIVE = str(Path(__file__).with_name("naive_worker.py"))


@asynccontextmanager
async def run_worker(harness: WorkerHarness, *program: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process, killed with SIGKILL at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(program or ("-c", PROGRAM)),
        env=harness.process_environment(),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@dataclass
class DeliveryReport:
    """Counts of a job's messages."""

    lost: int
    """Rows without a message that was sent and delivered."""
    duplicated: int
    """Messages beyond one for each row."""
    resent: int
    """Messages that were sent to the provider again with the same id."""


async def report_deliveries(harness: WorkerHarness, job: models.Job, rows: int) -> DeliveryReport:
    """Compare the messages of the database and of the provider."""
    sent = harness.sent_ids()
    sent_ids = set(sent)
    messages = await harness.fetch_rows(
        "SELECT id, normalised_to, notification_status FROM notifications WHERE job_id = :id", id=job.id
    )
    delivered = {
        row["normalised_to"] for row in messages if row["notification_status"] == "delivered" and row["id"] in sent_ids
    }
    return DeliveryReport(
        lost=rows - len(delivered), duplicated=len(sent_ids) - len(delivered), resent=len(sent) - len(sent_ids)
    )


async def progress(harness: WorkerHarness, job: models.Job) -> int:
    """The number of rows written, messages sent and receipts recorded."""
    statuses = await harness.message_statuses(job.id)
    return sum(statuses.values()) + statuses.get("delivered", 0) + len(harness.sent_ids())


async def kill_workers(harness: WorkerHarness, job: models.Job, times: int, rows: int, *program: str) -> int:
    """Kill workers in turn, each after a random number of steps; returns how many were killed."""
    generator = random.Random(2_026)  # noqa: S311 - the same kills each time
    killed = 0
    for _ in range(times):
        before = await progress(harness, job)
        if before >= 3 * rows:
            break
        step = generator.randrange(1, max(2, 3 * rows // times // 2))
        async with run_worker(harness, *program) as process:

            async def has_progressed(goal: int = before + step) -> bool:
                return await progress(harness, job) >= goal

            await harness.wait_until(has_progressed, seconds=40)
            await asyncio.sleep(generator.random() / 10)
            assert process.returncode is None
        killed += 1
    return killed


@pytest.mark.timeout(400)
async def test_ten_killed_workers_neither_lose_nor_duplicate_ten_thousand_messages(harness: WorkerHarness) -> None:
    rows = 10_000
    job = await harness.create_job(
        await harness.make.template(await harness.make.service()), recipient_csv(rows), rows=rows
    )

    assert await kill_workers(harness, job, 10, rows) == 10
    async with run_worker(harness):

        async def delivered() -> bool:
            return await harness.message_statuses(job.id) == {"delivered": rows} and await harness.queued_tasks() == []

        await harness.wait_until(delivered, seconds=60)

    report = await report_deliveries(harness, job, rows)
    assert (report.lost, report.duplicated) == (0, 0)
    assert await harness.job_status(job.id) == "finished all notifications created"
    assert await harness.fetch_value("SELECT count(*) FROM deliveries") == 0
    numbers = await harness.fetch_rows(
        "SELECT count(*) AS rows, count(DISTINCT job_row_number) AS numbers, max(job_row_number) AS last "
        "FROM notifications WHERE job_id = :id",
        id=job.id,
    )
    assert numbers == [{"rows": rows, "numbers": rows, "last": rows - 1}]
    assert await harness.fetch_value("SELECT count FROM daily_usage WHERE service_id = :id", id=job.service_id) == rows
    print(f"sent again with the same id: {report.resent}")  # noqa: T201 - a figure to know


@pytest.mark.timeout(200)
async def test_the_same_kills_make_a_naive_worker_fail(harness: WorkerHarness) -> None:
    rows = 5_000
    job = await harness.create_job(
        await harness.make.template(await harness.make.service()), recipient_csv(rows), rows=rows
    )

    await kill_workers(harness, job, 4, rows, NAIVE)
    async with run_worker(harness, NAIVE):

        async def delivered() -> bool:
            return await harness.queued_tasks() == []

        await harness.wait_until(delivered, seconds=60)

    report = await report_deliveries(harness, job, rows)
    assert report.duplicated > 0
    print(f"a naive worker: {report}")  # noqa: T201 - a figure to know


@pytest.mark.timeout(120)
async def test_a_frozen_worker_that_resumes_does_no_work_twice(harness: WorkerHarness) -> None:
    rows = 5_000
    job = await harness.create_job(
        await harness.make.template(await harness.make.service()), recipient_csv(rows), rows=rows
    )

    async def delivered() -> bool:
        return await harness.message_statuses(job.id) == {"delivered": rows} and await harness.queued_tasks() == []

    async def has_started() -> bool:
        return await progress(harness, job) >= rows

    async with run_worker(harness) as frozen:
        await harness.wait_until(has_started)
        frozen.send_signal(signal.SIGSTOP)
        async with run_worker(harness):
            await harness.wait_until(delivered, seconds=60)
            before = await harness.fetch_rows("SELECT * FROM notifications WHERE job_id = :id ORDER BY id", id=job.id)
            frozen.send_signal(signal.SIGCONT)
            await asyncio.sleep(3)
            assert frozen.returncode is None

    assert await harness.fetch_rows("SELECT * FROM notifications WHERE job_id = :id ORDER BY id", id=job.id) == before
    report = await report_deliveries(harness, job, rows)
    assert (report.lost, report.duplicated) == (0, 0)
    assert report.resent <= 4_000
