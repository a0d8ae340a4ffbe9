"""Services: a team's account, its settings, limits and usage."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from graphql_api import models
from graphql_api.domain import services as domain
from graphql_api.domain.organisations import parse_type
from graphql_api.enums import (
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
from schema import service_details as details
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
)
from schema.core.arguments import FinancialYear
from schema.jobs import JOB_LIST_PERMISSIONS, JobFilter, JobOrder
from schema.members import ServiceMemberFilter
from schema.mutations import mutation, payload
from schema.notifications import NotificationFilter, NotificationOrder
from schema.ranges import DateRangeInput, parse_day_range
from schema.service_details import DailyLimit, ServiceSettings, ServiceVolumesInput
from schema.statistics import NotificationStatistics
from schema.templates import TemplateFilter, TemplateOrder
from schema.usage import AnnualAllowance, Usage, read_year_usage

StatisticsRange: TypeAlias = Annotated[
    DateRangeInput | None, strawberry.argument(description="London days; today when left out.")
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
    """Name that recipients see; unique, also as the local part of an email address."""
    status: ServiceStatus = computed(models.Service.active, models.Service.restricted, via=_service_status)
    """Trial, live or archived."""
    organisation: refs.Organisation | None = to_one(loaders.organisation)
    """Organisation that owns it; null when there is none or the caller may not see it."""
    organisation_type: OrganisationType | None = computed(models.Service.organisation_type, via=parse_type)
    """Type of organisation, also for a service without one."""
    created_by: refs.User | None = to_one(loaders.created_by)
    """Who created it; null when the caller may not see them."""
    created_at: datetime
    """When it was created."""
    updated_at: datetime | None
    """When it last changed."""
    version: int
    """Number of the version: 1 at first, one more after every change of the service itself."""
    features: list[ServiceFeature] = to_many(loaders.features, via=lambda row: row.permission)
    """Features that are enabled for it."""
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
    """Settings that its team changes itself."""
    notes: str | None
    """Platform admins' notes; null for other callers."""
    billing_details: BillingDetails | None = billing_details_field(models.Service)
    """Details for invoices; null except to platform admins."""
    rate_limit_per_minute: int = column(models.Service.rate_limit)
    """Sends allowed per minute for each type of API key."""
    daily_limits: list[DailyLimit] = batched(loaders.daily_limits, via=details.daily_limits)
    """Limits and today's use: one per channel, and one for text messages abroad."""
    members: Connection[refs.ServiceMembership] | None = connection(
        members.of_service, filter=ServiceMemberFilter, people_only=True
    )
    """Active members; not for API keys."""
    api_keys: Connection[refs.ApiKey] | None = connection(
        loaders.api_keys, filter=ApiKeyFilter, permissions=ServicePermission.MANAGE_API_KEYS
    )
    """API keys that are not revoked, or were revoked in the last seven days; needs MANAGE_API_KEYS."""
    templates: Connection[refs.Template] | None = connection(
        loaders.templates, filter=TemplateFilter, order=TemplateOrder
    )
    """Templates in folders that the caller may open; by name when no order is given."""
    notifications: Connection[refs.Notification] | None = connection(
        notifications.of_service,
        filter=NotificationFilter,
        order=NotificationOrder,
        permissions=ServicePermission.VIEW_ACTIVITY,
    )
    """Its messages, latest first; needs VIEW_ACTIVITY; a key sees the messages of its own type of key."""
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

    @strawberry.field(description="Numbers of messages over a range of days; needs VIEW_ACTIVITY.")
    async def statistics(self, info: Info, range: StatisticsRange = None) -> NotificationStatistics | None:
        """The statistics of the range; today's without one."""
        if not info.context.actor.has_permission(ServicePermission.VIEW_ACTIVITY, self.row.id):
            raise Forbidden(ServicePermission.VIEW_ACTIVITY.name)
        first, last = parse_day_range(range)
        key = statistics.ServiceDays(self.row.id, first, last)
        return NotificationStatistics.of(first, last, await info.context.loaders.batch(statistics.by_status, key))

    @strawberry.field(
        description="Usage and cost in one financial year; needs MANAGE_SETTINGS or membership of the organisation.",
        metadata=points.weight(20),
    )
    async def usage(self, info: Info, financial_year: FinancialYear = None) -> Usage | None:
        """The usage in the year."""
        return Usage.of(*await read_year_usage(info, self.row, financial_year))

    @strawberry.field(description="Free text messages in one financial year; visible as `usage` is.")
    async def annual_allowance(self, info: Info, financial_year: FinancialYear = None) -> AnnualAllowance | None:
        """The allowance of the year."""
        return AnnualAllowance.of(*await read_year_usage(info, self.row, financial_year))


@input_type
class ServiceFilter(Input):
    """Which services to list; every condition given must hold."""

    name_contains: str | None = None
    """Part of the name; case-insensitive."""
    statuses: list[ServiceStatus] | None = None
    """Having any of these statuses."""
    organisation_id: strawberry.ID | None = None
    """Of this organisation."""
    organisation_types: list[OrganisationType] | None = None
    """Of any of these types of organisation."""
    has_active_go_live_request: bool | None = None
    """Whether they have an open request to go live."""


@input_type
class ServiceOrder(Input):
    """How to order services."""

    field: ServiceOrderField
    """Field to order by."""
    direction: SortDirection = SortDirection.ASC
    """Direction."""


@query_fields
class ServiceQueries:
    """The fields of Query that read services."""

    service: refs.Service | None = by_id(loaders.by_id)
    """One service."""
    services: Connection[refs.Service] | None = connection(loaders.services, filter=ServiceFilter, order=ServiceOrder)
    """Services that the caller may see; by name when no order is given."""


@input_type
class CreateServiceInput(Input):
    """Arguments of `createService`."""

    name: str
    """Unique name."""
    organisation_id: strawberry.ID | None = None
    """Organisation that owns it; by default that of the caller's email domain."""
    organisation_type: OrganisationType | None = None
    """Type of organisation, where the service has none."""


@payload
class CreateServicePayload:
    """Result of `createService`."""

    service: refs.Service | None
    """The service."""


@input_type
class UpdateServiceInput(Input):
    """Arguments of `updateService`."""

    service_id: strawberry.ID
    """The service."""
    expected_version: int | None = None
    """Version that the caller read; a newer one gives VERSION_CONFLICT."""
    name: str | None = None
    """Unique name; a new one clears `confirmedUnique`."""
    organisation_type: OrganisationType | None = None
    """Type of organisation; platform admins only."""
    prefix_sms: bool | None = None
    """Whether every text message begins with the service name."""
    custom_email_sender_name: str | None = None
    """Sender name of emails, which setting it confirms; null for the service name."""
    confirmed_email_sender_name: bool | None = None
    """True to confirm the sender name."""
    confirmed_unique: bool | None = None
    """True to confirm that no other service does the same."""
    contact_link: str | None = None
    """Where recipients get help."""
    consent_to_research: bool | None = None
    """Whether the team agrees to be asked about its service."""
    volumes: ServiceVolumesInput | None = None
    """New estimate, which replaces the old one."""
    notes: str | None = None
    """Notes; platform admins only."""
    billing_details: BillingDetailsInput | None = None
    """New details for invoices, which replace all old ones; platform admins only."""


@payload
class UpdateServicePayload:
    """Result of `updateService`."""

    service: refs.Service | None
    """The service."""


@input_type
class ArchiveServiceInput(Input):
    """Arguments of `archiveService`."""

    service_id: strawberry.ID
    """The service."""


@payload
class ArchiveServicePayload:
    """Result of `archiveService`."""

    service: refs.Service | None
    """The service."""


@strawberry.type
class ServiceMutations:
    """The fields of Mutation that change services."""

    @mutation
    async def create_service(self, info: Info, input: CreateServiceInput) -> CreateServicePayload:
        """Create a service in trial; the caller becomes its first member, with every permission."""
        context = info.context
        async with context.transaction() as tx:
            row = await domain.create(tx, context.actor, **input.values())
        # The actor was authenticated before the membership existed.
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
        """Archive a service permanently: one in trial by its managers, a live one by platform admins only."""
        async with info.context.transaction() as tx:
            row = await domain.archive(tx, info.context.actor, **input.values())
        return ArchiveServicePayload(service=await Service.read(info.context, row.id))
