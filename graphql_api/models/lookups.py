"""Tables of permitted values, which other tables refer to by foreign key."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api import enums
from graphql_api.models.base import Model

ORGANISATION_TYPES = (*enums.OrganisationType, "nhs")
"""Types of organisation that rows may hold; the last only in old rows."""


class KeyType(Model):
    """A type of API key: `normal`, `team` or `test`."""

    __tablename__ = "key_types"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)


class JobStatus(Model):
    """A status of a job."""

    __tablename__ = "job_status"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)


class NotificationStatusType(Model):
    """A status of a message."""

    __tablename__ = "notification_status_types"

    name: Mapped[str] = mapped_column(primary_key=True)


class AuthType(Model):
    """A second factor of sign-in."""

    __tablename__ = "auth_type"

    name: Mapped[str] = mapped_column(primary_key=True)


class OrganisationType(Model):
    """A type of organisation, and whether it is a Crown body (null: varies)."""

    __tablename__ = "organisation_types"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    is_crown: Mapped[bool | None]


class ServiceFeatureType(Model):
    """A feature of services."""

    __tablename__ = "service_permission_types"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)


class InviteStatusType(Model):
    """A status of an invitation to an organisation."""

    __tablename__ = "invite_status_type"

    name: Mapped[str] = mapped_column(primary_key=True)


class WebhookType(Model):
    """A type of event that webhooks are called for."""

    __tablename__ = "service_callback_type"

    name: Mapped[str] = mapped_column(primary_key=True)


class BrandingType(Model):
    """A layout of an email brand: its logo alone, beside the crown, or in a banner."""

    __tablename__ = "branding_type"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
