"""Tasks of the worker: enqueued in the transaction of a change, so that a rollback removes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, cast

import orjson
from pgqueuer.adapters.persistence.queries import Queries
from sqlalchemy import text

from graphql_api.models.base import utcnow

if TYPE_CHECKING:
    from pgqueuer.ports.driver import Driver
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

JSONValue = bool | int | float | str | None | Sequence["JSONValue"] | Mapping[str, "JSONValue"]
"""The type of payloads: ids and constants, never personal data."""


class Task(StrEnum):
    """Kinds of task, with their payloads; every task is idempotent, since it may run twice."""

    PROCESS_JOB = "process job"
    """`{"job_id"}`: create the messages of a job; its `dedupe_key` is the job's id."""

    DELIVER = "deliver notifications"
    """`{"notification_ids"}`: hand those messages to their gateways that are still waiting for it."""

    RECEIVE = "receive receipts"
    """`{"receipts": {status: [notification id, ...]}}`: record the statuses of messages."""

    PLATFORM_MESSAGE = "platform message"
    """`{"kind", "user_id", ...}`: send a message of the platform to a user, such as a sign-in code."""


class TransactionDriver:
    """A pgqueuer driver on the connection, and in the transaction, of a SQLAlchemy session."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Run a statement; returns its rows."""
        result = await self.connection.exec_driver_sql(query, args)
        return [dict(row) for row in result.mappings()]

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement; returns the number of rows that it changed."""
        return str((await self.connection.exec_driver_sql(query, args)).rowcount)


async def enqueue(
    tx: AsyncSession,
    task: str,
    payload: Mapping[str, JSONValue],
    *,
    due_at: datetime | None = None,
    dedupe_key: str | None = None,
    priority: int = 0,
) -> None:
    """Enqueue a task, which runs once the transaction of `tx` commits.

    `due_at` is naive UTC, None for at once. While a task with the same `dedupe_key` is queued or runs, no other is
    enqueued. Tasks of the highest priority run first.
    """
    await enqueue_all(tx, task, [payload], due_at=due_at, dedupe_keys=[dedupe_key], priority=priority)


async def enqueue_all(
    tx: AsyncSession,
    task: str,
    payloads: Sequence[Mapping[str, JSONValue]],
    *,
    due_at: datetime | None = None,
    dedupe_keys: Sequence[str | None] | None = None,
    priority: int = 0,
) -> None:
    """Enqueue a task for each of several payloads, in one statement."""
    if not payloads:
        return
    count = len(payloads)
    delay = max(due_at - utcnow(), timedelta()) if due_at else timedelta()
    driver = cast("Driver", TransactionDriver(await tx.connection()))
    await Queries(driver).enqueue(
        [task] * count,
        [orjson.dumps(payload) for payload in payloads],
        [priority] * count,
        [delay] * count,
        [f"{task} {dedupe_key}" if dedupe_key else None for dedupe_key in dedupe_keys or [None] * count],
        on_conflict="skip",
    )


_REQUEUE_HELD = text(
    """
    UPDATE pgqueuer SET status = 'queued', attempts = 0, dedupe_key = NULL, queue_manager_id = NULL,
        execute_after = now(), updated = now()
    WHERE id IN (
        SELECT id FROM pgqueuer
        WHERE status = 'failed' AND entrypoint <> :except
            AND updated < now() - interval '1 hour' AND created > now() - interval '3 days'
        LIMIT 1000 FOR UPDATE SKIP LOCKED
    )
    RETURNING id
    """
)
_DELETE_OLD_LOG = text(
    """
    DELETE FROM pgqueuer_log
    WHERE id IN (SELECT id FROM pgqueuer_log WHERE created < now() - interval '7 days' LIMIT 10000)
    RETURNING id
    """
)


async def requeue_held(tx: AsyncSession) -> int:
    """Queue failed tasks again, each every hour for three days; returns how many.

    Messages of the platform stay failed, since they are of no use so late.
    """
    return len((await tx.execute(_REQUEUE_HELD, {"except": Task.PLATFORM_MESSAGE.value})).all())


async def delete_old_log(tx: AsyncSession) -> int:
    """Delete log entries of tasks older than seven days, 10,000 at a time; returns how many."""
    return len((await tx.execute(_DELETE_OLD_LOG)).all())
