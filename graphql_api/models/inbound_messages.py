"""Text messages received at numbers of services."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Identified, Model

if TYPE_CHECKING:
    from graphql_api.models.services import Service


class InboundMessageColumns(Created):
    """Columns of a received text message that are not erased."""

    # The service's number.
    notify_number: Mapped[str]
    provider: Mapped[str]
    provider_date: Mapped[datetime | None]
    provider_reference: Mapped[str | None]


class InboundMessage(Identified, InboundMessageColumns, Model):
    """A received text message within its retention period."""

    __tablename__ = "inbound_sms"

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    # The sender's number.
    user_number: Mapped[str] = mapped_column(index=True)
    # Signed, not encrypted.
    content: Mapped[str]

    service: Mapped[Service] = relationship(lazy="raise")


class InboundMessageHistory(InboundMessageColumns, Model):
    """A received text message after its retention period, without sender and content."""

    __tablename__ = "inbound_sms_history"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    service_id: Mapped[UUID | None] = mapped_column(ForeignKey("services.id"), index=True)
