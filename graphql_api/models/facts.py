"""Counts of messages by London day, made each night, for statistics and invoices."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Dated, Model


class NotificationStatusFact(Dated, Model):
    """How many messages of a day were in a status. A message of no job has the zero id as its job's."""

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
    """What a day's billable messages of one kind come to."""

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
