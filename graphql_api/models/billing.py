"""Rates of messages, and free allowances."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Dated, Identified, Model
from graphql_api.models.types import notification_type

if TYPE_CHECKING:
    from graphql_api.models.services import Service


class Rate(Identified, Model):
    """The rate of a text message fragment, in pounds, from a date on."""

    __tablename__ = "rates"

    valid_from: Mapped[datetime]
    rate: Mapped[Decimal]
    notification_type: Mapped[str] = mapped_column(notification_type, index=True)


class LetterRate(Identified, Model):
    """The rate of a letter, in pounds, by sheets and post class, within a period."""

    __tablename__ = "letter_rates"

    start_date: Mapped[datetime]
    end_date: Mapped[datetime | None]
    sheet_count: Mapped[int]
    rate: Mapped[Decimal]
    crown: Mapped[bool]
    post_class: Mapped[str]


class AnnualBilling(Identified, Dated, Model):
    """A service's free text message fragments of a financial year, identified by the year in which it starts."""

    __tablename__ = "annual_billing"
    __table_args__ = (
        UniqueConstraint("service_id", "financial_year_start", name="uix_service_id_financial_year_start"),
    )

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    financial_year_start: Mapped[int]
    free_sms_fragment_limit: Mapped[int]
    high_volume_service_last_year: Mapped[bool] = mapped_column(default=False, server_default=false())
    has_custom_allowance: Mapped[bool] = mapped_column(default=False, server_default=false())

    service: Mapped[Service] = relationship(back_populates="annual_billing", lazy="raise")


class DefaultAnnualAllowance(Identified, Model):
    """Free messages of a service in a financial year, by type of organisation, without an allowance of its own."""

    __tablename__ = "default_annual_allowance"
    __table_args__ = (
        Index("ix_annual_allowance_notification_type", "notification_type"),
        Index("ix_annual_allowance_valid_from_financial_year_start", "valid_from_financial_year_start"),
    )

    valid_from_financial_year_start: Mapped[int]
    organisation_type: Mapped[str | None] = mapped_column(String(255), ForeignKey("organisation_types.name"))
    allowance: Mapped[int]
    notification_type: Mapped[str] = mapped_column(notification_type)
