"""What the demo's service shows besides: jobs in every state, a list of contacts, and a finale of known outcomes."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from graphql_api import models
from graphql_api.domain import job_runs, recipient_sources
from graphql_api.enums import JobStatus
from graphql_api.seed.datasets import fixed_id
from graphql_api.seed.messages import Lot, Post, Record
from graphql_api.seed.recipients import BY_KEY, BY_LIST
from graphql_api.seed.schedules import DEMO_UNDER_WAY, SETTLED

if TYPE_CHECKING:
    from graphql_api.seed.datasets import World
    from graphql_api.seed.recipients import Entry
    from graphql_api.seed.services import Team
    from graphql_api.seed.templates import Paper

DELIVERED, GONE, SILENT = "delivered", "permanent-failure", "temporary-failure"
NEWEST = (DELIVERED, SILENT, DELIVERED, DELIVERED, DELIVERED, GONE, DELIVERED, DELIVERED, DELIVERED, DELIVERED)
"""What became of the last ten messages, oldest first."""
BEFORE = (
    GONE,
    SILENT,
    DELIVERED,
    GONE,
    SILENT,
    GONE,
    DELIVERED,
    GONE,
    SILENT,
    GONE,
    SILENT,
    DELIVERED,
    GONE,
    DELIVERED,
)
"""What became of those before them."""
ROWS = 40
"""Of each of the jobs."""


class Showcase:
    """The demo's own jobs, and the files of those that a worker could go on with."""

    def __init__(self, world: World, team: Team, papers: list[Paper], post: Post) -> None:
        self._world = world
        self._team = team
        self._papers = papers
        self._post = post
        self.files: dict[str, bytes] = {}
        """Content by path, for the object store."""
        self._running: tuple[models.Job, list[Entry]] | None = None

    def prepare(self, *, runnable: bool, under_way: bool) -> None:
        """Make the jobs: scheduled, cancelled, refused, broken off, and one `under_way`.

        `runnable` when the lists will be in the object store, so that a worker can go on with them.
        """
        clock = self._world.clock
        noon = clock.midnight + timedelta(hours=12)
        for days, status in ((2, JobStatus.SCHEDULED), (3, JobStatus.SCHEDULED), (-1, JobStatus.CANCELLED)):
            due = noon + timedelta(days=days)
            self._job(status, clock.ago(2) + timedelta(hours=10), rows=ROWS, runnable=runnable, scheduled_for=due)
        refused = clock.ago(3) + timedelta(hours=11)
        self._job(
            JobStatus.SENDING_LIMITS_EXCEEDED,
            refused,
            rows=99_000,
            runnable=False,
            processing_finished=refused + timedelta(seconds=4),
        )
        broken = clock.ago(4) + timedelta(hours=16)
        self._job(JobStatus.ERROR, broken, rows=ROWS, runnable=False, processing_started=broken)
        self._contacts(runnable=runnable)
        if under_way:
            start = max(clock.midnight, clock.now - SETTLED)
            self._running = self._job(
                JobStatus.IN_PROGRESS,
                start,
                rows=ROWS,
                runnable=runnable,
                next_row=DEMO_UNDER_WAY,
                processing_started=start,
            )

    def under_way(self) -> list[Record]:
        """The messages of the job that is under way."""
        if self._running is None:
            return []
        job, entries = self._running
        statuses = [DELIVERED] * (DEMO_UNDER_WAY - 2) + ["sending"] * 2
        moments = [job.created_at + timedelta(milliseconds=70 * (row // 8)) for row in range(DEMO_UNDER_WAY)]
        lot = Lot(self._team, self._papers[0], job.template_version, 0, BY_LIST, job_id=job.id)
        return list(self._post.lot(lot, moments, statuses=statuses, entries=entries[:DEMO_UNDER_WAY]))

    def finale(self, count: int) -> list[Record]:
        """The last messages of the service, by its live key; newer than all its others."""
        clock = self._world.clock
        begin = max(clock.midnight, clock.now - SETTLED + timedelta(seconds=60))
        step = (clock.now - begin) / (len(BEFORE) + len(NEWEST) + 1)
        fates = [*BEFORE, *NEWEST][-count:] if count else []
        key = self._team.keys["normal"]
        records: list[Record] = []
        for number, fate in enumerate(fates):
            paper = self._papers[number % 2]
            moment = begin + step * number
            lot = Lot(self._team, paper, paper.version_at(moment), 0, BY_KEY, api_key_id=key.id)
            records += self._post.lot(lot, [moment], statuses=[fate])
        return records

    def _job(
        self,
        status: JobStatus,
        at: datetime,
        *,
        rows: int,
        runnable: bool,
        next_row: int = 0,
        **values: datetime,
    ) -> tuple[models.Job, list[Entry]]:
        team, paper = self._team, self._papers[0]
        job = self._world.add(
            models.Job,
            at,
            service_id=team.service.id,
            template_id=paper.row.id,
            template_version=paper.row.version,
            original_file_name=f"{status.replace(' ', '-')}.csv",
            created_by_id=team.members[0].id,
            job_status=status.value,
            notification_count=rows,
            updated_at=at,
            **values,
        )
        if rows > ROWS:
            return job, []
        made = [
            self._post.audiences.entry(team, paper, paper.row.version, person, BY_LIST)
            for person in self._post.audiences.people[:rows]
        ]
        if runnable and status in {JobStatus.SCHEDULED, JobStatus.IN_PROGRESS}:
            self._world.add(
                models.JobRun, at, job_id=job.id, reply_to_text=team.sms_sender, next_row=next_row, bad_rows=[]
            )
            lines = [["phone number", "name", "day"]]
            lines += [[values["phonenumber"], values["name"], values["day"]] for _, values in made]
            self.files[job_runs.list_path(team.service.id, job.id)] = _csv(lines)
        return job, [entry for entry, _ in made]

    def _contacts(self, *, runnable: bool) -> None:
        """A list to write to again, where it can be read."""
        if not runnable:
            return
        service_id = self._team.service.id
        people = self._post.audiences.people[:25]
        contacts = self._world.add(
            models.ContactList,
            self._world.clock.ago(20),
            id=fixed_id("contact list"),
            service_id=service_id,
            original_file_name="volunteers.csv",
            row_count=len(people),
            template_type="sms",
            created_by_id=self._team.members[0].id,
        )
        lines = [["phone number"], *([person.typed("sms")] for person in people)]
        self.files[recipient_sources.contact_list_path(service_id, contacts.id)] = _csv(lines)


def _csv(lines: list[list[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(lines)
    return written.getvalue().encode()
