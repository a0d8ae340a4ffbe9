"""Messages: within the retention period, after it, and a view of both."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.enums import NotificationStatus
from graphql_api.models.base import Created, Identified, Model, utcnow
from graphql_api.models.types import notification_type

if TYPE_CHECKING:
    from graphql_api.models.api_keys import ApiKey
    from graphql_api.models.jobs import Job
    from graphql_api.models.services import Service
    from graphql_api.models.templates import Template, TemplateHistory
    from graphql_api.models.users import User

NOTIFICATION_STATUSES = (*NotificationStatus, "failed")
"""Statuses that rows may hold; the last only in old rows."""


class NotificationColumns:
    """Columns of a message that are not erased."""

    created_at: Mapped[datetime] = mapped_column(default=utcnow, index=True)
    # Time of the last change of status.
    updated_at: Mapped[datetime | None] = mapped_column(onupdate=utcnow)
    template_version: Mapped[int]
    job_row_number: Mapped[int | None]
    notification_type: Mapped[str] = mapped_column(notification_type)
    sent_at: Mapped[datetime | None]
    sent_by: Mapped[str | None]
    billable_units: Mapped[int] = mapped_column(default=0)
    client_reference: Mapped[str | None]
    international: Mapped[bool | None] = mapped_column(default=False)
    phone_prefix: Mapped[str | None]
    rate_multiplier: Mapped[Decimal | None]
    postage: Mapped[str | None]
    document_download_count: Mapped[int | None]
    reference: Mapped[str | None] = mapped_column(index=True)


class Notification(Identified, NotificationColumns, Model):
    """A message to one recipient, within its retention period."""

    __tablename__ = "notifications"
    __table_args__ = (
        ForeignKeyConstraint(
            ["template_id", "template_version"],
            ["templates_history.id", "templates_history.version"],
            name="notifications_templates_history_fkey",
        ),
        UniqueConstraint("job_id", "job_row_number", name="uq_notifications_job_row_number"),
        CheckConstraint("notification_status IS NOT NULL", name="ck_notifications_notification_status_not_null"),
        CheckConstraint(
            "notification_type = 'email' OR unsubscribe_link IS NULL",
            name="ck_unsubscribe_link_is_null_if_notification_not_an_email",
        ),
        Index("ix_notifications_id_status", "id", "notification_status", unique=True),
        Index("ix_notifications_service_created_at", "service_id", "created_at"),
        Index("ix_notifications_service_id_ntype_created_at", "service_id", "notification_type", "created_at"),
        Index(
            "ix_notifications_nondelivered_service_id_composite",
            "service_id",
            "notification_type",
            "created_at",
            postgresql_where=text("notification_status <> 'delivered'"),
        ),
        Index("ix_notifications_notification_type_composite", "notification_type", "notification_status", "created_at"),
        Index(
            "ix_notifications_client_reference_trgm",
            "client_reference",
            postgresql_using="gin",
            postgresql_ops={"client_reference": "gin_trgm_ops"},
        ),
        Index(
            "ix_notifications_normalised_to_trgm",
            "normalised_to",
            postgresql_using="gin",
            postgresql_ops={"normalised_to": "gin_trgm_ops"},
        ),
        # For pages in a total order without a sort.
        Index("ix_notifications_service_id_created_at_id", "service_id", "created_at", "id"),
        Index("ix_notifications_template_id_created_at_id", "template_id", "created_at", "id"),
        Index("ix_notifications_job_id_created_at_id", "job_id", "created_at", "id"),
    )

    # As the caller sent it; searches read `normalised_to`.
    to: Mapped[str]
    normalised_to: Mapped[str | None]
    service_id: Mapped[UUID | None] = mapped_column(ForeignKey("services.id"))
    template_id: Mapped[UUID | None] = mapped_column(index=True)
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    api_key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    created_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    key_type: Mapped[str] = mapped_column(String(255), ForeignKey("key_types.name"), default="normal")
    status: Mapped[str] = mapped_column(
        "notification_status",
        Text,
        ForeignKey("notification_status_types.name", name="fk_notifications_notification_status"),
        info={"words": NOTIFICATION_STATUSES},
        default="created",
    )
    client_reference: Mapped[str | None] = mapped_column(index=True)
    # Signed, not encrypted.
    personalisation: Mapped[str | None] = mapped_column("_personalisation")
    reply_to_text: Mapped[str | None]
    unsubscribe_link: Mapped[str | None]

    service: Mapped[Service | None] = relationship(back_populates="notifications", lazy="raise")
    template: Mapped[Template | None] = relationship(
        primaryjoin="foreign(Notification.template_id) == Template.id",
        back_populates="notifications",
        viewonly=True,
        lazy="raise",
    )
    template_as_sent: Mapped[TemplateHistory | None] = relationship(
        primaryjoin="""and_(
            foreign(Notification.template_id) == TemplateHistory.id,
            foreign(Notification.template_version) == TemplateHistory.version,
        )""",
        viewonly=True,
        lazy="raise",
    )
    api_key: Mapped[ApiKey | None] = relationship(back_populates="notifications", lazy="raise")
    created_by: Mapped[User | None] = relationship(lazy="raise")
    job: Mapped[Job | None] = relationship(back_populates="notifications", lazy="raise")


class NotificationHistory(NotificationColumns, Model):
    """A message after its retention period, without recipient and personalisation."""

    __tablename__ = "notification_history"
    __table_args__ = (
        ForeignKeyConstraint(
            ["template_id", "template_version"],
            ["templates_history.id", "templates_history.version"],
            name="notification_history_templates_history_fkey",
        ),
        Index(
            "ix_notification_history_service_id_composite", "service_id", "key_type", "notification_type", "created_at"
        ),
        # For pages in a total order without a sort.
        Index("ix_notification_history_service_id_created_at_id", "service_id", "created_at", "id"),
        Index("ix_notification_history_template_id_created_at_id", "template_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    service_id: Mapped[UUID | None] = mapped_column(ForeignKey("services.id"), index=True)
    template_id: Mapped[UUID | None]
    job_id: Mapped[UUID | None] = mapped_column(ForeignKey("jobs.id"), index=True)
    api_key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
    created_by_id: Mapped[UUID | None]
    key_type: Mapped[str] = mapped_column(String, ForeignKey("key_types.name"))
    status: Mapped[str | None] = mapped_column(
        "notification_status",
        Text,
        ForeignKey("notification_status_types.name", name="fk_notification_history_notification_status"),
        info={"words": NOTIFICATION_STATUSES},
    )

    service: Mapped[Service | None] = relationship(lazy="raise")
    job: Mapped[Job | None] = relationship(lazy="raise")
    api_key: Mapped[ApiKey | None] = relationship(lazy="raise")


class NotificationAllTime(Model):
    """A read-only view of `notifications` and `notification_history`.

    Between two snapshots a message may move, and be counted twice or never: read both tables in one.
    """

    __tablename__ = "notifications_all_time_view"
    # A view: its migrations are written by hand.
    __table_args__ = {"info": {"view": True}}  # noqa: RUF012 - read once by the mapper

    id: Mapped[UUID] = mapped_column(primary_key=True)
    job_id: Mapped[UUID | None]
    job_row_number: Mapped[int | None]
    service_id: Mapped[UUID | None]
    template_id: Mapped[UUID | None]
    template_version: Mapped[int]
    api_key_id: Mapped[UUID | None]
    key_type: Mapped[str]
    billable_units: Mapped[int]
    notification_type: Mapped[str] = mapped_column(notification_type)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    sent_by: Mapped[str | None]
    updated_at: Mapped[datetime | None]
    status: Mapped[str | None] = mapped_column("notification_status", Text)
    reference: Mapped[str | None]
    client_reference: Mapped[str | None]
    international: Mapped[bool | None]
    phone_prefix: Mapped[str | None]
    rate_multiplier: Mapped[Decimal | None]
    created_by_id: Mapped[UUID | None]
    postage: Mapped[str | None]
    document_download_count: Mapped[int | None]


class Delivery(Created, Model):
    """A message to hand to a provider: its worker, its attempts, and the time of the next one.

    The row is deleted when the message has been handed over.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("attempts >= 0", name="ck_deliveries_attempts"),
        Index("ix_deliveries_next_attempt_at_created_at", "next_attempt_at", "created_at"),
        Index("ix_deliveries_lease_until", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
    )

    # No foreign key: deleting millions of messages would have to check this table.
    notification_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    lease_owner: Mapped[UUID | None]
    # By the clock of the database.
    lease_until: Mapped[datetime | None]
    # Null: immediately.
    next_attempt_at: Mapped[datetime | None]
    # A code, without data of the message.
    last_error: Mapped[str | None] = mapped_column(Text)
