"""Reports: files of a service's messages, generated on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Dated, Identified, Model
from graphql_api.models.types import report_request_report_type, report_request_status_type

if TYPE_CHECKING:
    from graphql_api.models.services import Service
    from graphql_api.models.users import User


class ReportRequest(Identified, Dated, Model):
    """A request for a report, and its status."""

    __tablename__ = "report_requests"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"))
    report_type: Mapped[str] = mapped_column(report_request_report_type)
    status: Mapped[str] = mapped_column(report_request_status_type, default="pending")
    # Filters of the report.
    parameter: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)

    user: Mapped[User] = relationship(lazy="raise")
    service: Mapped[Service] = relationship(lazy="raise")
