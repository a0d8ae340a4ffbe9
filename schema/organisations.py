"""Organisations: public bodies that own services."""

from datetime import datetime
from typing import Any, Self

import strawberry

from graphql_api import models
from graphql_api.domain import organisations as domain
from graphql_api.enums import OrganisationFeature, OrganisationOrderField, OrganisationType, SortDirection
from graphql_api.limits import points
from loaders import changes
from loaders import organisations as loaders
from schema import refs
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
    entity_from_row,
    input_type,
    query_fields,
    to_many,
    value_object,
)
from schema.core.arguments import After, Before, FinancialYear, First, Last
from schema.mutations import mutation, payload
from schema.services import ServiceFilter, ServiceOrder
from schema.usage import ServiceUsage, service_usage_connection


@value_object
class Agreement:
    """The data sharing and financial agreement with an organisation."""

    signed: bool | None
    """Whether it is signed; null when not known."""
    signed_at: datetime | None
    """When it was signed."""
    signed_on_behalf_of_name: str | None
    """Name of the person for whom it was signed, if not the signer."""
    signed_on_behalf_of_email_address: str | None
    """Address of that person."""
    version: float | None
    """Version of the agreement."""
    signed_by_id: strawberry.Private[Any]

    @strawberry.field(description="The person who signed.")
    async def signed_by(self, info: Info) -> refs.User | None:
        """The signer; None where the caller may not see them."""
        row = await info.context.loaders.row(loaders.agreement_signed_by.row, self.signed_by_id)
        return entity_from_row(row, models.User)  # type: ignore[no-any-return]

    @classmethod
    def of(cls, *values: Any) -> Self:
        """The agreement, from the columns of an organisation."""
        signed, at, name, address, version, signed_by_id = values
        return cls(
            signed=signed,
            signed_at=at,
            signed_on_behalf_of_name=name,
            signed_on_behalf_of_email_address=address,
            version=version,
            signed_by_id=signed_by_id,
        )


@entity(models.Organisation)
class Organisation(Entity, Node):
    """A public body that owns services."""

    id: strawberry.ID
    """UUID of the row."""
    name: str
    """Name, unique among active organisations."""
    active: bool
    """False once archived."""
    type: OrganisationType | None = computed(models.Organisation.organisation_type, via=domain.parse_type)
    """Type of organisation, on which the free allowance depends."""
    crown: bool | None
    """Whether it is a Crown body; null when not known."""
    domains: list[str] = to_many(loaders.domains, via=lambda row: row.domain)
    """Email domains of its people, in lower case; a domain belongs to one organisation only."""
    features: list[OrganisationFeature] = to_many(loaders.features, via=lambda row: row.permission)
    """Features that are enabled for it."""
    agreement: Agreement = computed(
        models.Organisation.agreement_signed,
        models.Organisation.agreement_signed_at,
        models.Organisation.agreement_signed_on_behalf_of_name,
        models.Organisation.agreement_signed_on_behalf_of_email_address,
        models.Organisation.agreement_signed_version,
        models.Organisation.agreement_signed_by_id,
        via=Agreement.of,
    )
    """The data sharing and financial agreement."""
    can_approve_own_go_live_requests: bool = column(models.Organisation.can_approve_own_go_live_requests)
    """Whether approvers may approve their own requests to go live."""
    request_to_go_live_notes: str | None
    """Notes for service teams that request to go live."""
    notes: str | None
    """Platform admins' notes; null for other callers."""
    billing_details: BillingDetails | None = billing_details_field(models.Organisation)
    """Details for invoices; null except to platform admins."""
    created_at: datetime
    """When it was created."""
    updated_at: datetime | None
    """When it last changed."""
    live_service_count: int = batched(loaders.live_service_count)
    """Number of its live services, without those that do not count as live."""
    services: Connection[refs.Service] | None = connection(loaders.services, filter=ServiceFilter, order=ServiceOrder)
    """Its services; active ones first, then by name, when no order is given."""

    @strawberry.field(
        description="Usage and cost of each live service in one financial year.",
        metadata=points.weight(200),
    )
    async def usage_by_service(
        self,
        info: Info,
        financial_year: FinancialYear = None,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
    ) -> Connection[ServiceUsage] | None:
        """A page of live services, by name."""
        paging = {"first": first, "after": after, "last": last, "before": before}
        return service_usage_connection(info, self.row, financial_year, **paging)

    audit_log: Connection[AuditLogEntry] | None = connection(changes.of_organisation, filter=AuditLogFilter)
    """Changes to the organisation, its people and its branding, latest first; for members."""


@input_type
class OrganisationFilter(Input):
    """Which organisations to list; every condition given must hold."""

    name_contains: str | None = None
    """Part of the name; case-insensitive."""
    types: list[OrganisationType] | None = None
    """Of any of these types."""
    active: bool | None = None
    """True for active organisations, false for archived ones."""
    agreement_signed: bool | None = None
    """Whether they have signed the agreement."""


@input_type
class OrganisationOrder(Input):
    """How to order organisations."""

    field: OrganisationOrderField
    """Field to order by."""
    direction: SortDirection = SortDirection.ASC
    """Direction."""


@query_fields
class OrganisationQueries:
    """The fields of Query that read organisations."""

    organisation: refs.Organisation | None = by_id(loaders.by_id)
    """One organisation."""
    organisations: Connection[refs.Organisation] | None = connection(
        loaders.organisations, filter=OrganisationFilter, order=OrganisationOrder
    )
    """Organisations that the caller may see; by name when no order is given."""


@input_type
class CreateOrganisationInput(Input):
    """Arguments of `createOrganisation`."""

    name: str
    """Unique name."""
    type: OrganisationType
    """Type of organisation; some types decide `crown`."""
    crown: bool | None = None
    """Whether it is a Crown body."""
    domains: list[str] | None = None
    """Email domains, without @."""
    agreement_signed: bool | None = None
    """Whether the agreement is signed; null when not known."""


@payload
class CreateOrganisationPayload:
    """Result of `createOrganisation`."""

    organisation: refs.Organisation | None
    """The organisation."""


@input_type
class UpdateOrganisationInput(Input):
    """Arguments of `updateOrganisation`."""

    organisation_id: strawberry.ID
    """The organisation."""
    name: str | None = None
    """Unique name."""
    type: OrganisationType | None = None
    """Type of organisation."""
    crown: bool | None = None
    """Whether it is a Crown body."""
    domains: list[str] | None = None
    """New list of email domains, which replaces the old one."""
    features: list[OrganisationFeature] | None = None
    """New set of features, which replaces the old one."""
    can_approve_own_go_live_requests: bool | None = None
    """Whether approvers may approve their own requests to go live."""
    request_to_go_live_notes: str | None = None
    """Notes for service teams that request to go live."""
    notes: str | None = None
    """Platform admins' notes."""
    billing_details: BillingDetailsInput | None = None
    """New details for invoices, which replace all old ones."""


@payload
class UpdateOrganisationPayload:
    """Result of `updateOrganisation`."""

    organisation: refs.Organisation | None
    """The organisation."""


@input_type
class ArchiveOrganisationInput(Input):
    """Arguments of `archiveOrganisation`."""

    organisation_id: strawberry.ID
    """The organisation."""


@payload
class ArchiveOrganisationPayload:
    """Result of `archiveOrganisation`."""

    organisation: refs.Organisation | None
    """The organisation."""


@strawberry.type
class OrganisationMutations:
    """The fields of Mutation that change organisations."""

    @mutation
    async def create_organisation(self, info: Info, input: CreateOrganisationInput) -> CreateOrganisationPayload:
        """Create an organisation; platform admins only."""
        async with info.context.transaction() as tx:
            row = await domain.create(tx, info.context.actor, **input.values())
        return CreateOrganisationPayload(organisation=await Organisation.read(info.context, row.id))

    @mutation
    async def update_organisation(self, info: Info, input: UpdateOrganisationInput) -> UpdateOrganisationPayload:
        """Change an organisation; a new type also changes its services and their allowances; platform admins only."""
        changes = input.values()
        async with info.context.transaction() as tx:
            row = await domain.update(
                tx, info.context.actor, organisation_id=changes.pop("organisation_id"), changes=changes
            )
        return UpdateOrganisationPayload(organisation=await Organisation.read(info.context, row.id))

    @mutation
    async def archive_organisation(self, info: Info, input: ArchiveOrganisationInput) -> ArchiveOrganisationPayload:
        """Archive an organisation without active services, members and pending invitations; platform admins only."""
        async with info.context.transaction() as tx:
            row = await domain.archive(tx, info.context.actor, **input.values())
        return ArchiveOrganisationPayload(organisation=await Organisation.read(info.context, row.id))
