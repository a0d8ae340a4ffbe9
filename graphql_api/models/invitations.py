"""Invitations to services and organisations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Identified, Model
from graphql_api.models.types import invited_users_status_types

if TYPE_CHECKING:
    from graphql_api.models.organisations import Organisation
    from graphql_api.models.services import Service
    from graphql_api.models.users import User


class InvitedUser(Identified, Created, Model):
    """An invitation to join a service."""

    __tablename__ = "invited_users"

    email_address: Mapped[str] = mapped_column(String(255))
    # The inviter.
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    service_id: Mapped[UUID | None] = mapped_column(ForeignKey("services.id"), index=True)
    status: Mapped[str] = mapped_column(invited_users_status_types, default="pending")
    # Names of permissions, separated by commas.
    permissions: Mapped[str]
    auth_type: Mapped[str] = mapped_column(
        ForeignKey("auth_type.name"), index=True, default="sms_auth", server_default="sms_auth"
    )
    # Ids of folders, as strings.
    folder_permissions: Mapped[list[Any]] = mapped_column(JSONB, default=list)

    service: Mapped[Service | None] = relationship(back_populates="invited_users", lazy="raise")
    user: Mapped[User] = relationship(lazy="raise")


class InvitedOrganisationUser(Identified, Created, Model):
    """An invitation to join an organisation."""

    __tablename__ = "invited_organisation_users"

    email_address: Mapped[str] = mapped_column(String(255))
    # The inviter.
    invited_by_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    status: Mapped[str] = mapped_column(ForeignKey("invite_status_type.name"), default="pending")
    # Names of permissions, separated by commas.
    permissions: Mapped[str]

    invited_by: Mapped[User] = relationship(lazy="raise")
    organisation: Mapped[Organisation] = relationship(lazy="raise")
