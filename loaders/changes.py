"""Reads of the change log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Text, Uuid, any_, bindparam, func
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api.content.values import uuid_or_none
from graphql_api.models import Change
from loaders.core import AnyOf, CustomFilter, Equals, Filter, Page, Within, one, ordered_by, table_page

if TYPE_CHECKING:
    from collections.abc import Sequence

OBJECT_TYPES = {
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
"""The GraphQL type of a row of each table, or of the object that the row is part of."""


def _tables_of_types(object_types: Sequence[str]) -> list[str]:
    return [table for table, kind in OBJECT_TYPES.items() if kind in object_types]


FILTERS: dict[str, Filter] = {
    "object_types": CustomFilter(
        lambda name: Change.table_name == any_(bindparam(name, type_=ARRAY(Text()))), _tables_of_types
    ),
    "object_id": Equals(Change.row_id),
    "actor_id": CustomFilter(
        lambda name: func.coalesce(Change.actor_user_id, Change.actor_api_key_id) == bindparam(name, type_=Uuid()),
        uuid_or_none,
    ),
    "actions": AnyOf(Change.operation),
    "occurred_at": Within(Change.occurred_at),
}
_latest_first = ordered_by(Change.occurred_at, Change.id, descending=True)

changes = table_page(Change, _latest_first, filters=FILTERS, bulk=True)
of_service = Page(Change, Change.service_id, "id", _latest_first, filters=FILTERS, bulk=True)
of_organisation = Page(Change, Change.organisation_id, "id", _latest_first, filters=FILTERS, bulk=True)
actor_user = one(Change.actor_user)
actor_api_key = one(Change.actor_api_key)
