"""Jobs: one template sent to a list of recipients."""

from datetime import datetime
from typing import Self

import strawberry

from graphql_api import models
from graphql_api.domain import jobs as domain
from graphql_api.enums import Channel, ErrorPolicy, JobOrderField, JobStatus, ServicePermission, SortDirection
from loaders import jobs as loaders
from loaders import notifications
from schema import refs
from schema.actors import Actor
from schema.core import (
    Connection,
    Entity,
    Info,
    Input,
    Node,
    batched,
    by_id,
    column,
    computed,
    connection,
    entity,
    input_type,
    one_of_input,
    query_fields,
    to_one,
    to_union,
    value_object,
)
from schema.mutations import mutation, payload
from schema.notifications import NotificationFilter, NotificationOrder
from schema.ranges import DateTimeRangeInput
from schema.recipients import RecipientSourceInput


@value_object
class JobProgress:
    """Counts of a job's messages."""

    total: int
    """Rows in the list."""
    created: int
    """Rows of which a message was created."""
    in_progress: int
    """Messages without a final status."""
    delivered: int
    """Messages that were delivered."""
    failed: int
    """Messages that failed."""
    cancelled: int
    """Messages that were cancelled."""
    fraction_complete: float
    """Share of rows with a final status, from 0 to 1."""
    is_final: bool
    """True when no count can change any more."""

    @classmethod
    def of(cls, progress: loaders.Progress) -> Self:
        """Counts as the loader returns them."""
        return cls(
            total=progress.total,
            created=progress.created,
            in_progress=progress.in_progress,
            delivered=progress.delivered,
            failed=progress.failed,
            cancelled=progress.cancelled,
            fraction_complete=progress.fraction_complete,
            is_final=progress.is_final,
        )


@entity(models.Job)
class Job(Entity, Node):
    """One template sent to a list of recipients."""

    id: strawberry.ID
    """UUID of the row."""
    service: refs.Service = to_one(loaders.service)
    """Service that sends it."""
    template: refs.Template = to_one(loaders.template)
    """Template in its current version."""
    template_version: refs.TemplateVersion = to_one(loaders.template_version)
    """Version of the template that the job sends."""
    channel: Channel = computed(via=lambda version: version.template_type, related=(loaders.template_version,))
    """Channel of the template."""
    file_name: str | None = column(models.Job.original_file_name, blank_is_null=True)
    """Name of the file or contact list; null when the rows were in the call."""
    status: JobStatus = column(models.Job.job_status)
    """Status of the job."""
    recipient_count: int = column(models.Job.notification_count)
    """Rows in the list."""
    created_at: datetime
    """When it was created."""
    updated_at: datetime | None
    """When it last changed."""
    scheduled_for: datetime | None
    """When it is to start; null for an immediate start."""
    processing_started_at: datetime | None = column(models.Job.processing_started)
    """When the first row was processed."""
    processing_finished_at: datetime | None = column(models.Job.processing_finished)
    """When every row had been queued."""
    archived: bool
    """True after the retention period: the file and the rows' personal data are deleted, the counts stay."""
    progress: JobProgress = batched(loaders.progress, via=JobProgress.of)
    """Counts of its messages."""
    notifications: Connection[refs.Notification] | None = connection(
        notifications.of_job, filter=NotificationFilter, order=NotificationOrder
    )
    """Its messages, by row number when no order is given; visible as `Service.notifications` is."""
    created_by: Actor | None = to_union(loaders.created_by, (loaders.run, loaders.created_with))
    """Who created it; null when the caller may not see them."""


JOB_LIST_PERMISSIONS = (
    ServicePermission.VIEW_ACTIVITY,
    ServicePermission.SEND_TEXTS,
    ServicePermission.SEND_EMAILS,
    ServicePermission.SEND_LETTERS,
)
"""Permissions of which one is enough to list a service's jobs."""


@input_type
class JobFilter(Input):
    """Which jobs to list; every condition given must hold."""

    statuses: list[JobStatus] | None = None
    """Having any of these statuses."""
    template_id: strawberry.ID | None = None
    """Sending this template."""
    created_at: DateTimeRangeInput | None = None
    """Created in this range."""
    archived: bool | None = False
    """True for those past the retention period, false for the others, null for both."""


@input_type
class JobOrder(Input):
    """How to order jobs."""

    field: JobOrderField
    """Field to order by."""
    direction: SortDirection = SortDirection.DESC
    """Direction."""


@query_fields
class JobQueries:
    """The field of Query that reads jobs."""

    job: refs.Job | None = by_id(loaders.by_id)
    """One job."""


@one_of_input
class ScheduleInput(Input):
    """When to send."""

    at: strawberry.Maybe[datetime]
    """One time for all rows, in the future and at most seven days ahead."""


@input_type
class CreateJobInput(Input):
    """Arguments of `createJob`."""

    service_id: strawberry.ID | None = None
    """Required from a person; for an API key, its own service is used."""
    template_id: strawberry.ID
    """The template."""
    source: RecipientSourceInput
    """Source of the rows."""
    schedule: ScheduleInput | None = None
    """When to start; immediately when left out."""
    error_policy: ErrorPolicy | None = ErrorPolicy.SEND_NOTHING
    """What to do when some rows have errors."""
    idempotency_key: str | None = None
    """As for `sendNotification`."""


@payload
class CreateJobPayload:
    """Result of `createJob`."""

    job: refs.Job | None
    """The job."""


@input_type
class CancelJobInput(Input):
    """Arguments of `cancelJob`."""

    job_id: strawberry.ID
    """The job."""


@payload
class CancelJobPayload:
    """Result of `cancelJob`."""

    job: refs.Job | None
    """The job."""
    cancelled_notification_count: int = 0
    """Number of letters cancelled with it."""


@strawberry.type
class JobMutations:
    """The fields of Mutation that create and cancel jobs."""

    @mutation
    async def create_job(self, info: Info, input: CreateJobInput) -> CreateJobPayload:
        """Send one template to a list of recipients; a service in trial cannot send letters."""
        context, values = info.context, input.values()
        if values.get("error_policy") is None:
            values["error_policy"] = ErrorPolicy.SEND_NOTHING
        request = domain.JobRequest(**values)
        row = await domain.create(context.transaction, context.actor, context.store, request)
        return CreateJobPayload(job=await Job.read(context, row.id))

    @mutation
    async def cancel_job(self, info: Info, input: CancelJobInput) -> CancelJobPayload:
        """Cancel a scheduled job, or a letter job whose letters can all still be cancelled."""
        async with info.context.transaction() as tx:
            cancelled = await domain.cancel(tx, info.context.actor, **input.values())
        return CancelJobPayload(job=await Job.read(info.context, cancelled.id))
