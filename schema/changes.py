"""The log of administrative changes: what GraphQL says of an entry, in its own words rather than the tables'."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import strawberry

from graphql_api import models
from graphql_api.enums import (
    AuditAction,
    AuthType,
    Channel,
    KeyType,
    LetterLanguages,
    OrganisationFeature,
    OrganisationPermission,
    OrganisationType,
    Postage,
    ServiceFeature,
    ServicePermission,
    UserState,
    Word,
)
from loaders import changes as loaders
from schema.core import (
    JSON,
    Connection,
    Entity,
    Info,
    Input,
    Node,
    column,
    computed,
    edge,
    either,
    entities,
    entity,
    input_type,
    plain,
    root,
)
from schema.jobs import Actor
from schema.ranges import DateTimeRangeInput

FIELDS = {
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
"""Fields that are called otherwise than their columns."""


def _word(words: type[Word]) -> Callable[[Any], Any]:
    names = {word.value: word.name for word in words}
    return lambda value: names.get(value, value)


def _instant(value: str) -> str:
    return f"{value}Z"


VALUES: Mapping[str, Callable[[Any], Any]] = {
    "api_key_lifetimes.expires_at": _instant,
    "api_key_lifetimes.revoked_at": _instant,
    "api_keys.expiry_date": _instant,
    "api_keys.key_type": _word(KeyType),
    "invited_users.auth_type": _word(AuthType),
    "organisation.agreement_signed_at": _instant,
    "organisation.organisation_type": _word(OrganisationType),
    "organisation_permissions.permission": _word(OrganisationFeature),
    "organisation_user_permissions.permission": _word(OrganisationPermission),
    "permissions.permission": _word(ServicePermission),
    "provider_details.notification_type": _word(Channel),
    "service_data_retention.notification_type": _word(Channel),
    "service_permissions.permission": _word(ServiceFeature),
    "services.go_live_at": _instant,
    "services.organisation_type": _word(OrganisationType),
    "template_email_files.archived_at": _instant,
    "templates.letter_languages": _word(LetterLanguages),
    "templates.postage": _word(Postage),
    "templates.template_type": _word(Channel),
    "users.auth_type": _word(AuthType),
    "users.state": _word(UserState),
}
"""Values that are written otherwise than in the tables."""


@plain
class FieldChange:
    """One field before and after a change; secrets and message content are left out."""

    field: str
    """Name of the field."""
    before: JSON | None
    """Value before; null for a new object."""
    after: JSON | None
    """Value after; null for a removed object."""


def _camel(name: str) -> str:
    first, *others = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in others)


def _changes(table: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[FieldChange]:
    was, is_now = before or {}, after or {}

    def shown(name: str, value: Any) -> Any:
        return value if value is None else VALUES.get(f"{table}.{name}", lambda same: same)(value)

    fields = {name: FIELDS.get(f"{table}.{name}", _camel(name)) for name in (*was, *is_now)}
    return [
        FieldChange(field=field, before=shown(name, was.get(name)), after=shown(name, is_now.get(name)))
        for name, field in sorted(fields.items(), key=lambda one: one[1])
    ]


@entity(models.Change)
class AuditLogEntry(Entity):
    """One recorded change."""

    id: strawberry.ID
    """UUID of the row; not for `node(id:)`."""
    occurred_at: datetime
    """When."""
    action: AuditAction = column(models.Change.operation)
    """What was done."""
    object_type: str = computed(models.Change.table_name, via=loaders.OBJECTS.__getitem__)
    """GraphQL type of what was changed."""
    object_id: strawberry.ID = column(models.Change.row_id)
    """UUID of what was changed; of a membership, the person's."""
    actor: Actor | None = either(loaders.actor_user, loaders.actor_api_key)
    """Who did it."""
    request_id: str | None
    """Request it happened in, as in logs and INTERNAL errors."""
    changes: list[FieldChange] = computed(
        models.Change.table_name, models.Change.before, models.Change.after, via=_changes
    )
    """Fields that differ."""

    @strawberry.field(description="The thing itself; null when it is gone or the caller may not see it.")
    async def object(self, info: Info) -> Node | None:
        """The object, where there is one with a row of its own."""
        kinds = {kind.__strawberry_definition__.name: kind for kind in entities().values() if issubclass(kind, Node)}  # type: ignore[attr-defined]
        kind = kinds.get(loaders.OBJECTS[self.row.table_name])
        return await kind.read(info.context, self.row.row_id) if kind else None


@input_type
class AuditLogFilter(Input):
    """Which changes to list; every condition given must hold."""

    object_types: list[str] | None = None
    """To any of these GraphQL types."""
    object_id: strawberry.ID | None = None
    """To this object."""
    actor_id: strawberry.ID | None = None
    """By this person or key."""
    actions: list[AuditAction] | None = None
    """Any of these."""
    occurred_at: DateTimeRangeInput | None = None
    """Made in this time."""


@root
class ChangeQueries:
    """The part of Query that reads the log."""

    audit_log: Connection[AuditLogEntry] | None = edge(loaders.changes, filter=AuditLogFilter, admins_only=True)
    """Every recorded change, latest first; platform admins only."""
