"""Work for later, promised in the transaction of the change: it is done if the change is kept, and forgotten if not."""

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
"""What a payload is made of: ids and words, never anything personal."""


class Task(StrEnum):
    """What the worker can be asked to do, each with its payload; every task may run twice and change nothing."""

    PROCESS_JOB = "process job"
    """`{"job_id"}`: turn a job's list into messages; `dedupe` is the job's id."""

    DELIVER = "deliver notifications"
    """`{"notification_ids"}`: hand messages to their gateways, those of them that still wait for it."""

    RECEIVE = "receive receipts"
    """`{"receipts": {status: [notification id, ...]}}`: record what became of messages."""

    PLATFORM_MESSAGE = "platform message"
    """`{"kind", "user_id", ...}`: a message of the platform to a person, such as a code to sign in with."""


class TransactionDriver:
    """The queue's statements on the connection, and in the transaction, of a session of ours."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Run a statement, and answer its rows."""
        result = await self.connection.exec_driver_sql(query, args)
        return [dict(row) for row in result.mappings()]

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement, and answer how many rows it touched."""
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
    """Ask the worker for something, when the transaction of `tx` commits.

    `due` is naive UTC, None for at once. While a task with the same `dedupe` waits or runs, another is left out.
    The highest priority goes first.
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
    """Ask the worker for the same thing of several payloads, in one statement."""
    if not payloads:
        return
    count = len(payloads)
    wait = max(due_at - utcnow(), timedelta()) if due_at else timedelta()
    driver = cast("Driver", TransactionDriver(await tx.connection()))
    await Queries(driver).enqueue(
        [task] * count,
        [orjson.dumps(payload) for payload in payloads],
        [priority] * count,
        [wait] * count,
        [f"{task} {dedupe}" if dedupe else None for dedupe in dedupe_keys or [None] * count],
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
    """Give tasks that failed, and were held, another chance each hour for three days; answers how many.

    Those that nobody would be glad of so late, messages of the platform, stay held.
    """
    return len((await tx.execute(_REQUEUE_HELD, {"except": Task.PLATFORM_MESSAGE.value})).all())


async def delete_old_log(tx: AsyncSession) -> int:
    """Delete the log of tasks that ran more than a week ago, ten thousand lines at a time; answers how many."""
    return len((await tx.execute(_DELETE_OLD_LOG)).all())
