"""Webhooks: URLs of services that are called for events."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Dated, HistoryOf, Identified, Model, Versioned

if TYPE_CHECKING:
    from graphql_api.models.services import Service
    from graphql_api.models.users import User


class WebhookColumns(Dated):
    """Columns of a webhook and of its history."""

    service_id: Mapped[UUID] = mapped_column(index=True)
    callback_type: Mapped[str | None]
    url: Mapped[str]
    # Signed, not encrypted.
    bearer_token: Mapped[str]
    updated_by_id: Mapped[UUID] = mapped_column(index=True)


class WebhookHistory(HistoryOf, WebhookColumns, Model):
    """A version of a webhook, the current one included."""

    __tablename__ = "service_callback_api_history"


class Webhook(Identified, Versioned, WebhookColumns, Model):
    """A URL of a service that is called for one type of event."""

    __tablename__ = "service_callback_api"
    __table_args__ = (UniqueConstraint("service_id", "callback_type", name="uix_service_callback_type"),)

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    callback_type: Mapped[str | None] = mapped_column(
        ForeignKey("service_callback_type.name", name="service_callback_api_type_fk")
    )
    updated_by_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)

    service: Mapped[Service] = relationship(lazy="raise")
    updated_by: Mapped[User] = relationship(lazy="raise")

    def snapshot(self) -> WebhookHistory:
        """The history row of the current version, to be added with it."""
        return self._copy_to(WebhookHistory)
