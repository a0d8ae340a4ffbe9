"""Jobs: a list becomes messages, a thousand rows at a time, from wherever the last worker came to."""

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
from graphql_api.recipients.lists import open_list

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from graphql_api.domain.job_runs import Run
    from graphql_api.recipients.lists import Row
    from graphql_api.worker.context import Work

log = structlog.get_logger(__name__)


async def process(work: Work, payload: Mapping[str, Any]) -> None:
    """Turn a job's list into messages; whatever happens to the worker, each row becomes one message."""
    job_id = UUID(payload["job_id"])
    lease = work.settings.worker_lease
    try:
        async with work.database.transaction() as tx:
            run = await job_runs.take(tx, work.actor, job_id, owner=uuid4(), lease=lease)
    except job_runs.Leased:
        async with work.database.transaction() as tx:
            await job_runs.queue(tx, job_id, due=utcnow() + timedelta(seconds=lease), again=True)
        return
    if run is None:
        return
    try:
        await _Process(work, run).run()
    except job_runs.Superseded:
        log.info("job superseded", job_id=str(job_id), fence=run.fence)


class _Process:
    """One run of one job."""

    def __init__(self, work: Work, run: Run) -> None:
        self._work = work
        self._run = run
        self._lease = work.settings.worker_lease
        self._row = run.next_row
        self._held_at = time.monotonic()

    async def run(self) -> None:
        """Check the limits if nobody has, then go through the rows."""
        data = await self._work.store.get(self._run.path)
        if not self._run.begun and not await self._begin(data):
            log.info("job exceeds limits", job_id=str(self._run.job_id))
            return
        if await self._write_rows(data):
            async with self._work.database.transaction() as tx:
                await job_runs.finish(tx, self._work.actor, self._run)
            log.info("job finished", job_id=str(self._run.job_id), rows=self._run.row_count)

    async def _begin(self, data: bytes) -> bool:
        run = self._run
        messages, abroad = run.row_count - len(run.bad_rows), 0
        texts_abroad = run.sending.channel is Channel.SMS and run.permits.international_sms
        if texts_abroad or not run.all_good:
            messages = 0
            async for rows in self._chunks(data, 0, inspect=not run.all_good):
                good = [row for row in rows if not row.problems and row.number not in run.bad_rows]
                messages += len(good)
                abroad += sum(row.phone_number is not None and row.phone_number.international for row in good)
        async with self._work.database.transaction() as tx:
            return await job_runs.begin(tx, self._work.actor, run, messages=messages, abroad=abroad, lease=self._lease)

    async def _write_rows(self, data: bytes) -> bool:
        """Write what is left of the list; False when the worker had to stop before the end."""
        run = self._run
        async for rows in self._chunks(data, run.next_row):
            sending = replace(run.sending, created_at=utcnow())
            values = notification_rows.of_job(sending, rows, self._work.signer, failed=self._failed())
            async with self._work.database.transaction() as tx:
                await job_runs.advance(tx, self._work.actor, run, values, row=self._row, lease=self._lease)
            self._held_at = time.monotonic()
            self._row += len(rows)
            if self._work.stopping.is_set() and self._row < run.row_count:
                async with self._work.database.transaction() as tx:
                    await job_runs.let_go(tx, self._work.actor, run)
                return False
        return True

    def _failed(self) -> Callable[[Row], bool] | None:
        bad_rows = self._run.bad_rows
        return (lambda row: row.number in bad_rows) if bad_rows else None

    async def _chunks(self, data: bytes, start: int, *, inspect: bool = True) -> AsyncIterator[list[Row]]:
        """The rows of the list from a row on, a chunk at a time; others get their turn between chunks."""
        run = self._run
        template = run.content if inspect else None
        rows: Iterator[Row] = iter(
            open_list(data, run.sending.channel, run.content.placeholders, template=template, permits=run.permits)
        )
        left = start
        while left and (passed := len(list(islice(rows, min(left, job_runs.CHUNK))))):
            left -= passed
            await self._breathe()
        while chunk := list(islice(rows, job_runs.CHUNK)):
            yield chunk
            await self._breathe()

    async def _breathe(self) -> None:
        """Let other tasks run, and hold on to the job."""
        await asyncio.sleep(0)
        if time.monotonic() - self._held_at > self._lease / 3:
            async with self._work.database.transaction() as tx:
                await job_runs.renew(tx, self._work.actor, self._run, row=self._row, lease=self._lease)
            self._held_at = time.monotonic()
