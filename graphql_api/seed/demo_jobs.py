"""The demo service's own jobs in every state, its contact list, and its latest messages with fixed statuses."""

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
"""Statuses of the last ten messages, oldest first."""
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
"""Statuses of the messages before them."""
JOB_ROWS = 40
"""Rows of each job."""


class DemoJobs:
    """The demo service's own jobs, and the files of those that a worker can continue."""

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
        """Add the jobs: scheduled, cancelled, over the limit, failed and, if `with_running_job`, one in progress.

        With `runnable`, their lists are added to `files`, so that a worker can continue them.
        """
        clock = self._dataset.clock
        noon = clock.midnight + timedelta(hours=12)
        for days, status in ((2, JobStatus.SCHEDULED), (3, JobStatus.SCHEDULED), (-1, JobStatus.CANCELLED)):
            due = noon + timedelta(days=days)
            self._add_job(
                status, clock.days_ago(2) + timedelta(hours=10), rows=JOB_ROWS, runnable=runnable, scheduled_for=due
            )
        refused_at = clock.days_ago(3) + timedelta(hours=11)
        self._add_job(
            JobStatus.SENDING_LIMITS_EXCEEDED,
            refused_at,
            rows=99_000,
            runnable=False,
            processing_finished=refused_at + timedelta(seconds=4),
        )
        failed_at = clock.days_ago(4) + timedelta(hours=16)
        self._add_job(JobStatus.ERROR, failed_at, rows=JOB_ROWS, runnable=False, processing_started=failed_at)
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
        """The messages of the job in progress."""
        if self._running_job is None:
            return []
        job, recipients = self._running_job
        statuses = [DELIVERED] * (DEMO_RUNNING_JOB_MESSAGES - 2) + ["sending"] * 2
        moments = [job.created_at + timedelta(milliseconds=70 * (row // 8)) for row in range(DEMO_RUNNING_JOB_MESSAGES)]
        batch = MessageBatch(
            self._seeded_service, self._seeded_templates[0], job.template_version, 0, FROM_JOB_ROW, job_id=job.id
        )
        return list(
            self._generator.generate(
                batch, moments, statuses=statuses, recipients=recipients[:DEMO_RUNNING_JOB_MESSAGES]
            )
        )

    def latest_messages(self, count: int) -> list[Record]:
        """The latest messages of the service, sent with its live key."""
        clock = self._dataset.clock
        begin = max(clock.midnight, clock.now - MIN_MESSAGE_AGE + timedelta(seconds=60))
        step = (clock.now - begin) / (len(EARLIER_STATUSES) + len(LATEST_STATUSES) + 1)
        statuses = [*EARLIER_STATUSES, *LATEST_STATUSES][-count:] if count else []
        key = self._seeded_service.api_keys["normal"]
        records: list[Record] = []
        for number, status in enumerate(statuses):
            seeded_template = self._seeded_templates[number % 2]
            moment = begin + step * number
            batch = MessageBatch(
                self._seeded_service,
                seeded_template,
                seeded_template.version_at(moment),
                0,
                FROM_REQUEST,
                api_key_id=key.id,
            )
            records += self._generator.generate(batch, [moment], statuses=[status])
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
        seeded_service, seeded_template = self._seeded_service, self._seeded_templates[0]
        job = self._dataset.add(
            models.Job,
            at,
            service_id=seeded_service.row.id,
            template_id=seeded_template.row.id,
            template_version=seeded_template.row.version,
            original_file_name=f"{status.replace(' ', '-')}.csv",
            created_by_id=seeded_service.members[0].id,
            job_status=status.value,
            notification_count=rows,
            updated_at=at,
            **values,
        )
        if rows > JOB_ROWS:
            return job, []
        addressed = [
            self._generator.recipient_pools.create_recipient(
                seeded_service, seeded_template, seeded_template.row.version, person, FROM_JOB_ROW
            )
            for person in self._generator.recipient_pools.people[:rows]
        ]
        if runnable and status in {JobStatus.SCHEDULED, JobStatus.IN_PROGRESS}:
            self._dataset.add(
                models.JobRun,
                at,
                job_id=job.id,
                reply_to_text=seeded_service.sms_sender,
                next_row=next_row,
                bad_rows=[],
            )
            lines = [["phone number", "name", "day"]]
            lines += [[values["phonenumber"], values["name"], values["day"]] for _, values in addressed]
            self.files[job_runs.list_path(seeded_service.row.id, job.id)] = _csv_bytes(lines)
        return job, [recipient for recipient, _ in addressed]

    def _add_contact_list(self, *, runnable: bool) -> None:
        """Add a contact list, if its file will be in the object store."""
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
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()
