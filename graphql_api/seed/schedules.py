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
from graphql_api.seed.datasets import DAY, YEAR
from graphql_api.seed.services import ARCHIVED, CREATED

if TYPE_CHECKING:
    from graphql_api.seed.datasets import World
    from graphql_api.seed.services import Team
    from graphql_api.seed.templates import Paper

BY_JOBS = 0.4
"""The share of messages that come of lists."""
LARGEST_JOB = 20_000
SPREAD = 1.4
"""How unequal jobs are: most are small, a few are very long."""
SETTLED = timedelta(minutes=5)
"""What has happened by now began at least so long ago."""
DEMO_FINALE = 24
"""Messages of the demo's service whose end is told in advance."""
DEMO_UNDER_WAY = 25
"""Those of its job that is under way, where there are enough messages."""
ENOUGH = 2_000


@dataclass
class Batch:
    """A job, and when its rows become messages."""

    job: models.Job
    paper: Paper
    start: datetime


@dataclass
class Cell:
    """What a service sends on a day."""

    team: Team
    day: date
    count: int
    """Messages that come of no job."""
    batches: list[Batch] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All messages of the day."""
        return self.count + sum(batch.job.notification_count for batch in self.batches)


@dataclass
class Plan:
    """Cells by day, oldest first: of messages that are kept whole, and of those past their retention."""

    recent: dict[date, list[Cell]]
    past: dict[date, list[Cell]]
    finale: int
    """How many of the demo's messages are to be made last, besides."""
    under_way: int
    """How many more of them are rows of a job that is not finished."""


def settle(world: World, papers: dict[Team, list[Paper]]) -> Plan:
    """Share the messages out among services and days, and make the jobs."""
    sizes, dice = world.sizes, world.dice
    teams = list(papers)
    recent = dice.shares(sizes.notifications, [0.0 if team.state == ARCHIVED else team.weight for team in teams])
    past = dice.shares(sizes.history, [team.weight for team in teams])
    finale = min(DEMO_FINALE, recent[0])
    # A worker goes on with it at once, and the newest messages of a small demo should stay those of the finale.
    under_way = DEMO_UNDER_WAY if sizes.notifications >= ENOUGH else 0
    recent[0] -= finale + under_way
    mean = max(6.0, 1.5 * BY_JOBS * (sizes.notifications + sizes.history) / sizes.jobs)
    plan = Plan(defaultdict(list), defaultdict(list), finale, under_way)
    for team, kept, moved in zip(teams, recent, past, strict=True):
        jobs = _Jobs(world, team, papers[team], mean)
        first = world.clock.today - timedelta(days=team.retention)
        _spread(world, jobs, plan.past, _past_days(world, team, first), moved)
        _spread(world, jobs, plan.recent, [first + DAY * number for number in range(team.retention + 1)], kept)
    plan.recent = dict(sorted(plan.recent.items()))
    plan.past = dict(sorted(plan.past.items()))
    return plan


def _past_days(world: World, team: Team, first_kept: date) -> list[date]:
    began = london_days.day_of(team.messages_from or team.service.created_at + 2 * DAY)
    since = max(began, world.clock.today - timedelta(days=YEAR))
    # The last message of a service that was closed left before that.
    until = first_kept - timedelta(days=7 if team.state == ARCHIVED else 0)
    days = max(0, (until - since).days)
    return [since + DAY * number for number in range(days)]


def _spread(world: World, jobs: _Jobs, cells: dict[date, list[Cell]], days: list[date], total: int) -> None:
    if not days:
        return
    for day, count in zip(days, world.dice.shares(total, [world.clock.busyness(day) for day in days]), strict=True):
        if count:
            cells[day].append(jobs.of(day, count))


class _Jobs:
    """The jobs of a service, as its messages add up to them."""

    def __init__(self, world: World, team: Team, papers: list[Paper], mean: float) -> None:
        self._world = world
        self._team = team
        self._papers = [paper for paper in papers if paper.weight]
        self._weights = [paper.weight for paper in self._papers]
        self._mean = mean
        self._due = 0.0
        self._next = self._size()

    def of(self, day: date, count: int) -> Cell:
        """A day's cell; some of the messages come of jobs, if enough have added up."""
        cell = Cell(self._team, day, count)
        if self._team.state == CREATED:
            return cell
        self._due += BY_JOBS * count
        while self._due >= self._next and cell.count > 1:
            rows = min(self._next, cell.count)
            cell.batches.append(self._batch(day, rows))
            cell.count -= rows
            self._due -= rows
            self._next = self._size()
        return cell

    def _size(self) -> int:
        size = self._world.dice.random.lognormvariate(log(self._mean) - SPREAD**2 / 2, SPREAD)
        return max(1, min(LARGEST_JOB, round(size)))

    def _batch(self, day: date, rows: int) -> Batch:
        world, team = self._world, self._team
        dice, clock = world.dice, world.clock
        begin = london_days.midnight(day)
        if day == clock.today:
            begin, end = clock.midnight, max(clock.midnight, clock.now - SETTLED - timedelta(seconds=rows / 500))
        else:
            begin, end = begin + timedelta(hours=8), begin + timedelta(hours=18)
        start = dice.between(begin, end)
        paper = dice.random.choices(self._papers, self._weights)[0]
        scheduled = dice.chance(0.2)
        made = start - (timedelta(hours=dice.random.randrange(1, 40)) if scheduled else timedelta(seconds=20))
        finished = start + timedelta(seconds=rows / 500 + 1)
        job = world.add(
            models.Job,
            made,
            service_id=team.service.id,
            template_id=paper.row.id,
            template_version=paper.version_at(made),
            original_file_name=dice.pick(sample_texts.FILE_NAMES),
            created_by_id=dice.pick(team.members[:2]).id,
            job_status=JobStatus.FINISHED_ALL_NOTIFICATIONS_CREATED.value,
            notification_count=rows,
            scheduled_for=start.replace(minute=0, second=0, microsecond=0) if scheduled else None,
            processing_started=start,
            processing_finished=finished,
            updated_at=finished,
            archived=(clock.today - day).days > team.retention,
        )
        return Batch(job, paper, start)
