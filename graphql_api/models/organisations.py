"""Organisations, their domains, features and members."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Dated, Identified, Model
from graphql_api.models.lookups import ORGANISATION_TYPES
from graphql_api.models.types import organisation_permission_types, organisation_user_permission_types

if TYPE_CHECKING:
    from graphql_api.models.branding import EmailBranding, LetterBranding
    from graphql_api.models.services import Service
    from graphql_api.models.users import User


class Organisation(Identified, Dated, Model):
    """A public body that owns services."""

    __tablename__ = "organisation"
    __table_args__ = (
        Index("ix_organisation_name", "name", unique=True),
        Index("ix_organisation_created_at_id", "created_at", "id"),
    )

    name: Mapped[str] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    crown: Mapped[bool | None]
    organisation_type: Mapped[str | None] = mapped_column(
        String(255), ForeignKey("organisation_types.name"), info={"words": ORGANISATION_TYPES}
    )
    email_branding_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("email_branding.id", name="fk_organisation_email_branding_id")
    )
    letter_branding_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("letter_branding.id", name="fk_organisation_letter_branding_id")
    )
    agreement_signed: Mapped[bool | None]
    agreement_signed_at: Mapped[datetime | None]
    agreement_signed_by_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("users.id", name="fk_organisation_agreement_user_id")
    )
    agreement_signed_version: Mapped[float | None]
    agreement_signed_on_behalf_of_name: Mapped[str | None] = mapped_column(String(255))
    agreement_signed_on_behalf_of_email_address: Mapped[str | None] = mapped_column(String(255))
    request_to_go_live_notes: Mapped[str | None] = mapped_column(Text)
    can_approve_own_go_live_requests: Mapped[bool] = mapped_column(default=False)
    notes: Mapped[str | None] = mapped_column(Text)
    purchase_order_number: Mapped[str | None] = mapped_column(String(255))
    billing_contact_names: Mapped[str | None] = mapped_column(Text)
    billing_contact_email_addresses: Mapped[str | None] = mapped_column(Text)
    billing_reference: Mapped[str | None] = mapped_column(String(255))

    services: Mapped[list[Service]] = relationship(back_populates="organisation", lazy="raise")
    domains: Mapped[list[OrganisationDomain]] = relationship(back_populates="organisation", lazy="raise")
    features: Mapped[list[OrganisationFeature]] = relationship(back_populates="organisation", lazy="raise")
    memberships: Mapped[list[OrganisationMembership]] = relationship(back_populates="organisation", lazy="raise")
    agreement_signed_by: Mapped[User | None] = relationship(lazy="raise")
    email_branding: Mapped[EmailBranding | None] = relationship(lazy="raise")
    letter_branding: Mapped[LetterBranding | None] = relationship(lazy="raise")


class OrganisationDomain(Model):
    """An email domain of an organisation."""

    __tablename__ = "domain"

    domain: Mapped[str] = mapped_column(String(255), primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))

    organisation: Mapped[Organisation] = relationship(back_populates="domains", lazy="raise")


class OrganisationFeature(Identified, Created, Model):
    """A feature of an organisation, such as that its users may ask to join services."""

    __tablename__ = "organisation_permissions"
    __table_args__ = (UniqueConstraint("organisation_id", "permission", name="uix_organisation_permission"),)

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    permission: Mapped[str] = mapped_column(organisation_permission_types)

    organisation: Mapped[Organisation] = relationship(back_populates="features", lazy="raise")


class OrganisationMembership(Model):
    """A user's membership of an organisation.

    The table has no primary key, and its columns may be null; such rows are ignored.
    """

    __tablename__ = "user_to_organisation"
    __table_args__ = (UniqueConstraint("user_id", "organisation_id", name="uix_user_to_organisation"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), nullable=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), nullable=True)

    __mapper_args__ = {"primary_key": [user_id, organisation_id]}  # noqa: RUF012 - read once by the mapper

    user: Mapped[User] = relationship(back_populates="organisation_memberships", lazy="raise")
    organisation: Mapped[Organisation] = relationship(back_populates="memberships", lazy="raise")
    permissions: Mapped[list[OrganisationMemberPermission]] = relationship(
        primaryjoin="""and_(
            OrganisationMembership.user_id == foreign(OrganisationMemberPermission.user_id),
            OrganisationMembership.organisation_id == foreign(OrganisationMemberPermission.organisation_id),
        )""",
        viewonly=True,
        lazy="raise",
    )


class OrganisationMemberPermission(Identified, Created, Model):
    """A permission of a user in an organisation."""

    __tablename__ = "organisation_user_permissions"
    __table_args__ = (
        UniqueConstraint("organisation_id", "user_id", "permission", name="uix_organisation_user_permission"),
    )

    organisation_id: Mapped[UUID | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    permission: Mapped[str | None] = mapped_column(organisation_user_permission_types, index=True)
