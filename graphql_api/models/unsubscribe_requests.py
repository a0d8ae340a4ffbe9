"""Requests to unsubscribe from emails, and the batches in which services process them."""

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
    """A batch of requests for a service to process."""

    __tablename__ = "unsubscribe_request_report"

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"))
    # Times of the first and the last request of the batch.
    earliest_timestamp: Mapped[datetime]
    latest_timestamp: Mapped[datetime]
    processed_by_service_at: Mapped[datetime | None]
    count: Mapped[int] = mapped_column(BigInteger)

    service: Mapped[Service] = relationship(lazy="raise")
    requests: Mapped[list[UnsubscribeRequest]] = relationship(back_populates="report", lazy="raise")


class UnsubscribeRequestColumns(Created):
    """Columns of a request that are not erased."""

    # The email, which may have been deleted.
    notification_id: Mapped[UUID] = mapped_column(index=True)
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"))
    template_id: Mapped[UUID]
    template_version: Mapped[int]


class UnsubscribeRequest(Identified, UnsubscribeRequestColumns, Model):
    """A request of a recipient to get no more emails of a service."""

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
    """A processed request after some days, without the address."""

    __tablename__ = "unsubscribe_request_history"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    unsubscribe_request_report_id: Mapped[UUID | None]
