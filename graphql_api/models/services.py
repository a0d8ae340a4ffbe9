"""Services: teams that send messages, their history, features and limits."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, false, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Dated, HistoryOf, Identified, Model, Versioned, utcnow
from graphql_api.models.lookups import ORGANISATION_TYPES
from graphql_api.models.types import notification_type, recipient_type

if TYPE_CHECKING:
    from graphql_api.models.api_keys import ApiKey
    from graphql_api.models.billing import AnnualBilling
    from graphql_api.models.branding import EmailBranding, LetterBranding
    from graphql_api.models.contact_lists import ContactList
    from graphql_api.models.invitations import InvitedUser
    from graphql_api.models.jobs import Job
    from graphql_api.models.memberships import ServiceMemberPermission, ServiceMembership
    from graphql_api.models.notifications import Notification
    from graphql_api.models.organisations import Organisation
    from graphql_api.models.senders import EmailReplyToAddress, InboundNumber, LetterContact, SmsSender
    from graphql_api.models.templates import Template, TemplateFolder
    from graphql_api.models.users import User


class ServiceColumns(Dated):
    """Columns of a service and of its history."""

    name: Mapped[str] = mapped_column(String(255))
    normalised_service_name: Mapped[str]
    active: Mapped[bool] = mapped_column(default=True)
    # Whether it is in trial mode.
    restricted: Mapped[bool] = mapped_column(default=True)
    created_by_id: Mapped[UUID]
    organisation_id: Mapped[UUID | None]
    organisation_type: Mapped[str | None] = mapped_column(String(255))
    crown: Mapped[bool | None]
    count_as_live: Mapped[bool] = mapped_column(default=True, server_default=true())
    go_live_at: Mapped[datetime | None]
    go_live_user_id: Mapped[UUID | None]
    has_active_go_live_request: Mapped[bool] = mapped_column(default=False)
    # Messages a minute, per type of key.
    rate_limit: Mapped[int] = mapped_column(default=3000)
    # Messages a day.
    email_message_limit: Mapped[int] = mapped_column(BigInteger)
    sms_message_limit: Mapped[int] = mapped_column(BigInteger)
    letter_message_limit: Mapped[int] = mapped_column(BigInteger)
    international_sms_message_limit: Mapped[int] = mapped_column(BigInteger, server_default=text("'250000'::bigint"))
    prefix_sms: Mapped[bool] = mapped_column(default=True)
    email_sender_local_part: Mapped[str] = mapped_column(String(255))
    custom_email_sender_name: Mapped[str | None] = mapped_column(String(255))
    confirmed_email_sender_name: Mapped[bool | None]
    confirmed_unique: Mapped[bool] = mapped_column(default=False, server_default=false())
    contact_link: Mapped[str | None] = mapped_column(String(255))
    consent_to_research: Mapped[bool | None]
    volume_email: Mapped[int | None]
    volume_letter: Mapped[int | None]
    volume_sms: Mapped[int | None]
    notes: Mapped[str | None] = mapped_column(Text)
    purchase_order_number: Mapped[str | None] = mapped_column(String(255))
    billing_contact_names: Mapped[str | None] = mapped_column(Text)
    billing_contact_email_addresses: Mapped[str | None] = mapped_column(Text)
    billing_reference: Mapped[str | None] = mapped_column(String(255))


class ServiceHistory(HistoryOf, ServiceColumns, Model):
    """A version of a service, the current one included."""

    __tablename__ = "services_history"


class Service(Identified, Versioned, ServiceColumns, Model):
    """A team that sends messages."""

    __tablename__ = "services"
    __table_args__ = (
        Index("ix_services_organisation_id_name", "organisation_id", "name"),
        Index("ix_services_organisation_id_created_at_id", "organisation_id", "created_at", "id"),
        Index("ix_services_organisation_id_go_live_at_id", "organisation_id", "go_live_at", "id"),
        Index("ix_services_created_at_id", "created_at", "id"),
        Index("ix_services_go_live_at_id", "go_live_at", "id"),
    )

    name: Mapped[str] = mapped_column(String(255), unique=True)
    # The name as by `content.names.local_part`.
    normalised_service_name: Mapped[str] = mapped_column(unique=True)
    created_by_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", name="fk_services_created_by_id"), index=True)
    organisation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("organisation.id", name="fk_service_organisation"), index=True
    )
    organisation_type: Mapped[str | None] = mapped_column(
        String(255), ForeignKey("organisation_types.name"), info={"words": ORGANISATION_TYPES}
    )
    go_live_user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", name="fk_services_go_live_user"))

    organisation: Mapped[Organisation | None] = relationship(back_populates="services", lazy="raise")
    created_by: Mapped[User] = relationship(foreign_keys=[created_by_id], lazy="raise")
    go_live_user: Mapped[User | None] = relationship(foreign_keys=[go_live_user_id], lazy="raise")
    features: Mapped[list[ServiceFeature]] = relationship(back_populates="service", lazy="raise")
    memberships: Mapped[list[ServiceMembership]] = relationship(back_populates="service", lazy="raise")
    member_permissions: Mapped[list[ServiceMemberPermission]] = relationship(back_populates="service", lazy="raise")
    invited_users: Mapped[list[InvitedUser]] = relationship(back_populates="service", lazy="raise")
    api_keys: Mapped[list[ApiKey]] = relationship(back_populates="service", lazy="raise")
    templates: Mapped[list[Template]] = relationship(back_populates="service", lazy="raise")
    template_folders: Mapped[list[TemplateFolder]] = relationship(back_populates="service", lazy="raise")
    notifications: Mapped[list[Notification]] = relationship(back_populates="service", lazy="raise")
    jobs: Mapped[list[Job]] = relationship(back_populates="service", lazy="raise")
    contact_lists: Mapped[list[ContactList]] = relationship(back_populates="service", lazy="raise")
    sms_senders: Mapped[list[SmsSender]] = relationship(back_populates="service", lazy="raise")
    email_reply_to_addresses: Mapped[list[EmailReplyToAddress]] = relationship(back_populates="service", lazy="raise")
    letter_contacts: Mapped[list[LetterContact]] = relationship(back_populates="service", lazy="raise")
    inbound_number: Mapped[InboundNumber | None] = relationship(back_populates="service", lazy="raise")
    guest_list: Mapped[list[GuestListEntry]] = relationship(back_populates="service", lazy="raise")
    data_retention: Mapped[list[DataRetention]] = relationship(back_populates="service", lazy="raise")
    annual_billing: Mapped[list[AnnualBilling]] = relationship(back_populates="service", lazy="raise")
    email_branding: Mapped[EmailBranding | None] = relationship(
        secondary="service_email_branding", uselist=False, viewonly=True, lazy="raise"
    )
    letter_branding: Mapped[LetterBranding | None] = relationship(
        secondary="service_letter_branding", uselist=False, viewonly=True, lazy="raise"
    )
    versions: Mapped[list[ServiceHistory]] = relationship(
        primaryjoin="Service.id == foreign(ServiceHistory.id)",
        order_by="ServiceHistory.version",
        viewonly=True,
        lazy="raise",
    )

    def snapshot(self) -> ServiceHistory:
        """The history row of the current version, to be added with it."""
        return self._copy_to(ServiceHistory)


class ServiceFeature(Created, Model):
    """A feature of a service: a channel, international messages, sign-in by email ..."""

    __tablename__ = "service_permissions"

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), primary_key=True, index=True)
    permission: Mapped[str] = mapped_column(
        String(255), ForeignKey("service_permission_types.name"), primary_key=True, index=True
    )

    service: Mapped[Service] = relationship(back_populates="features", lazy="raise")


class GuestListEntry(Identified, Model):
    """A recipient, besides the members, of a service in trial mode and of team keys."""

    __tablename__ = "service_whitelist"

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    recipient_type: Mapped[str] = mapped_column(recipient_type)
    recipient: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime | None] = mapped_column(default=utcnow)

    service: Mapped[Service] = relationship(back_populates="guest_list", lazy="raise")


class DataRetention(Identified, Dated, Model):
    """The retention period of a service's messages of a channel, in days, where it is not seven."""

    __tablename__ = "service_data_retention"
    __table_args__ = (UniqueConstraint("service_id", "notification_type", name="uix_service_data_retention"),)

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    notification_type: Mapped[str] = mapped_column(notification_type)
    days_of_retention: Mapped[int]

    service: Mapped[Service] = relationship(back_populates="data_retention", lazy="raise")
