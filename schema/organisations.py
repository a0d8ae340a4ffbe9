"""Organisations: what GraphQL says of them, and how platform admins change them."""

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
from schema.mutations import mutation, payload
from schema.services import ServiceFilter, ServiceOrder
from schema.usage import ServiceUsage, service_usage_connection


@value_object
class Agreement:
    """Whether an organisation has signed the agreement."""

    signed: bool | None
    """Null when nobody has said."""
    signed_at: datetime | None
    """When it was signed."""
    signed_on_behalf_of_name: str | None
    """For whom it was signed, if not for the signer."""
    signed_on_behalf_of_email_address: str | None
    """Address of the person it was signed for."""
    version: float | None
    """Version of the agreement."""
    signed_by_id: strawberry.Private[Any]

    @strawberry.field(description="Who signed.")
    async def signed_by(self, info: Info) -> refs.User | None:
        """The person, as far as the caller sees them."""
        person = await info.context.loaders.row(loaders.agreement_signed_by.row, self.signed_by_id)
        return entity_from_row(person, models.User)  # type: ignore[no-any-return]

    @classmethod
    def of(cls, *values: Any) -> Self:
        """The agreement of an organisation, from its columns."""
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
    """Kind of body, on which the free allowance depends."""
    crown: bool | None
    """Whether it is a Crown body; null when nobody has recorded it."""
    domains: list[str] = to_many(loaders.domains, via=lambda row: row.domain)
    """Email domains whose people belong here, in lower case; a domain belongs to one organisation."""
    features: list[OrganisationFeature] = to_many(loaders.features, via=lambda row: row.permission)
    """What is switched on for it."""
    agreement: Agreement = computed(
        models.Organisation.agreement_signed,
        models.Organisation.agreement_signed_at,
        models.Organisation.agreement_signed_on_behalf_of_name,
        models.Organisation.agreement_signed_on_behalf_of_email_address,
        models.Organisation.agreement_signed_version,
        models.Organisation.agreement_signed_by_id,
        via=Agreement.of,
    )
    """State of the data sharing and financial agreement."""
    can_approve_own_go_live_requests: bool = column(models.Organisation.can_approve_own_go_live_requests)
    """Whether an approver may approve a request they made."""
    request_to_go_live_notes: str | None
    """Shown to a service team that asks to go live."""
    notes: str | None
    """Platform admins' notes; null for anyone else."""
    billing_details: BillingDetails | None = billing_details_field(models.Organisation)
    """How to bill it; platform admins only, null for anyone else."""
    created_at: datetime
    """When it was added."""
    updated_at: datetime | None
    """When it last changed."""
    live_service_count: int = batched(loaders.live_service_count)
    """Live services that count as live."""
    services: Connection[refs.Service] | None = connection(loaders.services, filter=ServiceFilter, order=ServiceOrder)
    """Its services; active ones first, then by name, when no order is given."""

    @strawberry.field(
        description="What each live service used and spent in one financial year; the current one when left out.",
        metadata=points.weight(200),
    )
    async def usage_by_service(
        self,
        info: Info,
        financial_year: int | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
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
    """Part of the name, whatever its case."""
    types: list[OrganisationType] | None = None
    """Any of these kinds."""
    active: bool | None = None
    """Archived or not; both when left out."""
    agreement_signed: bool | None = None
    """Whether the agreement is signed."""


@input_type
class OrganisationOrder(Input):
    """How to order organisations."""

    field: OrganisationOrderField
    """What to order by."""
    direction: SortDirection = SortDirection.ASC
    """Direction."""


@query_fields
class OrganisationQueries:
    """The part of Query that reads organisations."""

    organisation: refs.Organisation | None = by_id(loaders.by_id)
    """One organisation."""
    organisations: Connection[refs.Organisation] | None = connection(
        loaders.organisations, filter=OrganisationFilter, order=OrganisationOrder
    )
    """Organisations the caller may see; by name when no order is given."""


@input_type
class CreateOrganisationInput(Input):
    """Arguments of `createOrganisation`."""

    name: str
    """Unique name."""
    type: OrganisationType
    """Kind of body; some kinds decide `crown`."""
    crown: bool | None = None
    """Whether it is a Crown body."""
    domains: list[str] | None = None
    """Email domains, without @."""
    agreement_signed: bool | None = None
    """Whether the agreement is signed; null when not known."""


@payload
class CreateOrganisationPayload:
    """Answer of `createOrganisation`."""

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
    """Kind of body."""
    crown: bool | None = None
    """Whether it is a Crown body."""
    domains: list[str] | None = None
    """Replaces the whole list."""
    features: list[OrganisationFeature] | None = None
    """Replaces the whole set."""
    can_approve_own_go_live_requests: bool | None = None
    """Whether an approver may approve a request they made."""
    request_to_go_live_notes: str | None = None
    """Shown to a service team that asks to go live."""
    notes: str | None = None
    """Platform admins' notes."""
    billing_details: BillingDetailsInput | None = None
    """Replaces them all."""


@payload
class UpdateOrganisationPayload:
    """Answer of `updateOrganisation`."""

    organisation: refs.Organisation | None
    """The organisation."""


@input_type
class ArchiveOrganisationInput(Input):
    """Arguments of `archiveOrganisation`."""

    organisation_id: strawberry.ID
    """The organisation."""


@payload
class ArchiveOrganisationPayload:
    """Answer of `archiveOrganisation`."""

    organisation: refs.Organisation | None
    """The organisation."""


@strawberry.type
class OrganisationMutations:
    """The part of Mutation that changes organisations."""

    @mutation
    async def create_organisation(self, info: Info, input: CreateOrganisationInput) -> CreateOrganisationPayload:
        """Add an organisation; platform admins only."""
        async with info.context.transaction() as tx:
            row = await domain.create(tx, info.context.actor, **input.values())
        return CreateOrganisationPayload(organisation=await Organisation.read(info.context, row.id))

    @mutation
    async def update_organisation(self, info: Info, input: UpdateOrganisationInput) -> UpdateOrganisationPayload:
        """Change an organisation; a new kind reaches its services and their allowances; platform admins only."""
        changes = input.values()
        async with info.context.transaction() as tx:
            row = await domain.update(
                tx, info.context.actor, organisation_id=changes.pop("organisation_id"), changes=changes
            )
        return UpdateOrganisationPayload(organisation=await Organisation.read(info.context, row.id))

    @mutation
    async def archive_organisation(self, info: Info, input: ArchiveOrganisationInput) -> ArchiveOrganisationPayload:
        """Archive an organisation; refused while it has an active service, a member or a pending invitation; platform admins only."""  # noqa: E501 - one sentence of the schema
        async with info.context.transaction() as tx:
            row = await domain.archive(tx, info.context.actor, **input.values())
        return ArchiveOrganisationPayload(organisation=await Organisation.read(info.context, row.id))
