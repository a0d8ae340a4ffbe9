"""Jobs as the worker runs them: taken by one at a time, row by row to the end, resumed where another one died."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, text

from graphql_api import models
from graphql_api.database.listen import tell, telling
from graphql_api.domain import api_key_usage, deliveries, notification_rows, sending_limits, sends
from graphql_api.domain.notification_rows import Sending
from graphql_api.enums import JobStatus, KeyType, NotificationStatus, Postage, ServiceFeature
from graphql_api.models import utcnow
from graphql_api.recipients.lists import Permits
from graphql_api.tasks import Task, enqueue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.content import messages

CHUNK = 1_000
"""Rows that become messages in one transaction."""

ALL_OR_NOTHING = "all_or_nothing"
"""The error policy, as stored, under which a list with a bad row makes no job."""

LOCK = {"key_share": True}
"""`FOR NO KEY UPDATE`: whoever writes a job's messages needs the job's row to stay, not to stay the same."""

EARLY = timedelta(seconds=1)
STUCK_AFTER = timedelta(minutes=30)
MISSING_AFTER = timedelta(minutes=10)
MOST_RUNS = 10
"""A finished job with rows missing is read again until it has been taken so often."""


class Superseded(Exception):
    """Another worker has taken the job since: this one must stop, and has changed nothing."""


class Leased(Exception):
    """Another worker holds the job: try again when its lease may have run out."""


@dataclass(frozen=True, slots=True)
class Run:
    """A job in the hands of one worker."""

    job_id: UUID
    fence: int
    """The number of this run: whoever takes the job later has a greater one."""
    path: str
    """Of the list, in the object store."""
    next_row: int
    row_count: int
    bad_rows: frozenset[int]
    """Rows, counted from 0, that may not be sent whatever the list itself tells: found when the job was made."""
    all_good: bool
    """Whether no row of the list had a fault of its own then."""
    begun: bool
    """Whether the limits have been checked."""
    sending: Sending
    content: messages.Template
    permits: Permits


def list_path(service_id: UUID, job_id: UUID) -> str:
    """Where a job's list is kept in the object store: as Notify keeps it."""
    return f"service-{service_id}-notify/{job_id}.csv"


async def queue(tx: AsyncSession, job_id: UUID, *, due: datetime | None = None, again: bool = False) -> None:
    """Ask the worker to run a job, once however often it is asked; `due` is naive UTC, None for at once.

    `again` asks for one more run even while one is under way.
    """
    await enqueue(tx, Task.PROCESS_JOB, {"job_id": str(job_id)}, due=due, dedupe=None if again else str(job_id))


_NOW = "timezone('utc', clock_timestamp())"
_TAKE = text(
    f"""
    UPDATE job_runs SET fence = fence + 1, lease_owner = :owner, lease_until = {_NOW} + CAST(:lease AS interval)
    WHERE job_id = :job_id AND (lease_until IS NULL OR lease_until < {_NOW})
    RETURNING fence, next_row, bad_rows, error_policy, reply_to_text, api_key_id, {telling("job_id")}
    """  # noqa: S608 - made of constants
)


async def take(tx: AsyncSession, actor: Actor, job_id: UUID, *, owner: UUID, lease: float) -> Run | None:
    """Take a job for `lease` seconds, from its first row without a message.

    None when there is nothing to do: it is finished, cancelled, not yet due, or not ours. A job of a service that has
    been closed is cancelled. Raises `Leased` while another worker holds it.
    """
    actor.require_platform_admin()
    job = await tx.get(models.Job, job_id, with_for_update=LOCK)
    if job is None or not _runnable(job):
        return None
    service = await tx.get_one(models.Service, job.service_id)
    if not service.active:
        job.job_status = JobStatus.CANCELLED.value
        await tx.flush()
        await tell(tx, job.id)
        return None
    taken = (await tx.execute(_TAKE, {"job_id": job_id, "owner": owner, "lease": timedelta(seconds=lease)})).first()
    if taken is None:
        if await tx.get(models.JobRun, job_id) is None:
            return None
        raise Leased
    template = await tx.get_one(models.TemplateHistory, (job.template_id, job.template_version))
    key = await tx.get(models.ApiKey, taken.api_key_id) if taken.api_key_id else None
    begun = job.processing_started is not None
    if job.job_status != JobStatus.IN_PROGRESS:
        job.job_status = JobStatus.IN_PROGRESS.value
    await tx.flush()
    return Run(
        job_id=job.id,
        fence=taken.fence,
        path=list_path(job.service_id, job.id),
        next_row=taken.next_row,
        row_count=job.notification_count,
        bad_rows=frozenset(taken.bad_rows),
        all_good=taken.error_policy == ALL_OR_NOTHING,
        begun=begun,
        sending=Sending(
            service_id=job.service_id,
            template_id=template.id,
            template_version=template.version,
            channel=sends.CHANNELS[template.template_type],
            created_at=utcnow(),
            key_type=_KEY_TYPES[key.key_type] if key else KeyType.LIVE,
            api_key_id=key.id if key else None,
            job_id=job.id,
            reply_to_text=taken.reply_to_text,
            postage=_POSTAGE.get(template.postage or ""),
        ),
        content=sends.content_of(service, template),
        permits=await _permits(tx, service.id),
    )


_KEY_TYPES = {key_type.value: key_type for key_type in KeyType}
_POSTAGE = {postage.value: postage for postage in Postage}


def _runnable(job: models.Job) -> bool:
    if job.job_status == JobStatus.SCHEDULED:
        # The queue reckons from the beginning of the transaction that promised the task, so it comes a moment early.
        return job.scheduled_for is not None and job.scheduled_for <= utcnow() + EARLY
    return job.job_status in {JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.ERROR}


async def _permits(tx: AsyncSession, service_id: UUID) -> Permits:
    features = set(
        await tx.scalars(select(models.ServiceFeature.permission).where(models.ServiceFeature.service_id == service_id))
    )
    return Permits(
        international_sms=ServiceFeature.INTERNATIONAL_SMS in features,
        landlines=ServiceFeature.SMS_TO_UK_LANDLINES in features,
        international_letters=ServiceFeature.INTERNATIONAL_LETTERS in features,
    )


_HOLD = text(
    f"""
    UPDATE job_runs SET next_row = :next_row, lease_until = {_NOW} + CAST(:lease AS interval)
    WHERE job_id = :job_id AND fence = :fence AND next_row = :row
    RETURNING fence, {telling("job_id")}
    """  # noqa: S608 - made of constants
)


async def _hold(tx: AsyncSession, run: Run, *, row: int, next_row: int, lease: float) -> None:
    """Go on to a row, if the job is still this run's; raises `Superseded` if not."""
    values = {"job_id": run.job_id, "fence": run.fence, "row": row, "next_row": next_row}
    if (await tx.execute(_HOLD, values | {"lease": timedelta(seconds=lease)})).first() is None:
        raise Superseded


async def renew(tx: AsyncSession, actor: Actor, run: Run, *, row: int, lease: float) -> None:
    """Hold on to a job that has come to `row`, while nothing is written. Raises `Superseded`."""
    actor.require_platform_admin()
    await _hold(tx, run, row=row, next_row=row, lease=lease)


async def begin(tx: AsyncSession, actor: Actor, run: Run, *, messages: int, abroad: int, lease: float) -> bool:
    """Count the whole list against the day's limits, once; False when it does not fit, and the job has ended so.

    `messages` are the rows that will be sent, `abroad` those of them that are texts to other countries. Raises
    `Superseded`.
    """
    actor.require_platform_admin()
    job = await tx.get_one(models.Job, run.job_id, with_for_update=LOCK)
    await _hold(tx, run, row=run.next_row, next_row=run.next_row, lease=lease)
    service = await tx.get_one(models.Service, job.service_id)
    counts = sending_limits.counted(run.sending.channel.value, messages, abroad)
    left = await sending_limits.reserve(tx, service, counts, run.sending.key_type)
    if any(count > left[kind] for kind, count in counts.items()):
        job.job_status = JobStatus.SENDING_LIMITS_EXCEEDED.value
        job.processing_finished = utcnow()
        await tx.flush()
        return False
    await sending_limits.take(tx, service, counts, run.sending.key_type)
    job.processing_started = utcnow()
    await tx.flush()
    return True


async def advance(
    tx: AsyncSession, actor: Actor, run: Run, rows: Sequence[notification_rows.Values], *, row: int, lease: float
) -> None:
    """Write the next rows of a job, from `row`, and promise their delivery: all together, or nothing.

    Raises `Superseded` when another worker has taken the job.
    """
    actor.require_platform_admin()
    await _hold(tx, run, row=row, next_row=row + len(rows), lease=lease)
    written = set(await notification_rows.write(tx, rows))
    created = (values["id"] for values in rows if values["status"] == NotificationStatus.CREATED.value)
    accepted = [notification_id for notification_id in created if notification_id in written]
    await deliveries.queue(tx, accepted)
    if run.sending.api_key_id:
        await api_key_usage.add_messages(tx, run.sending.api_key_id, run.sending.created_at, len(accepted))


_FINISH = text(
    f"""
    UPDATE jobs SET job_status = 'finished', processing_finished = {_NOW}, updated_at = {_NOW}
    FROM job_runs WHERE jobs.id = :job_id AND job_runs.job_id = jobs.id AND job_runs.fence = :fence
        AND jobs.job_status = 'in progress'
    RETURNING jobs.id, {telling("jobs.id")}
    """  # noqa: S608 - made of constants
)
_LET_GO = text("UPDATE job_runs SET lease_owner = NULL, lease_until = NULL WHERE job_id = :job_id AND fence = :fence")


async def finish(tx: AsyncSession, actor: Actor, run: Run) -> None:
    """Every row is queued, and so is a message. Raises `Superseded`."""
    actor.require_platform_admin()
    values = {"job_id": run.job_id, "fence": run.fence}
    if (await tx.execute(_FINISH, values)).first() is None:
        raise Superseded
    await tx.execute(_LET_GO, values)
    await complete(tx, actor, job_id=run.job_id)


async def let_go(tx: AsyncSession, actor: Actor, run: Run) -> None:
    """Give a job back before its end, for another worker to go on at once."""
    actor.require_platform_admin()
    await tx.execute(_LET_GO, {"job_id": run.job_id, "fence": run.fence})
    await queue(tx, run.job_id, again=True)


# Messages past their retention count too: they were all there once.
_COMPLETE = text(
    f"""
    UPDATE jobs SET job_status = 'finished all notifications created', updated_at = {_NOW}
    FROM job_runs
    WHERE job_runs.job_id = jobs.id AND jobs.job_status = 'finished'
        AND jobs.id = coalesce(CAST(:job_id AS uuid), jobs.id)
        AND jobs.notification_count <= (
            SELECT count(*) FROM notifications_all_time_view AS message WHERE message.job_id = jobs.id
        )
    RETURNING jobs.id, {telling("jobs.id")}
    """  # noqa: S608 - made of constants
)


async def complete(tx: AsyncSession, actor: Actor, *, job_id: UUID | None = None) -> list[UUID]:
    """Mark finished jobs, or one, all of whose rows are messages; answers which."""
    actor.require_platform_admin()
    return list((await tx.execute(_COMPLETE, {"job_id": job_id})).scalars())


_DUE = text(
    f"""
    UPDATE jobs SET job_status = 'pending', updated_at = {_NOW}
    WHERE id IN (
        SELECT jobs.id FROM jobs JOIN job_runs ON job_runs.job_id = jobs.id
        WHERE jobs.job_status = 'scheduled' AND jobs.scheduled_for <= {_NOW}
        LIMIT 1000 FOR NO KEY UPDATE OF jobs SKIP LOCKED
    )
    RETURNING id, {telling("id")}
    """  # noqa: S608 - made of constants
)


async def start_due(tx: AsyncSession, actor: Actor) -> list[UUID]:
    """Start jobs whose time has come; answers which."""
    actor.require_platform_admin()
    due = list((await tx.execute(_DUE)).scalars())
    for job_id in due:
        await queue(tx, job_id)
    return due


class Stuck(NamedTuple):
    """Jobs that had stopped part-way, and are under way again."""

    unfinished: list[UUID]
    missing_rows: list[UUID]


_STUCK = text(
    f"""
    UPDATE jobs SET job_status = 'error', updated_at = {_NOW}
    WHERE id IN (
        SELECT jobs.id FROM jobs JOIN job_runs ON job_runs.job_id = jobs.id
        WHERE jobs.job_status IN ('pending', 'in progress', 'error')
            AND coalesce(jobs.processing_started, jobs.scheduled_for, jobs.created_at) < {_NOW} - CAST(:age AS interval)
            AND coalesce(jobs.updated_at, jobs.created_at) < {_NOW} - CAST(:age AS interval)
            AND (job_runs.lease_until IS NULL OR job_runs.lease_until < {_NOW})
        LIMIT 1000 FOR NO KEY UPDATE OF jobs SKIP LOCKED
    )
    RETURNING id, {telling("id")}
    """  # noqa: S608 - made of constants
)
# A message that is there already stays as it is, so all rows can be read again; a few times, for a list that has lost
# rows would never be complete.
_MISSING = text(
    f"""
    WITH missing AS (
        SELECT jobs.id FROM jobs JOIN job_runs ON job_runs.job_id = jobs.id
        WHERE jobs.job_status = 'finished' AND job_runs.fence < {MOST_RUNS}
            AND jobs.processing_finished BETWEEN {_NOW} - interval '1 day' AND {_NOW} - CAST(:age AS interval)
        LIMIT 1000 FOR NO KEY UPDATE OF jobs SKIP LOCKED
    ), rewound AS (
        UPDATE job_runs SET next_row = 0 FROM missing WHERE job_id = missing.id
    )
    UPDATE jobs SET job_status = 'error', updated_at = {_NOW} FROM missing WHERE jobs.id = missing.id
    RETURNING jobs.id, {telling("jobs.id")}
    """  # noqa: S608 - made of constants
)


async def restart_stuck(tx: AsyncSession, actor: Actor) -> Stuck:
    """Mark as errors jobs that nobody has worked on for half an hour, and finished ones with rows missing; resume them.

    Jobs of which every row is a message must have been marked before, by `complete`.
    """
    actor.require_platform_admin()
    unfinished = list((await tx.execute(_STUCK, {"age": STUCK_AFTER})).scalars())
    missing_rows = list((await tx.execute(_MISSING, {"age": MISSING_AFTER})).scalars())
    for job_id in (*unfinished, *missing_rows):
        await queue(tx, job_id, again=True)
    return Stuck(unfinished, missing_rows)
