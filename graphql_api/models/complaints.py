"""Complaints: emails that recipients marked as spam."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Identified, Model

if TYPE_CHECKING:
    from graphql_api.models.services import Service


class Complaint(Identified, Created, Model):
    """A complaint about an email, forwarded by the email provider."""

    __tablename__ = "complaints"

    # The email, which may have been deleted.
    notification_id: Mapped[UUID] = mapped_column(index=True)
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    # The email provider's reference.
    ses_feedback_id: Mapped[str | None] = mapped_column(Text)
    complaint_type: Mapped[str | None] = mapped_column(Text)
    complaint_date: Mapped[datetime | None]

    service: Mapped[Service] = relationship(lazy="raise")
