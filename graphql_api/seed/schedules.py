"""Who sends how much on which day, and by which jobs: settled before any message is made."""

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
from graphql_api.seed.services import ARCHIVED, TRIAL

if TYPE_CHECKING:
    from graphql_api.seed.datasets import Dataset
    from graphql_api.seed.services import SeededService
    from graphql_api.seed.templates import SeededTemplate

JOB_MESSAGE_SHARE = 0.4
"""The share of messages that come of lists."""
MAX_JOB_ROWS = 20_000
JOB_SIZE_SIGMA = 1.4
"""How unequal jobs are: most are small, a few are very long."""
MIN_MESSAGE_AGE = timedelta(minutes=5)
"""What has happened by now began at least so long ago."""
DEMO_LATEST_MESSAGES = 24
"""Messages of the demo's service whose end is told in advance."""
DEMO_RUNNING_JOB_MESSAGES = 25
"""Those of its job that is under way, where there are enough messages."""
RUNNING_JOB_MIN_NOTIFICATIONS = 2_000


@dataclass
class ScheduledJob:
    """A job, and when its rows become messages."""

    job: models.Job
    seeded_template: SeededTemplate
    start: datetime


@dataclass
class ServiceDay:
    """What a service sends on a day."""

    seeded_service: SeededService
    day: date
    count: int
    """Messages that come of no job."""
    scheduled_jobs: list[ScheduledJob] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All messages of the day."""
        return self.count + sum(batch.job.notification_count for batch in self.scheduled_jobs)


@dataclass
class SendingSchedule:
    """Cells by day, oldest first: of messages that are kept whole, and of those past their retention."""

    recent: dict[date, list[ServiceDay]]
    past: dict[date, list[ServiceDay]]
    latest_count: int
    """How many of the demo's messages are to be made last, besides."""
    running_job_count: int
    """How many more of them are rows of a job that is not finished."""


def create(dataset: Dataset, seeded_templates: dict[SeededService, list[SeededTemplate]]) -> SendingSchedule:
    """Share the messages out among services and days, and make the jobs."""
    sizes, dice = dataset.sizes, dataset.rng
    teams = list(seeded_templates)
    recent = dice.split(sizes.notifications, [0.0 if team.state == ARCHIVED else team.weight for team in teams])
    past = dice.split(sizes.history, [team.weight for team in teams])
    finale = min(DEMO_LATEST_MESSAGES, recent[0])
    # A worker goes on with it at once, and the newest messages of a small demo should stay those of the finale.
    under_way = DEMO_RUNNING_JOB_MESSAGES if sizes.notifications >= RUNNING_JOB_MIN_NOTIFICATIONS else 0
    recent[0] -= finale + under_way
    mean = max(6.0, 1.5 * JOB_MESSAGE_SHARE * (sizes.notifications + sizes.history) / sizes.jobs)
    plan = SendingSchedule(defaultdict(list), defaultdict(list), finale, under_way)
    for team, kept, moved in zip(teams, recent, past, strict=True):
        jobs = _JobScheduler(dataset, team, seeded_templates[team], mean)
        first = dataset.clock.today - timedelta(days=team.retention_days)
        _schedule_days(dataset, jobs, plan.past, _past_days(dataset, team, first), moved)
        _schedule_days(
            dataset, jobs, plan.recent, [first + ONE_DAY * number for number in range(team.retention_days + 1)], kept
        )
    plan.recent = dict(sorted(plan.recent.items()))
    plan.past = dict(sorted(plan.past.items()))
    return plan


def _past_days(dataset: Dataset, seeded_service: SeededService, first_kept: date) -> list[date]:
    began = london_days.london_day(seeded_service.first_message_at or seeded_service.row.created_at + 2 * ONE_DAY)
    since = max(began, dataset.clock.today - timedelta(days=HISTORY_DAYS))
    # The last message of a service that was closed left before that.
    until = first_kept - timedelta(days=7 if seeded_service.state == ARCHIVED else 0)
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
    """The jobs of a service, as its messages add up to them."""

    def __init__(
        self,
        dataset: Dataset,
        seeded_service: SeededService,
        seeded_templates: list[SeededTemplate],
        mean_job_rows: float,
    ) -> None:
        self._dataset = dataset
        self._seeded_service = seeded_service
        self._seeded_templates = [paper for paper in seeded_templates if paper.weight]
        self._weights = [paper.weight for paper in self._seeded_templates]
        self._mean_job_rows = mean_job_rows
        self._pending_messages = 0.0
        self._next_job_rows = self._draw_job_rows()

    def service_day(self, day: date, count: int) -> ServiceDay:
        """A day's cell; some of the messages come of jobs, if enough have added up."""
        cell = ServiceDay(self._seeded_service, day, count)
        if self._seeded_service.state == TRIAL:
            return cell
        self._pending_messages += JOB_MESSAGE_SHARE * count
        while self._pending_messages >= self._next_job_rows and cell.count > 1:
            rows = min(self._next_job_rows, cell.count)
            cell.scheduled_jobs.append(self._schedule_job(day, rows))
            cell.count -= rows
            self._pending_messages -= rows
            self._next_job_rows = self._draw_job_rows()
        return cell

    def _draw_job_rows(self) -> int:
        size = self._dataset.rng.random.lognormvariate(log(self._mean_job_rows) - JOB_SIZE_SIGMA**2 / 2, JOB_SIZE_SIGMA)
        return max(1, min(MAX_JOB_ROWS, round(size)))

    def _schedule_job(self, day: date, rows: int) -> ScheduledJob:
        world, team = self._dataset, self._seeded_service
        dice, clock = world.rng, world.clock
        begin = london_days.midnight(day)
        if day == clock.today:
            begin, end = (
                clock.midnight,
                max(clock.midnight, clock.now - MIN_MESSAGE_AGE - timedelta(seconds=rows / 500)),
            )
        else:
            begin, end = begin + timedelta(hours=8), begin + timedelta(hours=18)
        start = dice.moment_between(begin, end)
        paper = dice.random.choices(self._seeded_templates, self._weights)[0]
        scheduled = dice.chance(0.2)
        made = start - (timedelta(hours=dice.random.randrange(1, 40)) if scheduled else timedelta(seconds=20))
        finished = start + timedelta(seconds=rows / 500 + 1)
        job = world.add(
            models.Job,
            made,
            service_id=team.row.id,
            template_id=paper.row.id,
            template_version=paper.version_at(made),
            original_file_name=dice.pick(sample_texts.JOB_FILE_NAMES),
            created_by_id=dice.pick(team.members[:2]).id,
            job_status=JobStatus.FINISHED_ALL_NOTIFICATIONS_CREATED.value,
            notification_count=rows,
            scheduled_for=start.replace(minute=0, second=0, microsecond=0) if scheduled else None,
            processing_started=start,
            processing_finished=finished,
            updated_at=finished,
            archived=(clock.today - day).days > team.retention_days,
        )
        return ScheduledJob(job, paper, start)
