"""Brands of emails and letters, and the services and organisations that use them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, PrimaryKeyConstraint, String, UniqueConstraint, true
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Identified, Model, utcnow


class EmailBranding(Identified, Model):
    """A logo, a colour and a text at the top of emails."""

    __tablename__ = "email_branding"
    __table_args__ = (
        UniqueConstraint("name", name="uq_email_branding_name"),
        CheckConstraint(
            "(text IS NOT NULL AND alt_text IS NULL) OR (text IS NULL AND alt_text IS NOT NULL)",
            name="ck_email_branding_one_of_alt_text_or_text_is_null",
        ),
    )

    name: Mapped[str] = mapped_column(String(255))
    colour: Mapped[str | None] = mapped_column(String(7))
    logo: Mapped[str | None] = mapped_column(String(255))
    text: Mapped[str | None] = mapped_column(String(255))
    alt_text: Mapped[str | None] = mapped_column(String(255))
    brand_type: Mapped[str] = mapped_column(String(255), ForeignKey("branding_type.name"), index=True, default="org")
    active: Mapped[bool] = mapped_column(default=True, server_default=true())
    created_at: Mapped[datetime | None] = mapped_column(default=utcnow)
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", name="email_branding_created_by_id_fkey"))
    updated_at: Mapped[datetime | None] = mapped_column(onupdate=utcnow)
    updated_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", name="email_branding_updated_by_id_fkey"))


class LetterBranding(Identified, Model):
    """A logo at the top of letters."""

    __tablename__ = "letter_branding"

    name: Mapped[str] = mapped_column(String(255), unique=True)
    filename: Mapped[str] = mapped_column(String(255), unique=True)
    created_at: Mapped[datetime | None] = mapped_column(default=utcnow)
    created_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    updated_at: Mapped[datetime | None] = mapped_column(onupdate=utcnow)
    updated_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))


class ServiceEmailBranding(Model):
    """The email brand of a service."""

    __tablename__ = "service_email_branding"
    __table_args__ = (PrimaryKeyConstraint("service_id", name="uix_service_email_branding_one_per_service"),)

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"))
    email_branding_id: Mapped[UUID] = mapped_column(ForeignKey("email_branding.id"))


class ServiceLetterBranding(Model):
    """The letter brand of a service."""

    __tablename__ = "service_letter_branding"

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), primary_key=True)
    letter_branding_id: Mapped[UUID] = mapped_column(ForeignKey("letter_branding.id"))


class OrganisationEmailBranding(Model):
    """An email brand that the services of an organisation may choose."""

    __tablename__ = "email_branding_to_organisation"
    __table_args__ = (
        PrimaryKeyConstraint("organisation_id", "email_branding_id", name="uix_email_branding_to_organisation"),
    )

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"))
    email_branding_id: Mapped[UUID] = mapped_column(ForeignKey("email_branding.id"))


class OrganisationLetterBranding(Model):
    """A letter brand that the services of an organisation may choose."""

    __tablename__ = "letter_branding_to_organisation"

    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    letter_branding_id: Mapped[UUID] = mapped_column(ForeignKey("letter_branding.id"), primary_key=True)
