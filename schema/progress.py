"""The subscription to a job's progress."""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Annotated, TypeAlias

import strawberry

from graphql_api.content.values import uuid_or_none
from graphql_api.enums import JobStatus
from graphql_api.errors import NotFound, Unavailable
from loaders import jobs as loaders
from schema import refs
from schema.core import Info, require_signed_in, value_object
from schema.jobs import Job, JobProgress

UNFINISHED_STATUSES = frozenset(
    status.value for status in (JobStatus.SCHEDULED, JobStatus.PENDING, JobStatus.IN_PROGRESS, JobStatus.ERROR)
)
"""Stored statuses from which a job changes to another without a call."""


JobId: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="The job.")]


@value_object
class JobProgressEvent:
    """A job's progress at one time."""

    job: refs.Job
    """The job."""
    progress: JobProgress
    """The counts."""


@strawberry.type
class JobSubscriptions:
    """The field of Subscription about jobs."""

    @strawberry.subscription(
        description="The progress now, then after each change, at most once a second; ends when the job can no longer "
        "change."
    )
    async def job_progress(self, info: Info, job_id: JobId) -> AsyncGenerator[JobProgressEvent, None]:
        """The job and its counts after each change; authentication and visibility are checked again each time."""
        context, last_event = info.context, None
        require_signed_in(context.actor)
        key = uuid_or_none(job_id)
        if key is None:
            raise NotFound(job_id, "job_id")
        with context.job_changes.subscribe(key) as follower:
            while True:
                try:
                    await context.refresh()
                    job = await Job.read(context, key)
                    if job is None:
                        raise NotFound(job_id, "job_id")
                    row = job.row
                    counts = await follower.topic.read(partial(context.loaders.batch, loaders.progress, row))
                except Unavailable:
                    if last_event is None:
                        raise
                else:
                    if (row, counts) != last_event:
                        last_event = row, counts
                        follower.throttle()
                        yield JobProgressEvent(job=job, progress=JobProgress.of(counts))
                    if counts.is_final and row.job_status not in UNFINISHED_STATUSES:
                        return
                await follower.wait_for_change()
