"""The audit log: entries of the change log, with the names of GraphQL instead of those of tables and columns."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import strawberry

from graphql_api import models
from graphql_api.enums import (
    AuditAction,
    AuthType,
    Channel,
    DatabaseEnum,
    KeyType,
    LetterLanguages,
    OrganisationFeature,
    OrganisationPermission,
    OrganisationType,
    Postage,
    ServiceFeature,
    ServicePermission,
    UserState,
)
from loaders import changes as loaders
from schema.actors import Actor
from schema.core import (
    JSON,
    Connection,
    Entity,
    Info,
    Input,
    Node,
    column,
    computed,
    connection,
    entity,
    input_type,
    query_fields,
    registered_entities,
    to_union,
    value_object,
)
from schema.enums import member_or_none
from schema.ranges import DateTimeRangeInput

FIELD_NAMES = {
    "annual_billing.financial_year_start": "annualAllowance.financialYear",
    "annual_billing.free_sms_fragment_limit": "annualAllowance.freeSmsFragments",
    "annual_billing.has_custom_allowance": "annualAllowance.isCustom",
    "api_keys.expiry_date": "revokedAt",
    "api_keys.key_type": "type",
    "domain.domain": "domains",
    "email_branding.brand_type": "kind",
    "email_branding_to_organisation.email_branding_id": "emailBrandings",
    "letter_branding.filename": "fileName",
    "letter_branding_to_organisation.letter_branding_id": "letterBrandings",
    "organisation.organisation_type": "type",
    "organisation_permissions.permission": "features",
    "organisation_user_permissions.permission": "permissions",
    "permissions.permission": "permissions",
    "provider_details.notification_type": "channel",
    "service_callback_api.callback_type": "event",
    "service_data_retention.days_of_retention": "days",
    "service_data_retention.notification_type": "channel",
    "service_permissions.permission": "features",
    "service_sms_senders.sms_sender": "sender",
    "service_whitelist.recipient": "guestList.recipient",
    "service_whitelist.recipient_type": "guestList.channel",
    "services.rate_limit": "rateLimitPerMinute",
    "template_folder_map.template_folder_id": "folderId",
    "templates.template_type": "channel",
    "user_folder_permissions.template_folder_id": "folders",
    "users.mobile_number": "phoneNumber",
    "users.platform_admin": "isPlatformAdmin",
    "webauthn_credential.name": "securityKeys",
}
"""Fields whose names are not the camelCase of their columns, by table and column."""


def _enum_name(enum: type[DatabaseEnum]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        member = member_or_none(enum, value)
        return value if member is None else member.name

    return convert


def _utc_datetime(value: str) -> str:
    return f"{value}Z"


VALUE_CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "api_key_lifetimes.expires_at": _utc_datetime,
    "api_key_lifetimes.revoked_at": _utc_datetime,
    "api_keys.expiry_date": _utc_datetime,
    "api_keys.key_type": _enum_name(KeyType),
    "invited_users.auth_type": _enum_name(AuthType),
    "organisation.agreement_signed_at": _utc_datetime,
    "organisation.organisation_type": _enum_name(OrganisationType),
    "organisation_permissions.permission": _enum_name(OrganisationFeature),
    "organisation_user_permissions.permission": _enum_name(OrganisationPermission),
    "permissions.permission": _enum_name(ServicePermission),
    "provider_details.notification_type": _enum_name(Channel),
    "service_data_retention.notification_type": _enum_name(Channel),
    "service_permissions.permission": _enum_name(ServiceFeature),
    "services.go_live_at": _utc_datetime,
    "services.organisation_type": _enum_name(OrganisationType),
    "template_email_files.archived_at": _utc_datetime,
    "templates.letter_languages": _enum_name(LetterLanguages),
    "templates.postage": _enum_name(Postage),
    "templates.template_type": _enum_name(Channel),
    "users.auth_type": _enum_name(AuthType),
    "users.state": _enum_name(UserState),
}
"""Functions from a stored value to that of the field, by table and column."""


@value_object
class FieldChange:
    """One field before and after a change; secrets and message content are left out."""

    field: str
    """Name of the field."""
    before: JSON | None
    """Value before; null for a new object."""
    after: JSON | None
    """Value after; null for a removed object."""


def _camel_case(name: str) -> str:
    first, *others = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in others)


def _field_changes(table: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[FieldChange]:
    before, after = before or {}, after or {}

    def convert(name: str, value: Any) -> Any:
        return value if value is None else VALUE_CONVERTERS.get(f"{table}.{name}", lambda same: same)(value)

    fields = {name: FIELD_NAMES.get(f"{table}.{name}", _camel_case(name)) for name in (*before, *after)}
    return [
        FieldChange(field=field, before=convert(name, before.get(name)), after=convert(name, after.get(name)))
        for name, field in sorted(fields.items(), key=lambda item: item[1])
    ]


@entity(models.Change)
class AuditLogEntry(Entity):
    """One recorded change."""

    id: strawberry.ID
    """UUID of the entry; not for `node(id:)`."""
    occurred_at: datetime
    """When the change was made."""
    action: AuditAction = column(models.Change.operation)
    """Kind of change."""
    object_type: str = computed(models.Change.table_name, via=loaders.OBJECT_TYPES.__getitem__)
    """GraphQL type of the changed object."""
    object_id: strawberry.ID = column(models.Change.row_id)
    """UUID of the changed object; of a membership, the person's."""
    actor: Actor | None = to_union(loaders.actor_user, loaders.actor_api_key)
    """Who made the change; null for the system itself."""
    request_id: str | None
    """Id of the request, as in logs and INTERNAL errors."""
    changes: list[FieldChange] = computed(
        models.Change.table_name, models.Change.before, models.Change.after, via=_field_changes
    )
    """Fields that differ."""

    @strawberry.field(description="The changed object; null when it no longer exists or the caller may not see it.")
    async def object(self, info: Info) -> Node | None:
        """The object, where its type is a Node."""
        kinds = {
            kind.__strawberry_definition__.name: kind  # type: ignore[attr-defined]
            for kind in registered_entities().values()
            if issubclass(kind, Node)
        }
        kind = kinds.get(loaders.OBJECT_TYPES[self.row.table_name])
        return await kind.read(info.context, self.row.row_id) if kind else None


@input_type
class AuditLogFilter(Input):
    """Which changes to list; every condition given must hold."""

    object_types: list[str] | None = None
    """Of objects of any of these GraphQL types."""
    object_id: strawberry.ID | None = None
    """Of this object."""
    actor_id: strawberry.ID | None = None
    """By this person or API key."""
    actions: list[AuditAction] | None = None
    """Of any of these kinds."""
    occurred_at: DateTimeRangeInput | None = None
    """Made in this range."""


@query_fields
class ChangeQueries:
    """The field of Query that reads the log."""

    audit_log: Connection[AuditLogEntry] | None = connection(loaders.changes, filter=AuditLogFilter, admins_only=True)
    """Every recorded change, latest first; platform admins only."""
