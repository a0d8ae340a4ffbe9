"""The log of administrative changes: author, time, and values before and after."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.api_keys import ApiKey
from graphql_api.models.base import Identified, Model
from graphql_api.models.users import User

LOGGED_TABLES = frozenset(
    {
        "annual_billing",
        "api_key_lifetimes",
        "api_keys",
        "domain",
        "email_branding",
        "email_branding_to_organisation",
        "inbound_numbers",
        "invited_organisation_users",
        "invited_users",
        "letter_branding",
        "letter_branding_to_organisation",
        "organisation",
        "organisation_permissions",
        "organisation_user_permissions",
        "permissions",
        "provider_details",
        "service_callback_api",
        "service_data_retention",
        "service_email_branding",
        "service_email_reply_to",
        "service_join_requests",
        "service_letter_branding",
        "service_letter_contacts",
        "service_permissions",
        "service_sms_senders",
        "service_whitelist",
        "services",
        "template_email_files",
        "template_folder",
        "template_folder_map",
        "template_redacted",
        "templates",
        "user_folder_permissions",
        "user_to_organisation",
        "user_to_service",
        "users",
        "webauthn_credential",
    }
)
"""Tables whose changes are logged."""


class Change(Identified, Model):
    """A change of a row, inserted by the trigger `log_change` of its table; never updated or deleted.

    It has no foreign keys, so that logged rows can be deleted. A change without an actor was made by the system or by
    another program.
    """

    __tablename__ = "change_log"
    __table_args__ = (
        CheckConstraint("operation IN ('insert', 'update', 'delete')", name="ck_change_log_operation"),
        Index("ix_change_log_occurred_at_id", "occurred_at", "id"),
        Index("ix_change_log_row_id_occurred_at_id", "row_id", "occurred_at", "id"),
        Index(
            "ix_change_log_service_id_occurred_at_id",
            "service_id",
            "occurred_at",
            "id",
            postgresql_where=text("service_id IS NOT NULL"),
        ),
        Index(
            "ix_change_log_organisation_id_occurred_at_id",
            "organisation_id",
            "occurred_at",
            "id",
            postgresql_where=text("organisation_id IS NOT NULL"),
        ),
    )

    occurred_at: Mapped[datetime]
    # Of the entity with this id: inserting a row that belongs to it is an update.
    operation: Mapped[str] = mapped_column(Text)
    table_name: Mapped[str] = mapped_column(Text)
    row_id: Mapped[UUID]
    service_id: Mapped[UUID | None]
    organisation_id: Mapped[UUID | None]
    # Changed columns; a column that is null in both has changed, but its values are not logged.
    before: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    after: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    actor_user_id: Mapped[UUID | None]
    actor_api_key_id: Mapped[UUID | None]
    request_id: Mapped[str | None] = mapped_column(Text)

    actor_user: Mapped[User | None] = relationship(
        primaryjoin="foreign(Change.actor_user_id) == User.id", viewonly=True, lazy="raise"
    )
    actor_api_key: Mapped[ApiKey | None] = relationship(
        primaryjoin="foreign(Change.actor_api_key_id) == ApiKey.id", viewonly=True, lazy="raise"
    )
