"""API keys, their history, and when they end."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Date, ForeignKey, Index, Numeric, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Dated, HistoryOf, Identified, Model, Versioned

if TYPE_CHECKING:
    from graphql_api.models.notifications import Notification
    from graphql_api.models.services import Service
    from graphql_api.models.users import User


class ApiKeyColumns(Dated):
    """The columns of a key and of its history."""

    service_id: Mapped[UUID] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(String(255))
    # Signed, not encrypted.
    secret: Mapped[str] = mapped_column(String(255))
    key_type: Mapped[str] = mapped_column(String(255))
    # Who made this version: the last is whoever revoked the key. Notify writes them over the key's own, too.
    created_by_id: Mapped[UUID]
    # Any date here, even one to come, means that the key is revoked.
    expiry_date: Mapped[datetime | None]


class ApiKeyHistory(HistoryOf, ApiKeyColumns, Model):
    """A key as it was at a version, the current one included."""

    __tablename__ = "api_keys_history"


class ApiKey(Identified, Versioned, ApiKeyColumns, Model):
    """A secret by which a program speaks for a service."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index(
            "uix_service_to_key_name", "service_id", "name", unique=True, postgresql_where=text("expiry_date IS NULL")
        ),
        Index("ix_api_keys_service_id_created_at_id", "service_id", "created_at", "id"),
    )

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    secret: Mapped[str] = mapped_column(String(255), unique=True)
    key_type: Mapped[str] = mapped_column(String(255), ForeignKey("key_types.name"))
    created_by_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", name="fk_api_keys_created_by_id"), index=True)

    service: Mapped[Service] = relationship(back_populates="api_keys", lazy="raise")
    created_by: Mapped[User] = relationship(lazy="raise")
    lifetime: Mapped[ApiKeyLifetime | None] = relationship(back_populates="api_key", lazy="raise")
    notifications: Mapped[list[Notification]] = relationship(back_populates="api_key", lazy="raise")
    versions: Mapped[list[ApiKeyHistory]] = relationship(
        primaryjoin="ApiKey.id == foreign(ApiKeyHistory.id)",
        order_by="ApiKeyHistory.version",
        viewonly=True,
        lazy="raise",
    )

    def snapshot(self) -> ApiKeyHistory:
        """The history row of the present state, to be written with it."""
        return self._copy_to(ApiKeyHistory)


class ApiKeyLifetime(Created, Model):
    """When a key ends or ended. `api_keys.expiry_date` cannot tell: whatever it holds, the key is revoked."""

    __tablename__ = "api_key_lifetimes"

    api_key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    # To five minutes, lest every call be a write.
    last_used_at: Mapped[datetime | None]

    api_key: Mapped[ApiKey] = relationship(back_populates="lifetime", lazy="raise")
    revoked_by: Mapped[User | None] = relationship(lazy="raise")


class ApiKeyUsage(Model):
    """What one key did on one day (London); each process adds its part every few seconds."""

    __tablename__ = "api_key_usage_daily"

    api_key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    requests: Mapped[int] = mapped_column(server_default=text("0"))
    succeeded: Mapped[int] = mapped_column(server_default=text("0"))
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    rate_limited: Mapped[int] = mapped_column(server_default=text("0"))
    # Time that the calls took, all together.
    total_ms: Mapped[float] = mapped_column(server_default=text("0"))
    notifications: Mapped[int] = mapped_column(server_default=text("0"))
    # Fragments of texts and sheets of letters that were handed over, and what they cost.
    units: Mapped[int] = mapped_column(server_default=text("0"))
    cost: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
