"""Work is promised with the change, or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from graphql_api.database.database import Database
from graphql_api.models import utcnow
from graphql_api.tasks import Task, enqueue, enqueue_all


async def _tasks(database: Database) -> list[dict[str, Any]]:
    async with database.read_connection() as connection:
        found = await connection.execute(
            text("SELECT entrypoint, payload, priority, execute_after - created AS wait FROM pgqueuer ORDER BY id")
        )
        return [dict(row) for row in found.mappings()]


async def test_a_task_is_there_when_the_transaction_commits(database: Database) -> None:
    async with database.transaction() as tx:
        await enqueue(tx, Task.PROCESS_JOB, {"job_id": "x"}, priority=3)

    (task,) = await _tasks(database)
    assert (task["entrypoint"], orjson.loads(task["payload"])) == ("process job", {"job_id": "x"})
    assert (task["priority"], task["wait"]) == (3, timedelta())


async def test_a_task_goes_with_a_rollback_even_as_the_first_statement(database: Database) -> None:
    async def change() -> None:
        async with database.transaction() as tx:
            await enqueue(tx, Task.PROCESS_JOB, {"job_id": "x"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change()

    assert await _tasks(database) == []


async def test_a_task_can_wait_for_its_time(database: Database) -> None:
    before = utcnow()
    async with database.transaction() as tx:
        await enqueue(tx, Task.DELIVER, {}, due_at=utcnow() + timedelta(hours=1))
        await enqueue(tx, Task.DELIVER, {}, due_at=utcnow() - timedelta(hours=1))

    later, at_once = await _tasks(database)
    assert before - utcnow() < later["wait"] - timedelta(hours=1) <= timedelta()
    assert at_once["wait"] == timedelta()


async def test_a_task_that_waits_already_is_left_out(database: Database) -> None:
    async with database.transaction() as tx:
        for dedupe in ("a", "a", "b", None, None):
            await enqueue(tx, Task.PROCESS_JOB, {}, dedupe_key=dedupe)
        await enqueue(tx, Task.DELIVER, {}, dedupe_key="a")

    assert [task["entrypoint"] for task in await _tasks(database)] == ["process job"] * 4 + ["deliver notifications"]


async def test_many_tasks_are_one_statement(database: Database, statements: Any) -> None:
    async with database.transaction() as tx:
        with statements(1):
            await enqueue_all(tx, Task.DELIVER, [{"n": n} for n in range(50)])
        with statements(0):
            await enqueue_all(tx, Task.DELIVER, [])

    assert [orjson.loads(task["payload"])["n"] for task in await _tasks(database)] == list(range(50))
