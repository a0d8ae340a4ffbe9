"""A worker without leases and idempotent ids, which shows that the tests of killed workers can fail.

It writes messages with random ids, sends them, records the outcome, and then increments the next row.
"""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import text

from graphql_api import worker
from graphql_api.domain import job_runs, notification_rows
from graphql_api.gateways import OutgoingMessage
from graphql_api.recipients.lists import RecipientList
from graphql_api.settings import Settings
from graphql_api.tasks import Task
from graphql_api.worker import queue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql_api.worker.context import WorkerContext

ROWS_PER_CHUNK = 200


async def process(worker_context: WorkerContext, payload: Mapping[str, Any]) -> None:
    """Process the rows of a job."""
    job_id = UUID(payload["job_id"])
    async with worker_context.database.transaction() as tx:
        run = await job_runs.acquire(tx, worker_context.actor, job_id, owner=uuid4(), lease_seconds=0)
    assert run is not None
    data = await worker_context.store.get(run.list_path)
    rows = iter(RecipientList(data, run.shared_fields.channel, run.content.placeholders, template=run.content))
    list(islice(rows, run.next_row))
    while chunk := list(islice(rows, ROWS_PER_CHUNK)):
        messages = [
            row | {"id": uuid4(), "job_row_number": None}
            for row in notification_rows.build_job_rows(run.shared_fields, chunk, worker_context.signer)
        ]
        async with worker_context.database.transaction() as tx:
            await notification_rows.insert_rows(tx, messages)
        for message in messages:
            await worker_context.gateways.send(
                OutgoingMessage(message["id"], run.shared_fields.channel, message["normalised_to"], "Hello")
            )
        async with worker_context.database.transaction() as tx:
            ids = [message["id"] for message in messages]
            await tx.execute(
                text("UPDATE notifications SET notification_status = 'delivered' WHERE id = ANY(:ids)"), {"ids": ids}
            )
        await asyncio.sleep(0.02)
        async with worker_context.database.transaction() as tx:
            await tx.execute(
                text("UPDATE job_runs SET next_row = next_row + :n WHERE job_id = :id"), {"n": len(chunk), "id": job_id}
            )


if __name__ == "__main__":
    queue.TASK_HANDLERS[Task.PROCESS_JOB] = process
    asyncio.run(worker.run(Settings()))
