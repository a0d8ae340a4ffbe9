"""Runs of jobs: a worker leases a job and writes its rows in chunks; another resumes it when the lease expires."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, text

from graphql_api import models
from graphql_api.database.listen import notify_job_changed, notify_job_changed_sql
from graphql_api.domain import api_key_usage, deliveries, notification_rows, sending_limits, sends
from graphql_api.domain.database_clock import NOW_SQL
from graphql_api.domain.notification_rows import SharedFields
from graphql_api.enums import Channel, ErrorPolicy, JobStatus, KeyType, NotificationStatus, Postage
from graphql_api.models import utcnow
from graphql_api.tasks import Task, enqueue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.content import messages
    from graphql_api.recipients.lists import AllowedDestinations

ROWS_PER_CHUNK = 1_000
"""Rows of one transaction."""

STORED_POLICY_BY_POLICY = {ErrorPolicy.SEND_NOTHING: "all_or_nothing", ErrorPolicy.SEND_GOOD_ROWS: "skip_bad_rows"}
"""Values of `job_runs.error_policy`."""

JOB_LOCK_OPTIONS = {"key_share": True}
"""`FOR NO KEY UPDATE`, which does not block inserts that refer to the job."""

EARLY_START_TOLERANCE = timedelta(seconds=1)
STUCK_AFTER = timedelta(minutes=30)
MISSING_ROWS_AFTER = timedelta(minutes=10)
MAX_RUNS = 10
"""A finished job with missing rows is not restarted after so many runs."""


class Superseded(Exception):
    """Another worker has acquired the job; the transaction has changed nothing."""


class LeaseHeld(Exception):
    """Another worker has leased the job."""


@dataclass(frozen=True, slots=True)
class Run:
    """A job leased by one worker."""

    job_id: UUID
    fence: int
    """The number of this run; a later run has a greater one."""
    list_path: str
    """Path of the list in the object store."""
    next_row: int
    row_count: int
    bad_rows: frozenset[int]
    """Rows, counted from 0, whose recipients were not allowed when the job was created."""
    all_rows_valid: bool
    """Whether every row of the list was valid when the job was created."""
    limits_checked: bool
    """Whether the list has been counted against the daily limits."""
    shared_fields: SharedFields
    content: messages.CompiledTemplate
    recipient_permissions: AllowedDestinations


def list_path(service_id: UUID, job_id: UUID) -> str:
    """Path of a job's list in the object store; Notify's."""
    return f"service-{service_id}-notify/{job_id}.csv"


async def enqueue_run(
    tx: AsyncSession, job_id: UUID, *, due: datetime | None = None, allow_duplicate: bool = False
) -> None:
    """Enqueue a run of a job unless one is queued; `due` is naive UTC, None for at once.

    With `allow_duplicate` it is enqueued in any case, for example while a run is in progress.
    """
    await enqueue(
        tx, Task.PROCESS_JOB, {"job_id": str(job_id)}, due_at=due, dedupe_key=None if allow_duplicate else str(job_id)
    )


_ACQUIRE_LEASE = text(
    f"""
    UPDATE job_runs SET fence = fence + 1, lease_owner = :owner, lease_until = {NOW_SQL} + CAST(:lease AS interval)
    WHERE job_id = :job_id AND (lease_until IS NULL OR lease_until < {NOW_SQL})
    RETURNING fence, next_row, bad_rows, error_policy, reply_to_text, api_key_id, {notify_job_changed_sql("job_id")}
    """  # noqa: S608 - made of constants
)


async def acquire(tx: AsyncSession, actor: Actor, job_id: UUID, *, owner: UUID, lease_seconds: float) -> Run | None:
    """Lease a job for some seconds, from its first row without a message.

    None when there is nothing to do: it is finished, cancelled, not due, or Notify's. A job of an archived service is
    cancelled. Raises `LeaseHeld` while another worker has leased it.
    """
    actor.require_platform_admin()
    job = await tx.get(models.Job, job_id, with_for_update=JOB_LOCK_OPTIONS)
    if job is None or not _is_runnable(job):
        return None
    service = await tx.get_one(models.Service, job.service_id)
    if not service.active:
        job.job_status = JobStatus.CANCELLED.value
        await tx.flush()
        await notify_job_changed(tx, job.id)
        return None
    acquired = (
        await tx.execute(_ACQUIRE_LEASE, {"job_id": job_id, "owner": owner, "lease": timedelta(seconds=lease_seconds)})
    ).first()
    if acquired is None:
        if await tx.get(models.JobRun, job_id) is None:
            return None
        raise LeaseHeld
    template = await tx.get_one(models.TemplateHistory, (job.template_id, job.template_version))
    key = await tx.get(models.ApiKey, acquired.api_key_id) if acquired.api_key_id else None
    limits_checked = job.processing_started is not None
    if job.job_status != JobStatus.IN_PROGRESS:
        job.job_status = JobStatus.IN_PROGRESS.value
    await tx.flush()
    return Run(
        job_id=job.id,
        fence=acquired.fence,
        list_path=list_path(job.service_id, job.id),
        next_row=acquired.next_row,
        row_count=job.notification_count,
        bad_rows=frozenset(acquired.bad_rows),
        all_rows_valid=acquired.error_policy == STORED_POLICY_BY_POLICY[ErrorPolicy.SEND_NOTHING],
        limits_checked=limits_checked,
        shared_fields=SharedFields(
            service_id=job.service_id,
            template_id=template.id,
            template_version=template.version,
            channel=Channel(template.template_type),
            created_at=utcnow(),
            key_type=KeyType(key.key_type) if key else KeyType.LIVE,
            api_key_id=key.id if key else None,
            job_id=job.id,
            reply_to_text=acquired.reply_to_text,
            postage=_parse_postage(template.postage),
        ),
        content=sends.parse_content(service, template),
        recipient_permissions=await _load_recipient_permissions(tx, service.id),
    )


def _is_runnable(job: models.Job) -> bool:
    if job.job_status == JobStatus.SCHEDULED:
        # The queue counts from the start of the transaction that enqueued the task, so it runs a moment early.
        return job.scheduled_for is not None and job.scheduled_for <= utcnow() + EARLY_START_TOLERANCE
    return job.job_status in {JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.ERROR}


def _parse_postage(stored: str | None) -> Postage | None:
    """The stored postage; None for an unknown value, which another program may have written."""
    try:
        return Postage(stored) if stored else None
    except ValueError:
        return None


async def _load_recipient_permissions(tx: AsyncSession, service_id: UUID) -> AllowedDestinations:
    features = set(
        await tx.scalars(select(models.ServiceFeature.permission).where(models.ServiceFeature.service_id == service_id))
    )
    return sends.allowed_destinations(features)


_UPDATE_LEASE = text(
    f"""
    UPDATE job_runs SET next_row = :next_row, lease_until = {NOW_SQL} + CAST(:lease AS interval)
    WHERE job_id = :job_id AND fence = :fence AND next_row = :row
    RETURNING fence, {notify_job_changed_sql("job_id")}
    """  # noqa: S608 - made of constants
)


async def _update_lease(tx: AsyncSession, run: Run, *, row: int, next_row: int, lease_seconds: float) -> None:
    """Set the next row and renew the lease; raises `Superseded` if another run has acquired the job."""
    values = {"job_id": run.job_id, "fence": run.fence, "row": row, "next_row": next_row}
    if (await tx.execute(_UPDATE_LEASE, values | {"lease": timedelta(seconds=lease_seconds)})).first() is None:
        raise Superseded


async def renew_lease(tx: AsyncSession, actor: Actor, run: Run, *, row: int, lease_seconds: float) -> None:
    """Renew the lease of a job whose next row is `row`. Raises `Superseded`."""
    actor.require_platform_admin()
    await _update_lease(tx, run, row=row, next_row=row, lease_seconds=lease_seconds)


async def begin_run(
    tx: AsyncSession, actor: Actor, run: Run, *, message_count: int, international_count: int, lease_seconds: float
) -> bool:
    """Count the whole list against the daily limits, once; False if it exceeds them, which ends the job.

    `message_count` are the rows that will be sent, `international_count` those of them that are text messages to other
    countries. Raises `Superseded`.
    """
    actor.require_platform_admin()
    job = await tx.get_one(models.Job, run.job_id, with_for_update=JOB_LOCK_OPTIONS)
    await _update_lease(tx, run, row=run.next_row, next_row=run.next_row, lease_seconds=lease_seconds)
    service = await tx.get_one(models.Service, job.service_id)
    counts = sending_limits.daily_counts(run.shared_fields.channel.value, message_count, international_count)
    remaining = await sending_limits.lock_remaining(tx, service, counts, run.shared_fields.key_type)
    if any(count > remaining[kind] for kind, count in counts.items()):
        job.job_status = JobStatus.SENDING_LIMITS_EXCEEDED.value
        job.processing_finished = utcnow()
        await tx.flush()
        return False
    await sending_limits.add_daily_usage(tx, service, counts, run.shared_fields.key_type)
    job.processing_started = utcnow()
    await tx.flush()
    return True


async def write_rows(
    tx: AsyncSession,
    actor: Actor,
    run: Run,
    rows: Sequence[notification_rows.RowValues],
    *,
    row: int,
    lease_seconds: float,
) -> None:
    """Write the messages of the next rows, from `row`, and enqueue their delivery.

    Raises `Superseded` when another worker has acquired the job.
    """
    actor.require_platform_admin()
    await _update_lease(tx, run, row=row, next_row=row + len(rows), lease_seconds=lease_seconds)
    inserted = set(await notification_rows.insert_rows(tx, rows))
    created = (values["id"] for values in rows if values["status"] == NotificationStatus.CREATED.value)
    accepted = [notification_id for notification_id in created if notification_id in inserted]
    await deliveries.enqueue_messages(tx, accepted)
    if run.shared_fields.api_key_id:
        await api_key_usage.add_messages(tx, run.shared_fields.api_key_id, run.shared_fields.created_at, len(accepted))


_FINISH = text(
    f"""
    UPDATE jobs SET job_status = 'finished', processing_finished = {NOW_SQL}, updated_at = {NOW_SQL}
    FROM job_runs WHERE jobs.id = :job_id AND job_runs.job_id = jobs.id AND job_runs.fence = :fence
        AND jobs.job_status = 'in progress'
    RETURNING jobs.id, {notify_job_changed_sql("jobs.id")}
    """  # noqa: S608 - made of constants
)
_RELEASE = text("UPDATE job_runs SET lease_owner = NULL, lease_until = NULL WHERE job_id = :job_id AND fence = :fence")


async def finish(tx: AsyncSession, actor: Actor, run: Run) -> None:
    """Mark a job whose every row is written as finished. Raises `Superseded`."""
    actor.require_platform_admin()
    values = {"job_id": run.job_id, "fence": run.fence}
    if (await tx.execute(_FINISH, values)).first() is None:
        raise Superseded
    await tx.execute(_RELEASE, values)
    await mark_complete(tx, actor, job_id=run.job_id)


async def release(tx: AsyncSession, actor: Actor, run: Run) -> None:
    """End the lease of an unfinished job, and enqueue another run."""
    actor.require_platform_admin()
    await tx.execute(_RELEASE, {"job_id": run.job_id, "fence": run.fence})
    await enqueue_run(tx, run.job_id, allow_duplicate=True)


# Messages that retention has moved to the history count too.
_COMPLETE = text(
    f"""
    UPDATE jobs SET job_status = 'finished all notifications created', updated_at = {NOW_SQL}
    FROM job_runs
    WHERE job_runs.job_id = jobs.id AND jobs.job_status = 'finished'
        AND jobs.id = coalesce(CAST(:job_id AS uuid), jobs.id)
        AND jobs.notification_count <= (
            SELECT count(*) FROM notifications_all_time_view AS message WHERE message.job_id = jobs.id
        )
    RETURNING jobs.id, {notify_job_changed_sql("jobs.id")}
    """  # noqa: S608 - made of constants
)


async def mark_complete(tx: AsyncSession, actor: Actor, *, job_id: UUID | None = None) -> list[UUID]:
    """Mark finished jobs, or one, whose every row is a message; returns their ids."""
    actor.require_platform_admin()
    return list((await tx.execute(_COMPLETE, {"job_id": job_id})).scalars())


_START_DUE = text(
    f"""
    UPDATE jobs SET job_status = 'pending', updated_at = {NOW_SQL}
    WHERE id IN (
        SELECT jobs.id FROM jobs JOIN job_runs ON job_runs.job_id = jobs.id
        WHERE jobs.job_status = 'scheduled' AND jobs.scheduled_for <= {NOW_SQL}
        LIMIT 1000 FOR NO KEY UPDATE OF jobs SKIP LOCKED
    )
    RETURNING id, {notify_job_changed_sql("id")}
    """  # noqa: S608 - made of constants
)


async def start_due_jobs(tx: AsyncSession, actor: Actor) -> list[UUID]:
    """Make scheduled jobs that are due pending, and enqueue them; returns their ids."""
    actor.require_platform_admin()
    due = list((await tx.execute(_START_DUE)).scalars())
    for job_id in due:
        await enqueue_run(tx, job_id)
    return due


class RestartedJobs(NamedTuple):
    """Ids of jobs that had stopped, and are enqueued again."""

    unfinished: list[UUID]
    missing_rows: list[UUID]


_MARK_STUCK = text(
    f"""
    UPDATE jobs SET job_status = 'error', updated_at = {NOW_SQL}
    WHERE id IN (
        SELECT jobs.id FROM jobs JOIN job_runs ON job_runs.job_id = jobs.id
        WHERE jobs.job_status IN ('pending', 'in progress', 'error')
            AND coalesce(jobs.processing_started, jobs.scheduled_for, jobs.created_at)
                < {NOW_SQL} - CAST(:age AS interval)
            AND coalesce(jobs.updated_at, jobs.created_at) < {NOW_SQL} - CAST(:age AS interval)
            AND (job_runs.lease_until IS NULL OR job_runs.lease_until < {NOW_SQL})
        LIMIT 1000 FOR NO KEY UPDATE OF jobs SKIP LOCKED
    )
    RETURNING id, {notify_job_changed_sql("id")}
    """  # noqa: S608 - made of constants
)
# Rows that are written stay as they are, so every row can be read again; a few times only, for a list that has lost
# rows would never be complete.
_MARK_MISSING_ROWS = text(
    f"""
    WITH missing AS (
        SELECT jobs.id FROM jobs JOIN job_runs ON job_runs.job_id = jobs.id
        WHERE jobs.job_status = 'finished' AND job_runs.fence < {MAX_RUNS}
            AND jobs.processing_finished BETWEEN {NOW_SQL} - interval '1 day' AND {NOW_SQL} - CAST(:age AS interval)
        LIMIT 1000 FOR NO KEY UPDATE OF jobs SKIP LOCKED
    ), rewound AS (
        UPDATE job_runs SET next_row = 0 FROM missing WHERE job_id = missing.id
    )
    UPDATE jobs SET job_status = 'error', updated_at = {NOW_SQL} FROM missing WHERE jobs.id = missing.id
    RETURNING jobs.id, {notify_job_changed_sql("jobs.id")}
    """  # noqa: S608 - made of constants
)


async def restart_stuck_jobs(tx: AsyncSession, actor: Actor) -> RestartedJobs:
    """Set jobs without progress for half an hour, and finished jobs with missing rows, to ERROR, and enqueue them.

    Call `mark_complete` before.
    """
    actor.require_platform_admin()
    unfinished = list((await tx.execute(_MARK_STUCK, {"age": STUCK_AFTER})).scalars())
    missing_rows = list((await tx.execute(_MARK_MISSING_ROWS, {"age": MISSING_ROWS_AFTER})).scalars())
    for job_id in (*unfinished, *missing_rows):
        await enqueue_run(tx, job_id, allow_duplicate=True)
    return RestartedJobs(unfinished, missing_rows)
