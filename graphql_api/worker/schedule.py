"""Scheduled tasks. Each may run late, twice or concurrently without harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from graphql_api.domain import api_keys, deliveries, facts, idempotency, job_runs, retention, search_entries, uploads
from graphql_api.tasks import delete_old_log, requeue_held
from graphql_api.worker import health

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.worker.context import WorkerContext

log = structlog.get_logger(__name__)


async def start_due_jobs(worker: WorkerContext) -> None:
    """Start scheduled jobs that are due."""
    async with worker.database.transaction() as tx:
        started = await job_runs.start_due_jobs(tx, worker.actor)
    if started:
        log.info("scheduled jobs started", count=len(started))


async def complete_and_resume_jobs(worker: WorkerContext) -> None:
    """Mark complete jobs, and enqueue those that have stopped."""
    async with worker.database.transaction() as tx:
        await job_runs.mark_complete(tx, worker.actor)
        restarted = await job_runs.restart_stuck_jobs(tx, worker.actor)
    if restarted.unfinished or restarted.missing_rows:
        log.warning("jobs resumed", unfinished=len(restarted.unfinished), missing_rows=len(restarted.missing_rows))


async def revoke_expired_keys(worker: WorkerContext) -> None:
    """Revoke expired API keys, on a database that Notify uses too."""
    async with worker.database.transaction() as tx:
        count = await api_keys.revoke_expired(tx, worker.actor)
    if count:
        log.info("expired keys revoked", count=count)


async def requeue_overdue_messages(worker: WorkerContext) -> None:
    """Enqueue messages again that no worker has claimed."""
    async with worker.database.transaction() as tx:
        count = await deliveries.requeue_overdue(tx, worker.actor, policy=worker.delivery_policy)
    if count:
        log.warning("overdue messages queued", count=count)


async def fail_messages_without_receipt(worker: WorkerContext) -> None:
    """Fail messages without a receipt for days."""
    total = 0
    while not worker.stopping.is_set():
        async with worker.database.transaction() as tx:
            count = await deliveries.fail_without_receipt(tx, worker.actor, policy=worker.delivery_policy)
        total += count
        if not count:
            break
    if total:
        log.info("messages without receipt failed", count=total)


async def count_statuses(worker: WorkerContext) -> None:
    """Count messages by status, day by day."""
    async with worker.long_transaction() as tx:
        due_days = await facts.find_due_status_days(tx, worker.actor)
    await _count_days(worker, due_days, facts.count_statuses, "statuses counted")


async def count_billing(worker: WorkerContext) -> None:
    """Count billable messages, day by day."""
    async with worker.long_transaction() as tx:
        due_days = await facts.find_due_billing_days(tx, worker.actor)
    await _count_days(worker, due_days, facts.count_billing, "bills counted")


async def _count_days(
    worker: WorkerContext,
    due_days: list[facts.DueDay],
    count: Callable[[AsyncSession, Actor, facts.DueDay], Awaitable[None]],
    event: str,
) -> None:
    days = 0
    for due in due_days:
        if worker.stopping.is_set():
            break
        async with worker.long_transaction() as tx:
            await count(tx, worker.actor, due)
        days += 1
    log.info(event, days=days, missed=len(due_days) - days)


async def move_expired_messages(worker: WorkerContext) -> None:
    """Move messages past their retention to the history."""
    async with worker.long_transaction() as tx:
        expired = await retention.find_expired(tx, worker.actor)
    total = 0
    for expired_messages in expired:
        count = -1
        while count and not worker.stopping.is_set():
            async with worker.long_transaction() as tx:
                count = await retention.move_to_history(tx, worker.actor, expired_messages)
            total += count
    if total:
        log.info("messages past retention", count=total)


async def archive_expired_jobs(worker: WorkerContext) -> None:
    """Delete the lists of jobs past their retention, and archive the jobs."""
    expired_jobs = None
    while expired_jobs != [] and not worker.stopping.is_set():
        async with worker.long_transaction() as tx:
            expired_jobs = await retention.find_expired_jobs(tx, worker.actor)
        for job in expired_jobs:
            await worker.store.delete(job_runs.list_path(*job))
        # If this fails, the jobs are found again, and deleting a list twice does no harm.
        async with worker.long_transaction() as tx:
            await retention.archive_jobs(tx, worker.actor, expired_jobs)
        if expired_jobs:
            log.info("jobs past retention", count=len(expired_jobs))


async def delete_expired_idempotency_keys(worker: WorkerContext) -> None:
    """Delete expired idempotency keys."""
    async with worker.database.transaction() as tx:
        await idempotency.delete_expired(tx)


async def delete_expired_uploads(worker: WorkerContext) -> None:
    """Delete expired uploads, then their files; without its row a file cannot be read."""
    paths = [""]
    while paths and not worker.stopping.is_set():
        async with worker.database.transaction() as tx:
            paths = await uploads.delete_expired(tx)
        for path in paths:
            await worker.store.delete(path)


async def retry_held_tasks(worker: WorkerContext) -> None:
    """Enqueue held tasks again."""
    async with worker.database.transaction() as tx:
        count = await requeue_held(tx)
    if count:
        log.warning("held tasks queued", count=count)


async def delete_old_task_logs(worker: WorkerContext) -> None:
    """Delete old entries of the queue's log."""
    while not worker.stopping.is_set():
        async with worker.database.transaction() as tx:
            if not await delete_old_log(tx):
                break


async def refresh_search(worker: WorkerContext) -> None:
    """Refresh the view that search reads."""
    async with worker.database.transaction() as tx:
        await search_entries.refresh(tx)


SCHEDULES: dict[str, tuple[str, Callable[[WorkerContext], Awaitable[None]]]] = {
    "start due jobs": ("* * * * *", start_due_jobs),
    "see to jobs": ("* * * * *", complete_and_resume_jobs),
    "revoke expired keys": ("* * * * *", revoke_expired_keys),
    "queue overdue messages": ("*/15 * * * *", requeue_overdue_messages),
    "give up on silent messages": ("5 0 * * *", fail_messages_without_receipt),
    # After Notify has counted them, which leaves nothing to write.
    "count bills": ("45 1 * * *", count_billing),
    "count statuses": ("0 2 * * *", count_statuses),
    "move past retention": ("0 3 * * *", move_expired_messages),
    "archive old jobs": ("30 3 * * *", archive_expired_jobs),
    "forget idempotency keys": ("20 * * * *", delete_expired_idempotency_keys),
    "forget uploads": ("25 * * * *", delete_expired_uploads),
    "refresh search": ("*/5 * * * *", refresh_search),
    "take health snapshot": ("* * * * *", health.take_snapshot),
    "count rows": ("50 4 * * *", health.count_rows),
    "run held tasks": ("*/10 * * * *", retry_held_tasks),
    "forget old runs": ("40 3 * * *", delete_old_task_logs),
}
"""Cron expressions (UTC) and functions by name; the names are stored by the queue. One worker runs each."""

NIGHTLY_SCHEDULES = (
    "give up on silent messages",
    "count bills",
    "count statuses",
    "move past retention",
    "archive old jobs",
)
"""Schedules of `run_nightly`, in this order."""
