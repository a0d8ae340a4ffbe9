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
from graphql_api.seed.messages import MessageBatch, MessageGenerator, Record
from graphql_api.seed.recipients import FROM_JOB_ROW, FROM_REQUEST
from graphql_api.seed.schedules import DEMO_RUNNING_JOB_MESSAGES, MIN_MESSAGE_AGE

if TYPE_CHECKING:
    from graphql_api.seed.datasets import Dataset
    from graphql_api.seed.recipients import Recipient
    from graphql_api.seed.services import SeededService
    from graphql_api.seed.templates import SeededTemplate

DELIVERED, PERMANENT_FAILURE, TEMPORARY_FAILURE = "delivered", "permanent-failure", "temporary-failure"
LATEST_STATUSES = (
    DELIVERED,
    TEMPORARY_FAILURE,
    DELIVERED,
    DELIVERED,
    DELIVERED,
    PERMANENT_FAILURE,
    DELIVERED,
    DELIVERED,
    DELIVERED,
    DELIVERED,
)
"""What became of the last ten messages, oldest first."""
EARLIER_STATUSES = (
    PERMANENT_FAILURE,
    TEMPORARY_FAILURE,
    DELIVERED,
    PERMANENT_FAILURE,
    TEMPORARY_FAILURE,
    PERMANENT_FAILURE,
    DELIVERED,
    PERMANENT_FAILURE,
    TEMPORARY_FAILURE,
    PERMANENT_FAILURE,
    TEMPORARY_FAILURE,
    DELIVERED,
    PERMANENT_FAILURE,
    DELIVERED,
)
"""What became of those before them."""
JOB_ROWS = 40
"""Of each of the jobs."""


class DemoJobs:
    """The demo's own jobs, and the files of those that a worker could go on with."""

    def __init__(
        self,
        dataset: Dataset,
        seeded_service: SeededService,
        seeded_templates: list[SeededTemplate],
        generator: MessageGenerator,
    ) -> None:
        self._dataset = dataset
        self._seeded_service = seeded_service
        self._seeded_templates = seeded_templates
        self._generator = generator
        self.files: dict[str, bytes] = {}
        """Content by path, for the object store."""
        self._running_job: tuple[models.Job, list[Recipient]] | None = None

    def prepare(self, *, runnable: bool, with_running_job: bool) -> None:
        """Make the jobs: scheduled, cancelled, refused, broken off, and one `under_way`.

        `runnable` when the lists will be in the object store, so that a worker can go on with them.
        """
        clock = self._dataset.clock
        noon = clock.midnight + timedelta(hours=12)
        for days, status in ((2, JobStatus.SCHEDULED), (3, JobStatus.SCHEDULED), (-1, JobStatus.CANCELLED)):
            due = noon + timedelta(days=days)
            self._add_job(
                status, clock.days_ago(2) + timedelta(hours=10), rows=JOB_ROWS, runnable=runnable, scheduled_for=due
            )
        refused = clock.days_ago(3) + timedelta(hours=11)
        self._add_job(
            JobStatus.SENDING_LIMITS_EXCEEDED,
            refused,
            rows=99_000,
            runnable=False,
            processing_finished=refused + timedelta(seconds=4),
        )
        broken = clock.days_ago(4) + timedelta(hours=16)
        self._add_job(JobStatus.ERROR, broken, rows=JOB_ROWS, runnable=False, processing_started=broken)
        self._add_contact_list(runnable=runnable)
        if with_running_job:
            start = max(clock.midnight, clock.now - MIN_MESSAGE_AGE)
            self._running_job = self._add_job(
                JobStatus.IN_PROGRESS,
                start,
                rows=JOB_ROWS,
                runnable=runnable,
                next_row=DEMO_RUNNING_JOB_MESSAGES,
                processing_started=start,
            )

    def running_job_messages(self) -> list[Record]:
        """The messages of the job that is under way."""
        if self._running_job is None:
            return []
        job, entries = self._running_job
        statuses = [DELIVERED] * (DEMO_RUNNING_JOB_MESSAGES - 2) + ["sending"] * 2
        moments = [job.created_at + timedelta(milliseconds=70 * (row // 8)) for row in range(DEMO_RUNNING_JOB_MESSAGES)]
        lot = MessageBatch(
            self._seeded_service, self._seeded_templates[0], job.template_version, 0, FROM_JOB_ROW, job_id=job.id
        )
        return list(
            self._generator.generate(lot, moments, statuses=statuses, recipients=entries[:DEMO_RUNNING_JOB_MESSAGES])
        )

    def latest_messages(self, count: int) -> list[Record]:
        """The last messages of the service, by its live key; newer than all its others."""
        clock = self._dataset.clock
        begin = max(clock.midnight, clock.now - MIN_MESSAGE_AGE + timedelta(seconds=60))
        step = (clock.now - begin) / (len(EARLIER_STATUSES) + len(LATEST_STATUSES) + 1)
        fates = [*EARLIER_STATUSES, *LATEST_STATUSES][-count:] if count else []
        key = self._seeded_service.api_keys["normal"]
        records: list[Record] = []
        for number, fate in enumerate(fates):
            paper = self._seeded_templates[number % 2]
            moment = begin + step * number
            lot = MessageBatch(
                self._seeded_service, paper, paper.version_at(moment), 0, FROM_REQUEST, api_key_id=key.id
            )
            records += self._generator.generate(lot, [moment], statuses=[fate])
        return records

    def _add_job(
        self,
        status: JobStatus,
        at: datetime,
        *,
        rows: int,
        runnable: bool,
        next_row: int = 0,
        **values: datetime,
    ) -> tuple[models.Job, list[Recipient]]:
        team, paper = self._seeded_service, self._seeded_templates[0]
        job = self._dataset.add(
            models.Job,
            at,
            service_id=team.row.id,
            template_id=paper.row.id,
            template_version=paper.row.version,
            original_file_name=f"{status.replace(' ', '-')}.csv",
            created_by_id=team.members[0].id,
            job_status=status.value,
            notification_count=rows,
            updated_at=at,
            **values,
        )
        if rows > JOB_ROWS:
            return job, []
        made = [
            self._generator.recipient_pools.create_recipient(team, paper, paper.row.version, person, FROM_JOB_ROW)
            for person in self._generator.recipient_pools.people[:rows]
        ]
        if runnable and status in {JobStatus.SCHEDULED, JobStatus.IN_PROGRESS}:
            self._dataset.add(
                models.JobRun, at, job_id=job.id, reply_to_text=team.sms_sender, next_row=next_row, bad_rows=[]
            )
            lines = [["phone number", "name", "day"]]
            lines += [[values["phonenumber"], values["name"], values["day"]] for _, values in made]
            self.files[job_runs.list_path(team.row.id, job.id)] = _csv_bytes(lines)
        return job, [entry for entry, _ in made]

    def _add_contact_list(self, *, runnable: bool) -> None:
        """A list to write to again, where it can be read."""
        if not runnable:
            return
        service_id = self._seeded_service.row.id
        people = self._generator.recipient_pools.people[:25]
        contacts = self._dataset.add(
            models.ContactList,
            self._dataset.clock.days_ago(20),
            id=fixed_id("contact list"),
            service_id=service_id,
            original_file_name="volunteers.csv",
            row_count=len(people),
            template_type="sms",
            created_by_id=self._seeded_service.members[0].id,
        )
        lines = [["phone number"], *([person.typed_recipient("sms")] for person in people)]
        self.files[recipient_sources.contact_list_path(service_id, contacts.id)] = _csv_bytes(lines)


def _csv_bytes(lines: list[list[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(lines)
    return written.getvalue().encode()
