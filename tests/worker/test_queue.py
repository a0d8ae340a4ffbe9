"""The worker as a process: what it does with tasks that fail, with signals and with a database that goes away."""

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
from graphql_api.worker.schedule import SCHEDULE
from tests.worker.harnesses import Rig, texts

PROGRAM = """
import asyncio
from graphql_api.settings import Settings
from graphql_api.worker import run
asyncio.run(run(Settings()))
"""


@asynccontextmanager
async def process(rig: Rig) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker process; killed at the end if it still runs."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, env=rig.environment(), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def test_a_task_that_fails_is_run_four_times_and_then_held(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    async def fail(_work: Any, payload: Any) -> None:
        calls.append(payload)
        raise ValueError("zoe@example.com is not a number")

    monkeypatch.setitem(queue.TASKS, Task.RECEIVE, fail)
    monkeypatch.setattr(queue, "PAUSE", queue.PAUSE / 20)
    async with rig.database.transaction() as tx:
        await enqueue(tx, Task.RECEIVE, {"receipts": {}})

    async with rig.worker():
        await rig.until(lambda: _held(rig))

    assert calls == [{"receipts": {}}] * 4
    trace = await rig.value("SELECT string_agg(traceback::text, '') FROM pgqueuer_log")
    assert "zoe@example.com" not in trace + capsys.readouterr().out
    assert "ValueError" in trace


async def _held(rig: Rig) -> bool:
    return await rig.queued() == [("receive receipts", "failed")]


async def test_sigterm_finishes_what_is_under_way_and_loses_nothing(rig: Rig) -> None:
    template = await rig.make.template(await rig.make.service())
    job = await rig.job(template, texts(6_000), rows=6_000)

    async def some() -> bool:
        return len(rig.sent()) >= 1_000

    async with process(rig) as worker:
        await rig.until(some)
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(worker.wait(), 10) == 0

    assert await rig.value("SELECT count(*) FROM pgqueuer WHERE status = 'picked'") == 0
    assert await rig.value("SELECT count(*) FROM deliveries") == 0
    made = sum((await rig.statuses(job.id)).values())
    assert 1_000 <= made < 6_000

    async with rig.worker():
        await rig.until(lambda: _delivered(rig, job.id, 6_000))
    assert len(rig.sent()) == len(set(rig.sent())) == 6_000


async def _delivered(rig: Rig, job_id: Any, count: int) -> bool:
    return await rig.statuses(job_id) == {"delivered": count}


async def test_a_worker_finds_its_database_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "RECONNECT", 0.1)
    template = await rig.make.template(await rig.make.service())
    job = await rig.job(template, texts(3_000), rows=3_000)

    async with rig.worker():
        await rig.until(lambda: _some(rig, job.id))
        await rig.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await rig.until(lambda: _delivered(rig, job.id, 3_000), seconds=40)

    rows = await rig.value("SELECT count(DISTINCT job_row_number) FROM notifications WHERE job_id = :id", id=job.id)
    assert rows == 3_000


async def _some(rig: Rig, job_id: Any) -> bool:
    return bool(await rig.statuses(job_id))


async def test_a_worker_refuses_a_pooler(rig: Rig) -> None:
    with pytest.raises(ValueError, match="pooler"):
        await run(rig.settings.model_copy(update={"database_through_pooler": True}))


async def test_the_platforms_own_messages_go_too(rig: Rig) -> None:
    async with rig.database.transaction() as tx:
        await platform_messages.send(
            tx, rig.signer, platform_messages.Kind.SIGN_IN_CODE, uuid4(), "07900900123", code="12345"
        )

    async def gone() -> bool:
        return len(rig.sent()) == 1

    async with rig.worker():
        await rig.until(gone)


@pytest.mark.parametrize("name", SCHEDULE)
async def test_every_entry_of_the_schedule_runs_and_changes_nothing_when_nothing_is_due(rig: Rig, name: str) -> None:
    _, action = SCHEDULE[name]
    await rig.execute(
        "UPDATE notifications SET notification_status = 'delivered' WHERE notification_status <> 'delivered'"
    )
    await rig.execute("UPDATE jobs SET job_status = 'finished all notifications created'")

    await action(rig.work())

    assert await rig.queued() == []


async def test_four_workers_send_each_message_once(rig: Rig) -> None:
    template = await rig.make.template(await rig.make.service())
    ids = await rig.waiting(template, 60)
    async with rig.database.transaction() as tx:
        for one in ids:
            await deliveries.queue(tx, [one])
        await deliveries.queue(tx, ids)

    async def all_sent() -> bool:
        left = "template_id = :id AND notification_status <> 'delivered'"
        return await rig.rows(f"SELECT id FROM notifications WHERE {left}", id=template.id) == []

    async with rig.worker(), rig.worker(), rig.worker(), rig.worker():
        await rig.until(all_sent)

    assert sorted(rig.sent()) == sorted(ids)
