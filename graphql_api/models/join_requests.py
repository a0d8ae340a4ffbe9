"""Requests to join a service."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, Text, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Identified, Model, utcnow
from graphql_api.models.types import service_join_requests_status_type

if TYPE_CHECKING:
    from graphql_api.models.services import Service
    from graphql_api.models.users import User


class JoinRequest(Identified, Model):
    """A user's request to become a member of a service."""

    __tablename__ = "service_join_requests"

    requester_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"))
    created_at: Mapped[datetime] = mapped_column(default=utcnow, server_default=func.now())
    status: Mapped[str] = mapped_column(service_join_requests_status_type, default="pending", server_default="pending")
    # Time and author of the decision.
    status_changed_at: Mapped[datetime | None]
    status_changed_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    # The message of the requester.
    reason: Mapped[str | None] = mapped_column(Text)

    requester: Mapped[User] = relationship(foreign_keys=[requester_id], lazy="raise")
    service: Mapped[Service] = relationship(lazy="raise")
    status_changed_by: Mapped[User | None] = relationship(foreign_keys=[status_changed_by_id], lazy="raise")
    contacted_users: Mapped[list[User]] = relationship(
        secondary="service_join_request_contacted_users", viewonly=True, lazy="raise"
    )


class JoinRequestContact(Model):
    """A member whom the requester contacted."""

    __tablename__ = "service_join_request_contacted_users"

    service_join_request_id: Mapped[UUID] = mapped_column(
        # PostgreSQL truncates longer names.
        ForeignKey("service_join_requests.id", name="service_join_request_contacted_use_service_join_request_id_fkey"),
        primary_key=True,
    )
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
