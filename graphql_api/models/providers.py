"""Providers: the companies that deliver messages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, false
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from graphql_api.models.base import HistoryOf, Identified, Model, Versioned, utcnow
from graphql_api.models.types import notification_type

if TYPE_CHECKING:
    from graphql_api.models.users import User


class ProviderColumns:
    """Columns of a provider and of its history."""

    display_name: Mapped[str]
    # As in `notifications.sent_by`.
    identifier: Mapped[str]
    notification_type: Mapped[str] = mapped_column(notification_type)
    # The provider's weight among those of its channel.
    priority: Mapped[int]
    active: Mapped[bool] = mapped_column(default=False)
    supports_international: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Time, author (null: the system) and reason of this version.
    updated_at: Mapped[datetime | None] = mapped_column(onupdate=utcnow)
    created_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    reason: Mapped[str | None]

    @declared_attr
    def created_by(cls) -> Mapped[User | None]:  # noqa: N805 - SQLAlchemy passes the class
        """The author of this version."""
        return relationship(lazy="raise")


class ProviderHistory(HistoryOf, ProviderColumns, Model):
    """A version of a provider, the current one included."""

    __tablename__ = "provider_details_history"


class Provider(Identified, Versioned, ProviderColumns, Model):
    """A company that delivers messages of one channel."""

    __tablename__ = "provider_details"

    versions: Mapped[list[ProviderHistory]] = relationship(
        primaryjoin="Provider.id == foreign(ProviderHistory.id)",
        order_by="ProviderHistory.version",
        viewonly=True,
        lazy="raise",
    )

    def snapshot(self) -> ProviderHistory:
        """The history row of the current version, to be added with it."""
        return self._copy_to(ProviderHistory)
