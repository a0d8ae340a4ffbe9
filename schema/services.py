"""Services: what GraphQL says of them, and how their teams change them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

import strawberry

from graphql_api import models
from graphql_api.domain import services as domain
from graphql_api.domain.organisations import parse_type
from graphql_api.domain.sending_limits import resets_at
from graphql_api.enums import (
    Channel,
    OrganisationType,
    ServiceFeature,
    ServiceOrderField,
    ServicePermission,
    ServiceStatus,
    SortDirection,
)
from graphql_api.errors import Forbidden
from graphql_api.limits import points
from loaders import changes, jobs, members, notifications, statistics
from loaders import services as loaders
from schema import refs
from schema.api_keys import ApiKeyFilter
from schema.billing_details import BillingDetails, BillingDetailsInput, billing_details_field
from schema.changes import AuditLogEntry, AuditLogFilter
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
    query_fields,
    to_many,
    to_one,
    value_object,
)
from schema.jobs import JOB_LIST_PERMISSIONS, JobFilter, JobOrder
from schema.members import ServiceMemberFilter
from schema.mutations import mutation, payload
from schema.notifications import NotificationFilter, NotificationOrder
from schema.ranges import DateRangeInput, parse_day_range
from schema.statistics import NotificationStatistics
from schema.templates import TemplateFilter, TemplateOrder
from schema.usage import AnnualAllowance, Usage, read_year_usage


@value_object
class ServiceVolumes:
    """Messages expected in a year; null where nobody has said."""

    sms: int | None
    """Text messages."""
    email: int | None
    """Emails."""
    letter: int | None
    """Letters."""


@value_object
class ServiceSettings:
    """What a service's team decides about its messages."""

    prefix_sms: bool
    """Whether the service name starts every text message."""
    custom_email_sender_name: str | None
    """Name before the address in emails; null means the service name."""
    email_sender_local_part: str
    """Part of the sending address before the @."""
    confirmed_email_sender_name: bool
    """Whether the team has confirmed the sender name."""
    contact_link: str | None
    """Where people can turn for help; needed before files can be sent by email."""
    consent_to_research: bool | None
    """Whether the team may be asked about its service; null when it has not said."""
    volumes: ServiceVolumes
    """The team's estimate of a year's messages."""

    @classmethod
    def of(cls, *values: Any) -> Self:
        """The settings of a service, from its columns."""
        prefix, sender, local_part, confirmed, link, consent, sms, email, letter = values
        return cls(
            prefix_sms=prefix,
            custom_email_sender_name=sender,
            email_sender_local_part=local_part,
            confirmed_email_sender_name=bool(confirmed),
            contact_link=link,
            consent_to_research=consent,
            volumes=ServiceVolumes(sms=sms, email=email, letter=letter),
        )


@value_object
class DailyLimit:
    """One ceiling on accepted messages a day."""

    channel: Channel
    """Channel it is for."""
    international: bool
    """True for the separate ceiling on text messages abroad."""
    limit: int
    """Messages allowed a day."""
    used: int
    """Messages accepted so far today."""
    remaining: int
    """Messages still allowed today."""
    resets_at: datetime
    """Next midnight UTC."""


def _daily_limits(limits: Sequence[loaders.DailyLimitUsage]) -> list[DailyLimit]:
    return [
        DailyLimit(
            channel=limit.channel,
            international=limit.international,
            limit=limit.messages_per_day,
            used=limit.used,
            remaining=max(limit.messages_per_day - limit.used, 0),
            resets_at=resets_at(),
        )
        for limit in limits
    ]


def _service_status(active: bool, restricted: bool) -> ServiceStatus:
    if not active:
        return ServiceStatus.ARCHIVED
    return ServiceStatus.TRIAL if restricted else ServiceStatus.LIVE


@entity(models.Service, service="id")
class Service(Entity, Node):
    """A team's account for sending messages."""

    id: strawberry.ID
    """UUID of the row."""
    name: str
    """Name recipients see; unique, also once reduced to the local part of an email address."""
    status: ServiceStatus = computed(models.Service.active, models.Service.restricted, via=_service_status)
    """Trial, live or archived."""
    organisation: refs.Organisation | None = to_one(loaders.organisation)
    """Owner; null when none or when the caller may not see it."""
    organisation_type: OrganisationType | None = computed(models.Service.organisation_type, via=parse_type)
    """Kind of body, also for a service without an organisation."""
    created_by: refs.User | None = to_one(loaders.created_by)
    """Who made it."""
    created_at: datetime
    """When it was made."""
    updated_at: datetime | None
    """When it last changed."""
    version: int
    """Starts at 1, raised by one on every change to the service itself."""
    features: list[ServiceFeature] = to_many(loaders.features, via=lambda row: row.permission)
    """What is switched on for it."""
    settings: ServiceSettings = computed(
        models.Service.prefix_sms,
        models.Service.custom_email_sender_name,
        models.Service.email_sender_local_part,
        models.Service.confirmed_email_sender_name,
        models.Service.contact_link,
        models.Service.consent_to_research,
        models.Service.volume_sms,
        models.Service.volume_email,
        models.Service.volume_letter,
        via=ServiceSettings.of,
    )
    """What its team decides."""
    notes: str | None
    """Platform admins' notes; null for anyone else."""
    billing_details: BillingDetails | None = billing_details_field(models.Service)
    """How to bill it; platform admins only, null for anyone else."""
    rate_limit_per_minute: int = column(models.Service.rate_limit)
    """Sends allowed a minute, for each kind of API key."""
    daily_limits: list[DailyLimit] = batched(loaders.daily_limits, via=_daily_limits)
    """Limit and use today, one per channel and one for text messages abroad."""
    members: Connection[refs.ServiceMembership] | None = connection(
        members.of_service, filter=ServiceMemberFilter, people_only=True
    )
    """Active members; not for API keys."""
    api_keys: Connection[refs.ApiKey] | None = connection(
        loaders.api_keys, filter=ApiKeyFilter, permissions=ServicePermission.MANAGE_API_KEYS
    )
    """Live keys and those revoked in the last seven days; needs MANAGE_API_KEYS."""
    templates: Connection[refs.Template] | None = connection(
        loaders.templates, filter=TemplateFilter, order=TemplateOrder
    )
    """Templates in folders the caller may open; by name when no order is given."""
    notifications: Connection[refs.Notification] | None = connection(
        notifications.of_service,
        filter=NotificationFilter,
        order=NotificationOrder,
        permissions=ServicePermission.VIEW_ACTIVITY,
    )
    """Its messages, latest first; needs VIEW_ACTIVITY; a key sees those made with its own type of key."""
    jobs: Connection[refs.Job] | None = connection(
        jobs.of_service, filter=JobFilter, order=JobOrder, permissions=JOB_LIST_PERMISSIONS
    )
    """Its jobs, latest first; needs VIEW_ACTIVITY or a sending permission."""
    audit_log: Connection[AuditLogEntry] | None = connection(
        changes.of_service, filter=AuditLogFilter, permissions=ServicePermission.MANAGE_SETTINGS
    )
    """
    Changes to the service, its people, senders, keys, templates and webhooks, latest first; needs MANAGE_SETTINGS.
    """

    @strawberry.field(description="Counts over a run of days, today when left out; needs VIEW_ACTIVITY.")
    async def statistics(self, info: Info, range: DateRangeInput | None = None) -> NotificationStatistics | None:
        """The figures of the days asked for."""
        if not info.context.actor.has_permission(ServicePermission.VIEW_ACTIVITY, self.row.id):
            raise Forbidden(ServicePermission.VIEW_ACTIVITY.name)
        first, last = parse_day_range(range)
        wanted = statistics.ServiceDays(self.row.id, first, last)
        return NotificationStatistics.of(first, last, await info.context.loaders.batch(statistics.by_status, wanted))

    @strawberry.field(
        description="Use and spend in one financial year, the current one when left out; needs MANAGE_SETTINGS or "
        "membership of the organisation.",
        metadata=points.weight(20),
    )
    async def usage(self, info: Info, financial_year: int | None = None) -> Usage | None:
        """The figures of the year asked for."""
        return Usage.of(*await read_year_usage(info, self.row, financial_year))

    @strawberry.field(description="Free text messages in one financial year; read as `usage`.")
    async def annual_allowance(self, info: Info, financial_year: int | None = None) -> AnnualAllowance | None:
        """The allowance of the year asked for."""
        return AnnualAllowance.of(*await read_year_usage(info, self.row, financial_year))


@input_type
class ServiceFilter(Input):
    """Which services to list; every condition given must hold."""

    name_contains: str | None = None
    """Part of the name, whatever its case."""
    statuses: list[ServiceStatus] | None = None
    """Any of these."""
    organisation_id: strawberry.ID | None = None
    """Owned by this organisation."""
    organisation_types: list[OrganisationType] | None = None
    """Any of these kinds."""
    has_active_go_live_request: bool | None = None
    """Whether a request to go live is open."""


@input_type
class ServiceOrder(Input):
    """How to order services."""

    field: ServiceOrderField
    """What to order by."""
    direction: SortDirection = SortDirection.ASC
    """Direction."""


@query_fields
class ServiceQueries:
    """The part of Query that reads services."""

    service: refs.Service | None = by_id(loaders.by_id)
    """One service."""
    services: Connection[refs.Service] | None = connection(loaders.services, filter=ServiceFilter, order=ServiceOrder)
    """Services the caller may see; by name when no order is given."""


@input_type
class CreateServiceInput(Input):
    """Arguments of `createService`."""

    name: str
    """Unique name."""
    organisation_id: strawberry.ID | None = None
    """Owner; found by the caller's email domain when left out."""
    organisation_type: OrganisationType | None = None
    """Kind of body, where there is no organisation."""


@payload
class CreateServicePayload:
    """Answer of `createService`."""

    service: refs.Service | None
    """The service."""


@input_type
class ServiceVolumesInput(Input):
    """Messages expected in a year."""

    sms: int | None = None
    """Text messages."""
    email: int | None = None
    """Emails."""
    letter: int | None = None
    """Letters."""


@input_type
class UpdateServiceInput(Input):
    """Arguments of `updateService`."""

    service_id: strawberry.ID
    """The service."""
    expected_version: int | None = None
    """Refused with VERSION_CONFLICT when the service has moved on."""
    name: str | None = None
    """Unique name; a new one clears `confirmedUnique`."""
    organisation_type: OrganisationType | None = None
    """Kind of body; platform admins only."""
    prefix_sms: bool | None = None
    """Whether the service name starts every text message."""
    custom_email_sender_name: str | None = None
    """Name before the address in emails, confirmed by being set; null for the service name."""
    confirmed_email_sender_name: bool | None = None
    """Confirms the sender name."""
    confirmed_unique: bool | None = None
    """Says that no other service does the same."""
    contact_link: str | None = None
    """Where people can turn for help."""
    consent_to_research: bool | None = None
    """Whether the team may be asked about its service."""
    volumes: ServiceVolumesInput | None = None
    """Replaces the estimate."""
    notes: str | None = None
    """Platform admins only."""
    billing_details: BillingDetailsInput | None = None
    """Replaces them all; platform admins only."""


@payload
class UpdateServicePayload:
    """Answer of `updateService`."""

    service: refs.Service | None
    """The service."""


@input_type
class ArchiveServiceInput(Input):
    """Arguments of `archiveService`."""

    service_id: strawberry.ID
    """The service."""


@payload
class ArchiveServicePayload:
    """Answer of `archiveService`."""

    service: refs.Service | None
    """The service."""


@strawberry.type
class ServiceMutations:
    """The part of Mutation that changes services."""

    @mutation
    async def create_service(self, info: Info, input: CreateServiceInput) -> CreateServicePayload:
        """Add a service in trial; the caller becomes its first member, with every permission."""
        context = info.context
        async with context.transaction() as tx:
            row = await domain.create(tx, context.actor, **input.values())
        # The caller was no member when the request began.
        permissions = {**context.actor.permissions, row.id: frozenset(ServicePermission)}
        context.actor = replace(context.actor, permissions=permissions)
        context.reset_loaders()
        return CreateServicePayload(service=await Service.read(context, row.id))

    @mutation
    async def update_service(self, info: Info, input: UpdateServiceInput) -> UpdateServicePayload:
        """Change a service's settings."""
        changes = input.values()
        async with info.context.transaction() as tx:
            row = await domain.update(
                tx,
                info.context.actor,
                service_id=changes.pop("service_id"),
                expected_version=changes.pop("expected_version", None),
                changes=changes,
            )
        return UpdateServicePayload(service=await Service.read(info.context, row.id))

    @mutation
    async def archive_service(self, info: Info, input: ArchiveServiceInput) -> ArchiveServicePayload:
        """Close a service for good; in trial by its managers, live by platform admins only."""
        async with info.context.transaction() as tx:
            row = await domain.archive(tx, info.context.actor, **input.values())
        return ArchiveServicePayload(service=await Service.read(info.context, row.id))
