"""Counts of messages by London day, computed each night for statistics and billing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, PrimaryKeyConstraint, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Dated, Model
from graphql_api.models.types import letter_despatch_cost_threshold, notification_type


class NotificationStatusFact(Dated, Model):
    """Messages of a day by status; `job_id` is the zero UUID for messages without a job."""

    __tablename__ = "ft_notification_status"
    __table_args__ = (
        Index("ix_ft_notification_status_template_id_bst_date", "template_id", "bst_date"),
        Index("ix_ft_notification_status_service_id_bst_date", "service_id", "bst_date"),
    )

    bst_date: Mapped[date] = mapped_column(primary_key=True, index=True)
    template_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    service_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    job_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    notification_type: Mapped[str] = mapped_column(Text, primary_key=True)
    key_type: Mapped[str] = mapped_column(Text, primary_key=True)
    notification_status: Mapped[str] = mapped_column(Text, primary_key=True)
    notification_count: Mapped[int]


class BillingFact(Dated, Model):
    """Billable messages of a day, by template and rate."""

    __tablename__ = "ft_billing"
    __table_args__ = (Index("ix_ft_billing_service_id_bst_date", "service_id", "bst_date"),)

    bst_date: Mapped[date] = mapped_column(primary_key=True, index=True)
    template_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    service_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    notification_type: Mapped[str] = mapped_column(Text, primary_key=True)
    provider: Mapped[str] = mapped_column(Text, primary_key=True)
    rate_multiplier: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    international: Mapped[bool] = mapped_column(primary_key=True)
    rate: Mapped[Decimal] = mapped_column(primary_key=True)
    postage: Mapped[str] = mapped_column(primary_key=True)
    billable_units: Mapped[int | None]
    notifications_sent: Mapped[int | None]


class LetterDespatchFact(Dated, Model):
    """Letters despatched on a day, by rate."""

    __tablename__ = "ft_billing_letter_despatch"
    __table_args__ = (PrimaryKeyConstraint("bst_date", "postage", "rate", "billable_units", "cost_threshold"),)

    bst_date: Mapped[date]
    postage: Mapped[str]
    cost_threshold: Mapped[str] = mapped_column(letter_despatch_cost_threshold)
    rate: Mapped[Decimal]
    billable_units: Mapped[int] = mapped_column(autoincrement=False)
    notifications_sent: Mapped[int | None]


class ProcessingTimeFact(Dated, Model):
    """Messages of a day, and those sent within ten seconds."""

    __tablename__ = "ft_processing_time"

    bst_date: Mapped[date] = mapped_column(primary_key=True, index=True)
    messages_total: Mapped[int]
    messages_within_10_secs: Mapped[int]


class ServiceStatisticsFact(Model):
    """Counts that Notify no longer writes or reads."""

    __tablename__ = "ft_service_stats"
    __table_args__ = (
        Index(
            "ix_ft_service_stats",
            "bst_date",
            "service_id",
            "template_id",
            "notification_type",
            "notification_status",
            unique=True,
        ),
        Index(
            "ix_ft_service_template_stats",
            "bst_date",
            "template_id",
            "notification_type",
            "notification_status",
            unique=True,
        ),
    )

    bst_date: Mapped[date] = mapped_column(primary_key=True)
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), primary_key=True)
    template_id: Mapped[UUID] = mapped_column(ForeignKey("templates.id"), primary_key=True)
    notification_type: Mapped[str] = mapped_column(notification_type, primary_key=True)
    notification_status: Mapped[str] = mapped_column(
        Text, ForeignKey("notification_status_types.name"), primary_key=True
    )
    notification_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
