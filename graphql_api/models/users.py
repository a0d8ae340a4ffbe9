"""Users and their means of authentication."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Dated, Identified, Model, utcnow
from graphql_api.models.types import verify_code_types

if TYPE_CHECKING:
    from graphql_api.models.memberships import ServiceMemberPermission, ServiceMembership
    from graphql_api.models.organisations import OrganisationMembership


class User(Identified, Dated, Model):
    """A user account."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(
            "auth_type IN ('email_auth', 'webauthn_auth') OR mobile_number IS NOT NULL",
            name="ck_user_has_mobile_or_other_auth",
        ),
        Index("ix_users_email_address", "email_address", unique=True),
        Index("ix_users_name_id", "name", "id"),
        Index("ix_users_created_at_id", "created_at", "id"),
    )

    name: Mapped[str]
    email_address: Mapped[str] = mapped_column(String(255))
    mobile_number: Mapped[str | None]
    # A hash, bcrypt if Notify wrote it. Deferred: loaded only on request.
    password: Mapped[str] = mapped_column("_password", deferred=True)
    password_changed_at: Mapped[datetime] = mapped_column(default=utcnow)
    state: Mapped[str] = mapped_column(default="pending")
    auth_type: Mapped[str] = mapped_column(ForeignKey("auth_type.name"), default="sms_auth", server_default="sms_auth")
    platform_admin: Mapped[bool] = mapped_column(default=False)
    logged_in_at: Mapped[datetime | None]
    failed_login_count: Mapped[int] = mapped_column(default=0)
    # The only valid session.
    current_session_id: Mapped[UUID | None]
    email_access_validated_at: Mapped[datetime] = mapped_column(default=utcnow)
    take_part_in_research: Mapped[bool] = mapped_column(default=True, server_default=true())
    receives_new_features_email: Mapped[bool] = mapped_column(default=True, server_default=true())

    service_memberships: Mapped[list[ServiceMembership]] = relationship(back_populates="user", lazy="raise")
    organisation_memberships: Mapped[list[OrganisationMembership]] = relationship(back_populates="user", lazy="raise")
    service_permissions: Mapped[list[ServiceMemberPermission]] = relationship(back_populates="user", lazy="raise")
    sessions: Mapped[list[Session]] = relationship(back_populates="user", lazy="raise")
    security_keys: Mapped[list[SecurityKey]] = relationship(back_populates="user", lazy="raise")
    verify_codes: Mapped[list[VerifyCode]] = relationship(back_populates="user", lazy="raise")


class VerifyCode(Identified, Created, Model):
    """A code sent to a user to verify an email address or a phone number."""

    __tablename__ = "verify_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    # A hash of the five digits.
    code: Mapped[str] = mapped_column("_code")
    code_type: Mapped[str] = mapped_column(verify_code_types)
    expiry_datetime: Mapped[datetime]
    code_used: Mapped[bool | None] = mapped_column(default=False)

    user: Mapped[User] = relationship(back_populates="verify_codes", lazy="raise")


class SecurityKey(Identified, Dated, Model):
    """A WebAuthn security key of a user."""

    __tablename__ = "webauthn_credential"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str]
    # Both in base64: the credential data, and the response of the registration.
    credential_data: Mapped[str]
    registration_response: Mapped[str]
    logged_in_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(back_populates="security_keys", lazy="raise")


class Session(Created, Model):
    """A sign-in of a user: valid while its id is the user's `current_session_id`, and until it expires."""

    __tablename__ = "sessions"

    # Random, so that it cannot be guessed.
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    last_used_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime] = mapped_column(index=True)

    user: Mapped[User] = relationship(back_populates="sessions", lazy="raise")
