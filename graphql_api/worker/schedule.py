"""What is seen to by the clock: every entry may run late, twice or side by side, and changes nothing then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from graphql_api.domain import api_keys, deliveries, facts, idempotency, job_runs, retention, search_entries, uploads
from graphql_api.tasks import forget_runs, run_held
from graphql_api.worker import health

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.worker.context import Work

log = structlog.get_logger(__name__)


async def start_due_jobs(work: Work) -> None:
    """Start scheduled jobs whose time has come."""
    async with work.database.transaction() as tx:
        started = await job_runs.start_due(tx, work.actor)
    if started:
        log.info("scheduled jobs started", count=len(started))


async def see_to_jobs(work: Work) -> None:
    """Mark jobs complete, and resume those that have stopped part-way."""
    async with work.database.transaction() as tx:
        await job_runs.complete(tx, work.actor)
        stuck = await job_runs.restart_stuck(tx, work.actor)
    if stuck.unfinished or stuck.missing_rows:
        log.warning("jobs resumed", unfinished=len(stuck.unfinished), missing_rows=len(stuck.missing_rows))


async def revoke_expired_keys(work: Work) -> None:
    """Revoke keys that have come to their end, on a database that Notify reads too."""
    async with work.database.transaction() as tx:
        count = await api_keys.revoke_expired(tx, work.actor)
    if count:
        log.info("expired keys revoked", count=count)


async def queue_overdue_messages(work: Work) -> None:
    """Queue messages again that nobody took."""
    async with work.database.transaction() as tx:
        count = await deliveries.queue_overdue(tx, work.actor, pace=work.pace)
    if count:
        log.warning("overdue messages queued", count=count)


async def give_up_on_silent_messages(work: Work) -> None:
    """Let messages fail of which nothing has been heard for days."""
    total = 0
    while not work.stopping.is_set():
        async with work.database.transaction() as tx:
            count = await deliveries.give_up_on_silent(tx, work.actor, pace=work.pace)
        total += count
        if not count:
            break
    if total:
        log.info("silent messages failed", count=total)


async def count_statuses(work: Work) -> None:
    """Count what became of messages, day by day."""
    async with work.patiently() as tx:
        found = await facts.due_statuses(tx, work.actor)
    await _count(work, found, facts.count_statuses, "statuses counted")


async def count_bills(work: Work) -> None:
    """Count what messages come to, day by day."""
    async with work.patiently() as tx:
        found = await facts.due_bills(tx, work.actor)
    await _count(work, found, facts.count_bills, "bills counted")


async def _count(
    work: Work, found: list[facts.Due], count: Callable[[AsyncSession, Actor, facts.Due], Awaitable[None]], what: str
) -> None:
    days = 0
    for due in found:
        if work.stopping.is_set():
            break
        async with work.patiently() as tx:
            await count(tx, work.actor, due)
        days += 1
    log.info(what, days=days, missed=len(found) - days)


async def move_past_retention(work: Work) -> None:
    """Move messages to the history that have been kept for long enough."""
    async with work.patiently() as tx:
        found = await retention.due(tx, work.actor)
    total = 0
    for past in found:
        count = -1
        while count and not work.stopping.is_set():
            async with work.patiently() as tx:
                count = await retention.move(tx, work.actor, past)
            total += count
    if total:
        log.info("messages past retention", count=total)


async def archive_old_jobs(work: Work) -> None:
    """Delete the lists of jobs whose messages have been kept for long enough, and say so of the jobs."""
    found = None
    while found != [] and not work.stopping.is_set():
        async with work.patiently() as tx:
            found = await retention.old_jobs(tx, work.actor)
        for job in found:
            await work.store.delete(job_runs.list_path(*job))
        # A job whose list is gone already is found again, until it is marked.
        async with work.patiently() as tx:
            await retention.archive(tx, work.actor, found)
        if found:
            log.info("jobs past retention", count=len(found))


async def forget_idempotency_keys(work: Work) -> None:
    """Delete the keys of requests that are too old to be repeated."""
    async with work.database.transaction() as tx:
        await idempotency.forget(tx)


async def forget_uploads(work: Work) -> None:
    """Delete the uploads that have expired, then their files: one that is left over has no row, and no reader."""
    paths = [""]
    while paths and not work.stopping.is_set():
        async with work.database.transaction() as tx:
            paths = await uploads.forget(tx)
        for path in paths:
            await work.store.delete(path)


async def run_held_tasks(work: Work) -> None:
    """Give tasks another chance that had failed."""
    async with work.database.transaction() as tx:
        count = await run_held(tx)
    if count:
        log.warning("held tasks queued", count=count)


async def forget_old_runs(work: Work) -> None:
    """Delete the log of the queue's old tasks."""
    while not work.stopping.is_set():
        async with work.database.transaction() as tx:
            if not await forget_runs(tx):
                break


async def refresh_search(work: Work) -> None:
    """Let search find what has been added and renamed."""
    async with work.database.transaction() as tx:
        await search_entries.refresh(tx)


SCHEDULE: dict[str, tuple[str, Callable[[Work], Awaitable[None]]]] = {
    "start due jobs": ("* * * * *", start_due_jobs),
    "see to jobs": ("* * * * *", see_to_jobs),
    "revoke expired keys": ("* * * * *", revoke_expired_keys),
    "queue overdue messages": ("*/15 * * * *", queue_overdue_messages),
    "give up on silent messages": ("5 0 * * *", give_up_on_silent_messages),
    # Later than Notify counts them: beside it there is nothing left to do.
    "count bills": ("45 1 * * *", count_bills),
    "count statuses": ("0 2 * * *", count_statuses),
    "move past retention": ("0 3 * * *", move_past_retention),
    "archive old jobs": ("30 3 * * *", archive_old_jobs),
    "forget idempotency keys": ("20 * * * *", forget_idempotency_keys),
    "forget uploads": ("25 * * * *", forget_uploads),
    "refresh search": ("*/5 * * * *", refresh_search),
    "take health snapshot": ("* * * * *", health.take_snapshot),
    "count rows": ("50 4 * * *", health.count_rows),
    "run held tasks": ("*/10 * * * *", run_held_tasks),
    "forget old runs": ("40 3 * * *", forget_old_runs),
}
"""What runs when (UTC), in one worker at a time."""

NIGHTLY = ("give up on silent messages", "count bills", "count statuses", "move past retention", "archive old jobs")
"""What is done once a night, in this order."""
