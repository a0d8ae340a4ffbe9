"""Jobs: what GraphQL says of them, and how they are made and stopped."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from graphql_api import models
from graphql_api.domain import jobs as domain
from graphql_api.enums import Channel, ErrorPolicy, JobOrderField, JobStatus, ServicePermission, SortDirection
from loaders import jobs as loaders
from loaders import notifications
from schema import refs
from schema.api_keys import ApiKey
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
    mutation,
    one_of_input,
    payload,
    query_fields,
    to_one,
    to_union,
    value_object,
)
from schema.notifications import NotificationFilter, NotificationOrder
from schema.ranges import DateTimeRangeInput
from schema.recipients import RecipientSourceInput
from schema.users import User

Actor = Annotated[User | ApiKey, strawberry.union("Actor", description="Who did something: a person or an API key.")]


@value_object
class JobProgress:
    """How a job's messages stand."""

    total: int
    """Rows in the list."""
    created: int
    """Rows that are now messages."""
    in_progress: int
    """Messages in progress."""
    delivered: int
    """Messages delivered."""
    failed: int
    """Messages failed."""
    cancelled: int
    """Messages cancelled."""
    fraction_complete: float
    """Share of rows with a final status, from 0 to 1."""
    is_final: bool
    """True when no count can change again."""

    @classmethod
    def of(cls, progress: loaders.Progress) -> Self:
        """The counts of a job."""
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
    """Sender's service."""
    template: refs.Template = to_one(loaders.template)
    """Template, as it is now."""
    template_version: refs.TemplateVersion = to_one(loaders.template_version)
    """Template as it was when the job was made."""
    channel: Channel = computed(via=lambda version: version.template_type, related=(loaders.template_version,))
    """Channel."""
    file_name: str | None = column(models.Job.original_file_name, blank_is_null=True)
    """Name of the file or contact list; null when the rows came with the call."""
    status: JobStatus = column(models.Job.job_status)
    """Where it stands."""
    recipient_count: int = column(models.Job.notification_count)
    """Rows in the list."""
    created_at: datetime
    """When it was made."""
    updated_at: datetime | None
    """When it last changed."""
    scheduled_for: datetime | None
    """When it is to start; null for at once."""
    processing_started_at: datetime | None = column(models.Job.processing_started)
    """When the first row was read."""
    processing_finished_at: datetime | None = column(models.Job.processing_finished)
    """When every row had been queued."""
    archived: bool
    """True past retention: the file and the rows' personal data are gone, the counts stay."""
    progress: JobProgress = batched(loaders.progress, via=JobProgress.of)
    """How its messages stand."""
    notifications: Connection[refs.Notification] | None = connection(
        notifications.of_job, filter=NotificationFilter, order=NotificationOrder
    )
    """Its messages, by row number when no order is given; read as `Service.notifications`."""
    created_by: Actor | None = to_union(loaders.created_by, (loaders.run, loaders.created_with))
    """Who made it."""


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
    """Any of these."""
    template_id: strawberry.ID | None = None
    """Made from this template."""
    created_at: DateTimeRangeInput | None = None
    """Made in this time."""
    archived: bool | None = False
    """Those past retention instead of current ones; null means both."""


@input_type
class JobOrder(Input):
    """How to order jobs."""

    field: JobOrderField
    """What to order by."""
    direction: SortDirection = SortDirection.DESC
    """Direction."""


@query_fields
class JobQueries:
    """The part of Query that reads jobs."""

    job: refs.Job | None = by_id(loaders.by_id)
    """One job."""


@one_of_input
class ScheduleInput(Input):
    """When to send."""

    at: strawberry.Maybe[datetime]
    """One instant for everyone, in the future and at most seven days ahead."""


@input_type
class CreateJobInput(Input):
    """Arguments of `createJob`."""

    service_id: strawberry.ID | None = None
    """Needed from a person; an API key's own service is taken."""
    template_id: strawberry.ID
    """The template."""
    source: RecipientSourceInput
    """Where the rows come from."""
    schedule: ScheduleInput | None = None
    """When to start; at once when left out."""
    error_policy: ErrorPolicy | None = ErrorPolicy.SEND_NOTHING
    """What to do when some rows are bad."""
    idempotency_key: str | None = None
    """As for `sendNotification`."""


@payload
class CreateJobPayload:
    """Answer of `createJob`."""

    job: refs.Job | None
    """The job."""


@input_type
class CancelJobInput(Input):
    """Arguments of `cancelJob`."""

    job_id: strawberry.ID
    """The job."""


@payload
class CancelJobPayload:
    """Answer of `cancelJob`."""

    job: refs.Job | None
    """The job."""
    cancelled_notification_count: int = 0
    """Letters cancelled with it."""


@strawberry.type
class JobMutations:
    """The part of Mutation that makes and stops jobs."""

    @mutation
    async def create_job(self, info: Info, input: CreateJobInput) -> CreateJobPayload:
        """Send one template to a list; not for letters in trial."""
        context, values = info.context, input.values()
        if values.get("error_policy") is None:
            values["error_policy"] = ErrorPolicy.SEND_NOTHING
        request = domain.JobRequest(**values)
        row = await domain.create(context.transaction, context.actor, context.store, request)
        return CreateJobPayload(job=await Job.read(context, row.id))

    @mutation
    async def cancel_job(self, info: Info, input: CancelJobInput) -> CancelJobPayload:
        """Stop a scheduled job, or a letter job whose letters can all still be cancelled."""
        async with info.context.transaction() as tx:
            cancelled = await domain.cancel(tx, info.context.actor, **input.values())
        return CancelJobPayload(job=await Job.read(info.context, cancelled.id))
