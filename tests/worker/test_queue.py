"""The worker as a process: failing tasks, signals, and a database that becomes unavailable."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from graphql_api.domain import deliveries, platform_messages
from graphql_api.tasks import Task, enqueue
from graphql_api.worker import queue, run
from graphql_api.worker.schedule import SCHEDULES
from tests.waiting import WAIT_TIMEOUT_SECONDS
from tests.worker.harnesses import WorkerHarness, recipient_csv

PROGRAM = """
import asyncio
from graphql_api.settings import Settings
from graphql_api.worker import run
asyncio.run(run(Settings()))
"""


@asynccontextmanager
async def run_process(harness: WorkerHarness) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process; killed at the end if it still runs."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, env=harness.process_environment(), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def test_a_task_that_fails_is_run_four_times_and_then_held(
    harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    async def fail(_work: Any, payload: Any) -> None:
        calls.append(payload)
        raise ValueError("zoe@example.com is not a number")

    monkeypatch.setitem(queue.TASK_HANDLERS, Task.RECEIVE, fail)
    monkeypatch.setattr(queue, "FIRST_RETRY_DELAY", queue.FIRST_RETRY_DELAY / 20)
    async with harness.database.transaction() as tx:
        await enqueue(tx, Task.RECEIVE, {"receipts": {}})

    async with harness.run_worker():
        await harness.wait_until(lambda: _is_held(harness))

    assert calls == [{"receipts": {}}] * 4
    trace = await harness.fetch_value("SELECT string_agg(traceback::text, '') FROM pgqueuer_log")
    assert "zoe@example.com" not in trace + capsys.readouterr().out
    assert "ValueError" in trace


async def _is_held(harness: WorkerHarness) -> bool:
    return await harness.queued_tasks() == [("receive receipts", "failed")]


async def test_sigterm_finishes_running_tasks_and_loses_nothing(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    job = await harness.create_job(template, recipient_csv(6_000), rows=6_000)

    async def has_messages() -> bool:
        return len(harness.sent_ids()) >= 1_000

    async with run_process(harness) as worker:
        await harness.wait_until(has_messages)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), WAIT_TIMEOUT_SECONDS) == 0

    assert await harness.fetch_value("SELECT count(*) FROM pgqueuer WHERE status = 'picked'") == 0
    assert await harness.fetch_value("SELECT count(*) FROM deliveries") == 0
    message_count = sum((await harness.message_statuses(job.id)).values())
    assert 1_000 <= message_count < 6_000

    async with harness.run_worker():
        await harness.wait_until(lambda: _is_delivered(harness, job.id, 6_000))
    assert len(harness.sent_ids()) == len(set(harness.sent_ids())) == 6_000


async def _is_delivered(harness: WorkerHarness, job_id: Any, count: int) -> bool:
    return await harness.message_statuses(job_id) == {"delivered": count}


async def test_a_worker_reconnects_to_its_database(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "RECONNECT_DELAY_SECONDS", 0.1)
    template = await harness.make.template(await harness.make.service())
    job = await harness.create_job(template, recipient_csv(3_000), rows=3_000)

    async with harness.run_worker():
        await harness.wait_until(lambda: _has_messages(harness, job.id))
        await harness.fetch_rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await harness.wait_until(lambda: _is_delivered(harness, job.id, 3_000))

    rows = await harness.fetch_value(
        "SELECT count(DISTINCT job_row_number) FROM notifications WHERE job_id = :id", id=job.id
    )
    assert rows == 3_000


async def _has_messages(harness: WorkerHarness, job_id: Any) -> bool:
    return bool(await harness.message_statuses(job_id))


async def test_a_worker_refuses_a_pooler(harness: WorkerHarness) -> None:
    with pytest.raises(ValueError, match="pooler"):
        await run(harness.settings.model_copy(update={"database_through_pooler": True}))


async def test_platform_messages_are_sent_too(harness: WorkerHarness) -> None:
    async with harness.database.transaction() as tx:
        await platform_messages.send(
            tx, harness.signer, platform_messages.MessageKind.SIGN_IN_CODE, uuid4(), "07900900123", code="12345"
        )

    async def is_empty() -> bool:
        return len(harness.sent_ids()) == 1

    async with harness.run_worker():
        await harness.wait_until(is_empty)


@pytest.mark.parametrize("name", SCHEDULES)
async def test_every_scheduled_task_changes_nothing_when_nothing_is_due(harness: WorkerHarness, name: str) -> None:
    _, action = SCHEDULES[name]
    await harness.execute(
        "UPDATE notifications SET notification_status = 'delivered' WHERE notification_status <> 'delivered'"
    )
    await harness.execute("UPDATE jobs SET job_status = 'finished all notifications created'")

    await action(harness.worker_context())

    assert await harness.queued_tasks() == []


async def test_four_workers_send_each_message_once(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    ids = await harness.create_unsent_messages(template, 60)
    async with harness.database.transaction() as tx:
        for notification_id in ids:
            await deliveries.enqueue_messages(tx, [notification_id])
        await deliveries.enqueue_messages(tx, ids)

    async def all_sent() -> bool:
        left = "template_id = :id AND notification_status <> 'delivered'"
        return await harness.fetch_rows(f"SELECT id FROM notifications WHERE {left}", id=template.id) == []

    async with harness.run_worker(), harness.run_worker(), harness.run_worker(), harness.run_worker():
        await harness.wait_until(all_sent)

    assert sorted(harness.sent_ids()) == sorted(ids)
