"""Processing of jobs: writes the messages of a list in chunks, from the first row that is not written."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import structlog

from graphql_api.domain import job_runs, notification_rows
from graphql_api.enums import Channel
from graphql_api.models import utcnow
from graphql_api.recipients.lists import RecipientList

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from graphql_api.domain.job_runs import Run
    from graphql_api.recipients.lists import RecipientRow
    from graphql_api.worker.context import WorkerContext

log = structlog.get_logger(__name__)


async def process(worker: WorkerContext, payload: Mapping[str, Any]) -> None:
    """Write the messages of a job. Runs can be interrupted and repeated: each row becomes one message."""
    job_id = UUID(payload["job_id"])
    lease = worker.settings.worker_lease
    try:
        async with worker.database.transaction() as tx:
            run = await job_runs.acquire(tx, worker.actor, job_id, owner=uuid4(), lease_seconds=lease)
    except job_runs.LeaseHeld:
        async with worker.database.transaction() as tx:
            await job_runs.enqueue_run(tx, job_id, due=utcnow() + timedelta(seconds=lease), allow_duplicate=True)
        return
    if run is None:
        return
    try:
        await _JobProcessor(worker, run).run()
    except job_runs.Superseded:
        log.info("job superseded", job_id=str(job_id), fence=run.fence)


class _JobProcessor:
    """One run of one job."""

    def __init__(self, worker: WorkerContext, run: Run) -> None:
        self._worker = worker
        self._run = run
        self._lease_seconds = worker.settings.worker_lease
        self._next_row = run.next_row
        self._lease_renewed_at = time.monotonic()

    async def run(self) -> None:
        """Check the daily limits unless an earlier run has, then write the rows."""
        data = await self._worker.store.get(self._run.list_path)
        if not self._run.limits_checked and not await self._check_limits(data):
            log.info("job exceeds limits", job_id=str(self._run.job_id))
            return
        if await self._write_rows(data):
            async with self._worker.database.transaction() as tx:
                await job_runs.finish(tx, self._worker.actor, self._run)
            log.info("job finished", job_id=str(self._run.job_id), rows=self._run.row_count)

    async def _check_limits(self, data: bytes) -> bool:
        run = self._run
        message_count, international_count = run.row_count - len(run.bad_rows), 0
        may_be_international = run.shared_fields.channel is Channel.SMS and run.recipient_permissions.international_sms
        if may_be_international or not run.all_rows_valid:
            message_count = 0
            async for rows in self._chunks(data, 0, inspect=not run.all_rows_valid):
                good_rows = [row for row in rows if not row.problems and row.number not in run.bad_rows]
                message_count += len(good_rows)
                international_count += sum(
                    row.phone_number is not None and row.phone_number.international for row in good_rows
                )
        async with self._worker.database.transaction() as tx:
            return await job_runs.begin_run(
                tx,
                self._worker.actor,
                run,
                message_count=message_count,
                international_count=international_count,
                lease_seconds=self._lease_seconds,
            )

    async def _write_rows(self, data: bytes) -> bool:
        """Write the remaining rows; False if the worker shuts down before the end."""
        run = self._run
        async for rows in self._chunks(data, run.next_row):
            shared_fields = replace(run.shared_fields, created_at=utcnow())
            values = notification_rows.build_job_rows(
                shared_fields, rows, self._worker.signer, is_failed=self._failure_predicate()
            )
            async with self._worker.database.transaction() as tx:
                await job_runs.write_rows(
                    tx, self._worker.actor, run, values, row=self._next_row, lease_seconds=self._lease_seconds
                )
            self._lease_renewed_at = time.monotonic()
            self._next_row += len(rows)
            if self._worker.stopping.is_set() and self._next_row < run.row_count:
                async with self._worker.database.transaction() as tx:
                    await job_runs.release(tx, self._worker.actor, run)
                return False
        return True

    def _failure_predicate(self) -> Callable[[RecipientRow], bool] | None:
        bad_rows = self._run.bad_rows
        return (lambda row: row.number in bad_rows) if bad_rows else None

    async def _chunks(self, data: bytes, start: int, *, inspect: bool = True) -> AsyncIterator[list[RecipientRow]]:
        """Chunks of rows from row `start`; other tasks run between chunks."""
        run = self._run
        template = run.content if inspect else None
        rows: Iterator[RecipientRow] = iter(
            RecipientList(
                data,
                run.shared_fields.channel,
                run.content.placeholders,
                template=template,
                allowed=run.recipient_permissions,
            )
        )
        to_skip = start
        while to_skip and (skipped := len(list(islice(rows, min(to_skip, job_runs.ROWS_PER_CHUNK))))):
            to_skip -= skipped
            await self._heartbeat()
        while chunk := list(islice(rows, job_runs.ROWS_PER_CHUNK)):
            yield chunk
            await self._heartbeat()

    async def _heartbeat(self) -> None:
        """Let other tasks run, and renew the lease when a third of it has passed."""
        await asyncio.sleep(0)
        if time.monotonic() - self._lease_renewed_at > self._lease_seconds / 3:
            async with self._worker.database.transaction() as tx:
                await job_runs.renew_lease(
                    tx, self._worker.actor, self._run, row=self._next_row, lease_seconds=self._lease_seconds
                )
            self._lease_renewed_at = time.monotonic()
