"""How many messages each service sends on each day, and by which jobs; computed before any message is generated."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import log
from typing import TYPE_CHECKING

from graphql_api import models
from graphql_api.billing import london_days
from graphql_api.enums import JobStatus
from graphql_api.seed import sample_texts
from graphql_api.seed.datasets import HISTORY_DAYS, ONE_DAY
from graphql_api.seed.services import ServiceState

if TYPE_CHECKING:
    from graphql_api.seed.datasets import Dataset
    from graphql_api.seed.services import SeededService
    from graphql_api.seed.templates import SeededTemplate

JOB_MESSAGE_SHARE = 0.4
"""Share of messages that are rows of jobs."""
MAX_JOB_ROWS = 20_000
JOB_SIZE_SIGMA = 1.4
"""Sigma of the log-normal distribution of the number of rows of a job."""
MIN_MESSAGE_AGE = timedelta(minutes=5)
"""Minimum age of generated messages, so that all their times are in the past."""
DEMO_LATEST_MESSAGES = 24
"""The latest messages of the demo service, whose statuses are fixed."""
DEMO_RUNNING_JOB_MESSAGES = 25
"""Messages of the demo service's job in progress."""
RUNNING_JOB_MIN_NOTIFICATIONS = 2_000


@dataclass
class ScheduledJob:
    """A job, and when its messages are created."""

    job: models.Job
    seeded_template: SeededTemplate
    start: datetime


@dataclass
class ServiceDay:
    """The messages of a service on a day."""

    seeded_service: SeededService
    day: date
    count: int
    """Messages that belong to no job."""
    scheduled_jobs: list[ScheduledJob] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All messages of the day."""
        return self.count + sum(batch.job.notification_count for batch in self.scheduled_jobs)


@dataclass
class SendingSchedule:
    """`ServiceDay`s by day, oldest first: `recent` within the retention period, `past` after it."""

    recent: dict[date, list[ServiceDay]]
    past: dict[date, list[ServiceDay]]
    latest_count: int
    """Number of latest messages of the demo service; not part of `recent`."""
    running_job_count: int
    """Number of messages of its job in progress; not part of `recent`."""


def create(dataset: Dataset, seeded_templates: dict[SeededService, list[SeededTemplate]]) -> SendingSchedule:
    """Distribute the messages over services and days, and add the jobs."""
    sizes, rng = dataset.sizes, dataset.rng
    seeded_services = list(seeded_templates)
    recent = rng.split(
        sizes.notifications,
        [
            0.0 if seeded_service.state is ServiceState.ARCHIVED else seeded_service.weight
            for seeded_service in seeded_services
        ],
    )
    past = rng.split(sizes.history, [seeded_service.weight for seeded_service in seeded_services])
    latest_count = min(DEMO_LATEST_MESSAGES, recent[0])
    # A worker continues that job at once; in a small demo its messages would displace the latest ones.
    running_job_count = DEMO_RUNNING_JOB_MESSAGES if sizes.notifications >= RUNNING_JOB_MIN_NOTIFICATIONS else 0
    recent[0] -= latest_count + running_job_count
    mean_job_rows = max(6.0, 1.5 * JOB_MESSAGE_SHARE * (sizes.notifications + sizes.history) / sizes.jobs)
    schedule = SendingSchedule(defaultdict(list), defaultdict(list), latest_count, running_job_count)
    for seeded_service, recent_count, past_count in zip(seeded_services, recent, past, strict=True):
        jobs = _JobScheduler(dataset, seeded_service, seeded_templates[seeded_service], mean_job_rows)
        first = dataset.clock.today - timedelta(days=seeded_service.retention_days)
        _schedule_days(dataset, jobs, schedule.past, _past_days(dataset, seeded_service, first), past_count)
        _schedule_days(
            dataset,
            jobs,
            schedule.recent,
            [first + ONE_DAY * number for number in range(seeded_service.retention_days + 1)],
            recent_count,
        )
    schedule.recent = dict(sorted(schedule.recent.items()))
    schedule.past = dict(sorted(schedule.past.items()))
    return schedule


def _past_days(dataset: Dataset, seeded_service: SeededService, first_recent_day: date) -> list[date]:
    began = london_days.london_day(seeded_service.first_message_at or seeded_service.row.created_at + 2 * ONE_DAY)
    since = max(began, dataset.clock.today - timedelta(days=HISTORY_DAYS))
    # An archived service has sent nothing in the days before.
    until = first_recent_day - timedelta(days=7 if seeded_service.state is ServiceState.ARCHIVED else 0)
    days = max(0, (until - since).days)
    return [since + ONE_DAY * number for number in range(days)]


def _schedule_days(
    dataset: Dataset, jobs: _JobScheduler, service_days: dict[date, list[ServiceDay]], days: list[date], total: int
) -> None:
    if not days:
        return
    for day, count in zip(days, dataset.rng.split(total, [dataset.clock.activity(day) for day in days]), strict=True):
        if count:
            service_days[day].append(jobs.service_day(day, count))


class _JobScheduler:
    """Adds a job to a service whenever enough of its messages have accumulated."""

    def __init__(
        self,
        dataset: Dataset,
        seeded_service: SeededService,
        seeded_templates: list[SeededTemplate],
        mean_job_rows: float,
    ) -> None:
        self._dataset = dataset
        self._seeded_service = seeded_service
        self._seeded_templates = [seeded_template for seeded_template in seeded_templates if seeded_template.weight]
        self._weights = [seeded_template.weight for seeded_template in self._seeded_templates]
        self._mean_job_rows = mean_job_rows
        self._pending_messages = 0.0
        self._next_job_rows = self._draw_job_rows()

    def service_day(self, day: date, count: int) -> ServiceDay:
        """The service's day, with jobs for a share of its `count` messages."""
        service_day = ServiceDay(self._seeded_service, day, count)
        if self._seeded_service.state is ServiceState.TRIAL:
            return service_day
        self._pending_messages += JOB_MESSAGE_SHARE * count
        while self._pending_messages >= self._next_job_rows and service_day.count > 1:
            rows = min(self._next_job_rows, service_day.count)
            service_day.scheduled_jobs.append(self._schedule_job(day, rows))
            service_day.count -= rows
            self._pending_messages -= rows
            self._next_job_rows = self._draw_job_rows()
        return service_day

    def _draw_job_rows(self) -> int:
        size = self._dataset.rng.random.lognormvariate(log(self._mean_job_rows) - JOB_SIZE_SIGMA**2 / 2, JOB_SIZE_SIGMA)
        return max(1, min(MAX_JOB_ROWS, round(size)))

    def _schedule_job(self, day: date, rows: int) -> ScheduledJob:
        dataset, seeded_service = self._dataset, self._seeded_service
        rng, clock = dataset.rng, dataset.clock
        begin = london_days.midnight(day)
        if day == clock.today:
            begin, end = (
                clock.midnight,
                max(clock.midnight, clock.now - MIN_MESSAGE_AGE - timedelta(seconds=rows / 500)),
            )
        else:
            begin, end = begin + timedelta(hours=8), begin + timedelta(hours=18)
        start = rng.moment_between(begin, end)
        seeded_template = rng.random.choices(self._seeded_templates, self._weights)[0]
        scheduled = rng.chance(0.2)
        created_at = start - (timedelta(hours=rng.random.randrange(1, 40)) if scheduled else timedelta(seconds=20))
        finished = start + timedelta(seconds=rows / 500 + 1)
        job = dataset.add(
            models.Job,
            created_at,
            service_id=seeded_service.row.id,
            template_id=seeded_template.row.id,
            template_version=seeded_template.version_at(created_at),
            original_file_name=rng.pick(sample_texts.JOB_FILE_NAMES),
            created_by_id=rng.pick(seeded_service.members[:2]).id,
            job_status=JobStatus.FINISHED_ALL_NOTIFICATIONS_CREATED.value,
            notification_count=rows,
            scheduled_for=start.replace(minute=0, second=0, microsecond=0) if scheduled else None,
            processing_started=start,
            processing_finished=finished,
            updated_at=finished,
            archived=(clock.today - day).days > seeded_service.retention_days,
        )
        return ScheduledJob(job, seeded_template, start)
