"""Reads of jobs and of their progress."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Uuid, any_, bindparam, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api import statuses
from graphql_api.enums import JobStatus, NotificationStatusGroup
from graphql_api.models import Job, JobRun, NotificationAllTime, NotificationStatusFact, Service, Template
from loaders.core import AnyOf, Equals, Filter, Switch, Within, batch, newest, nulls_last, one, ordered_by, page, row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

FILTERS: dict[str, Filter] = {
    "statuses": AnyOf(Job.job_status),
    "template_id": Equals(Job.template_id),
    "created_at": Within(Job.created_at),
    "archived": Switch(if_true=Job.archived.is_(True), if_false=Job.archived.is_(False)),
}
_ORDERS = {
    "created_at": ordered_by(Job.created_at, Job.id),
    "scheduled_for": nulls_last(Job.scheduled_for, Job.id),
    "processing_started_at": nulls_last(Job.processing_started, Job.id),
}

by_id = row(Job.id)
of_service = page(Service.jobs, newest(Job), orders=_ORDERS, filters=FILTERS)
of_template = page(Template.jobs, newest(Job), orders=_ORDERS, filters=FILTERS)

service = one(Job.service)
# A job's template is visible with the job, also in a folder that the caller may not open.
template = one(Job.template, inherits_visibility=True)
template_version = one(Job.template_as_sent, inherits_visibility=True)
created_by = one(Job.created_by)
run = one(Job.run)
created_with = one(JobRun.api_key)


class Progress(NamedTuple):
    """Counts of a job's messages by group of status."""

    total: int
    created: int
    in_progress: int
    delivered: int
    failed: int
    cancelled: int
    ended: bool
    "Whether no more messages will be created, also when `created` is below `total`."

    @property
    def finished(self) -> int:
        """Number of messages with a final status."""
        return self.delivered + self.failed + self.cancelled

    @property
    def fraction_complete(self) -> float:
        """Fraction of rows whose message has a final status, from 0 to 1; 1 without rows."""
        return min(self.finished / self.total, 1.0) if self.total else 1.0

    @property
    def is_final(self) -> bool:
        """Whether no count can change any more."""
        return not self.in_progress and (self.ended or self.created >= self.total)


_ENDED_STATUSES = frozenset({JobStatus.CANCELLED.value, JobStatus.SENDING_LIMITS_EXCEEDED.value})


_ANY_JOB_ID = any_(bindparam("jobs", type_=ARRAY(Uuid())))
_ROW_COUNTS = (
    select(literal(False).label("facts"), NotificationAllTime.job_id, NotificationAllTime.status, func.count())
    .where(NotificationAllTime.job_id == _ANY_JOB_ID)
    .group_by(NotificationAllTime.job_id, NotificationAllTime.status)
)
_FACT_COUNTS = (
    select(
        literal(True),
        NotificationStatusFact.job_id,
        NotificationStatusFact.notification_status,
        func.sum(NotificationStatusFact.notification_count),
    )
    .where(NotificationStatusFact.job_id == _ANY_JOB_ID)
    .group_by(NotificationStatusFact.job_id, NotificationStatusFact.notification_status)
)
_COUNTS_STATEMENT: Any = union_all(_ROW_COUNTS, _FACT_COUNTS)


@batch(key=lambda job: (job.id, job.notification_count, job.job_status))
async def progress(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, Progress]:
    """Counts by group of status, of messages after their retention period too.

    Of messages that are no longer in the history, the nightly facts have the counts; the larger total is used.
    """
    del actor
    rows: dict[Any, Counter[NotificationStatusGroup]] = defaultdict(Counter)
    facts: dict[Any, Counter[NotificationStatusGroup]] = defaultdict(Counter)
    values = {"jobs": list({key[0] for key in keys})}
    for is_fact, job_id, status, count in await connection.execute(_COUNTS_STATEMENT, values):
        if status is not None:
            (facts if is_fact else rows)[job_id][statuses.group_of(status)] += count
    return {
        (job_id, total, status): _progress(total, status, max(rows[job_id], facts[job_id], key=_total))
        for job_id, total, status in keys
    }


def _total(counts: Mapping[NotificationStatusGroup, int]) -> int:
    return sum(counts.values())


def _progress(total: int, status: str, counts: Mapping[NotificationStatusGroup, int]) -> Progress:
    return Progress(
        total=total,
        created=sum(counts.values()),
        in_progress=counts.get(NotificationStatusGroup.IN_PROGRESS, 0),
        delivered=counts.get(NotificationStatusGroup.DELIVERED, 0),
        failed=counts.get(NotificationStatusGroup.FAILED, 0),
        cancelled=counts.get(NotificationStatusGroup.CANCELLED, 0),
        ended=status in _ENDED_STATUSES,
    )
