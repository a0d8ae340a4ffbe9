"""Reads of the log of administrative changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Text, Uuid, any_, bindparam, func
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api.models import Change
from loaders.core import AnyOf, Equals, Filter, Page, Shown, Within, by, one, pages
from loaders.core.filters import uuid_or_none

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECTS = {
    "annual_billing": "Service",
    "api_key_lifetimes": "ApiKey",
    "api_keys": "ApiKey",
    "domain": "Organisation",
    "email_branding": "EmailBranding",
    "email_branding_to_organisation": "Organisation",
    "inbound_numbers": "InboundNumber",
    "invited_organisation_users": "Invitation",
    "invited_users": "Invitation",
    "letter_branding": "LetterBranding",
    "letter_branding_to_organisation": "Organisation",
    "organisation": "Organisation",
    "organisation_permissions": "Organisation",
    "organisation_user_permissions": "OrganisationMembership",
    "permissions": "ServiceMembership",
    "provider_details": "ProviderDetails",
    "service_callback_api": "Webhook",
    "service_data_retention": "DataRetention",
    "service_email_branding": "Service",
    "service_email_reply_to": "EmailReplyToAddress",
    "service_join_requests": "JoinRequest",
    "service_letter_branding": "Service",
    "service_letter_contacts": "LetterContact",
    "service_permissions": "Service",
    "service_sms_senders": "SmsSender",
    "service_whitelist": "Service",
    "services": "Service",
    "template_email_files": "TemplateEmailFile",
    "template_folder": "TemplateFolder",
    "template_folder_map": "Template",
    "template_redacted": "Template",
    "templates": "Template",
    "user_folder_permissions": "ServiceMembership",
    "user_to_organisation": "OrganisationMembership",
    "user_to_service": "ServiceMembership",
    "users": "User",
    "webauthn_credential": "User",
}
"""What a row of each table is, or is part of."""


def _tables_of(objects: Sequence[str]) -> list[str]:
    return [table for table, kind in OBJECTS.items() if kind in objects]


FILTERS: dict[str, Filter] = {
    "object_types": Shown(lambda name: Change.table_name == any_(bindparam(name, type_=ARRAY(Text()))), _tables_of),
    "object_id": Equals(Change.row_id),
    "actor_id": Shown(
        lambda name: func.coalesce(Change.actor_user_id, Change.actor_api_key_id) == bindparam(name, type_=Uuid()),
        uuid_or_none,
    ),
    "actions": AnyOf(Change.operation),
    "occurred_at": Within(Change.occurred_at),
}
_latest = by(Change.occurred_at, Change.id, descending=True)

changes = pages(Change, _latest, filters=FILTERS, bulk=True)
of_service = Page(Change, Change.service_id, "id", _latest, filters=FILTERS, bulk=True)
of_organisation = Page(Change, Change.organisation_id, "id", _latest, filters=FILTERS, bulk=True)
actor_user = one(Change.actor_user)
actor_api_key = one(Change.actor_api_key)
