"""Tables of permitted words, which other tables refer to by foreign key."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api import enums
from graphql_api.models.base import Model

ORGANISATION_TYPES = (*enums.OrganisationType, "nhs")
"""Every sector that a row may hold; the last is one of old rows only."""


class KeyType(Model):
    """What a key may do: `normal`, `team` or `test`."""

    __tablename__ = "key_types"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)


class JobStatus(Model):
    """Where a job is between upload and its last message."""

    __tablename__ = "job_status"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)


class NotificationStatusType(Model):
    """Where a message is between creation and its last receipt."""

    __tablename__ = "notification_status_types"

    name: Mapped[str] = mapped_column(primary_key=True)


class AuthType(Model):
    """The second step of signing in."""

    __tablename__ = "auth_type"

    name: Mapped[str] = mapped_column(primary_key=True)


class OrganisationType(Model):
    """A sector of the public service, and whether it belongs to the Crown (null: it depends)."""

    __tablename__ = "organisation_types"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    is_crown: Mapped[bool | None]


class ServiceFeatureType(Model):
    """Something that a service can be allowed to do."""

    __tablename__ = "service_permission_types"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)


class InviteStatusType(Model):
    """Where an invitation to an organisation stands."""

    __tablename__ = "invite_status_type"

    name: Mapped[str] = mapped_column(primary_key=True)


class WebhookType(Model):
    """A kind of event that a webhook is told of."""

    __tablename__ = "service_callback_type"

    name: Mapped[str] = mapped_column(primary_key=True)


class BrandingType(Model):
    """How an email brand is drawn: its logo alone, beside the crown, or in a banner."""

    __tablename__ = "branding_type"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
