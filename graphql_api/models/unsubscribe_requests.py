"""Requests to get no more emails, and the batches in which services act on them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, ForeignKeyConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Identified, Model

if TYPE_CHECKING:
    from graphql_api.models.services import Service


class UnsubscribeReport(Identified, Created, Model):
    """A batch of requests for a service to act on."""

    __tablename__ = "unsubscribe_request_report"

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"))
    # When the first and the last request of the batch were made.
    earliest_timestamp: Mapped[datetime]
    latest_timestamp: Mapped[datetime]
    processed_by_service_at: Mapped[datetime | None]
    count: Mapped[int] = mapped_column(BigInteger)

    service: Mapped[Service] = relationship(lazy="raise")
    requests: Mapped[list[UnsubscribeRequest]] = relationship(back_populates="report", lazy="raise")


class UnsubscribeRequestColumns(Created):
    """The columns that a request keeps for life."""

    # The email that it answers, whose row may be gone.
    notification_id: Mapped[UUID] = mapped_column(index=True)
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"))
    template_id: Mapped[UUID]
    template_version: Mapped[int]


class UnsubscribeRequest(Identified, UnsubscribeRequestColumns, Model):
    """Somebody asks a service to write no more."""

    __tablename__ = "unsubscribe_request"
    __table_args__ = (
        ForeignKeyConstraint(
            ["template_id", "template_version"], ["templates_history.id", "templates_history.version"]
        ),
    )

    email_address: Mapped[str] = mapped_column(Text)
    unsubscribe_request_report_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("unsubscribe_request_report.id"), index=True
    )

    service: Mapped[Service] = relationship(lazy="raise")
    report: Mapped[UnsubscribeReport | None] = relationship(back_populates="requests", lazy="raise")


class UnsubscribeRequestHistory(UnsubscribeRequestColumns, Model):
    """A request that was acted on, some days later: no address."""

    __tablename__ = "unsubscribe_request_history"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    unsubscribe_request_report_id: Mapped[UUID | None]
