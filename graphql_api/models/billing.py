"""What messages cost, and how much of it is free."""

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
    """What a fragment of a text costs, in pounds, from a moment on."""

    __tablename__ = "rates"

    valid_from: Mapped[datetime]
    rate: Mapped[Decimal]
    notification_type: Mapped[str] = mapped_column(notification_type, index=True)


class LetterRate(Identified, Model):
    """What a letter costs, in pounds, by sheets and post class, for a time."""

    __tablename__ = "letter_rates"

    start_date: Mapped[datetime]
    end_date: Mapped[datetime | None]
    sheet_count: Mapped[int]
    rate: Mapped[Decimal]
    crown: Mapped[bool]
    post_class: Mapped[str]


class AnnualBilling(Identified, Dated, Model):
    """How many text fragments a service has free in a financial year, named by the year in which it starts."""

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
    """How many messages a service of a sector has free in a financial year, unless it has a number of its own."""

    __tablename__ = "default_annual_allowance"
    __table_args__ = (
        Index("ix_annual_allowance_notification_type", "notification_type"),
        Index("ix_annual_allowance_valid_from_financial_year_start", "valid_from_financial_year_start"),
    )

    valid_from_financial_year_start: Mapped[int]
    organisation_type: Mapped[str | None] = mapped_column(String(255), ForeignKey("organisation_types.name"))
    allowance: Mapped[int]
    notification_type: Mapped[str] = mapped_column(notification_type)
