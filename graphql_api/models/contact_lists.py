"""Contact lists: recipients that a service stores for reuse."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, Index, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Dated, Identified, Model
from graphql_api.models.types import template_type

if TYPE_CHECKING:
    from graphql_api.models.jobs import Job
    from graphql_api.models.services import Service
    from graphql_api.models.users import User


class ContactList(Identified, Dated, Model):
    """A stored list of recipients of one channel."""

    __tablename__ = "service_contact_list"
    __table_args__ = (Index("ix_service_contact_list_service_id_created_at_id", "service_id", "created_at", "id"),)

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    original_file_name: Mapped[str]
    row_count: Mapped[int]
    template_type: Mapped[str] = mapped_column(template_type)
    created_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    archived: Mapped[bool] = mapped_column(default=False, server_default=false())

    service: Mapped[Service] = relationship(back_populates="contact_lists", lazy="raise")
    created_by: Mapped[User | None] = relationship(lazy="raise")
    jobs: Mapped[list[Job]] = relationship(back_populates="contact_list", lazy="raise")
