"""API keys, their history, expiry and usage."""

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
    """Columns of a key and of its history."""

    service_id: Mapped[UUID] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(String(255))
    # Signed, not encrypted.
    secret: Mapped[str] = mapped_column(String(255))
    key_type: Mapped[str] = mapped_column(String(255))
    # The author of this version: after revocation the user who revoked the key, in `api_keys` too.
    created_by_id: Mapped[UUID]
    # Any date, even a future one, means that the key is revoked.
    expiry_date: Mapped[datetime | None]


class ApiKeyHistory(HistoryOf, ApiKeyColumns, Model):
    """A version of a key, the current one included."""

    __tablename__ = "api_keys_history"


class ApiKey(Identified, Versioned, ApiKeyColumns, Model):
    """A secret with which a program authenticates as a service."""

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
        """The history row of the current version, to be added with it."""
        return self._copy_to(ApiKeyHistory)


class ApiKeyLifetime(Created, Model):
    """Expiry, revocation and last use of a key; any value in `api_keys.expiry_date` would revoke it."""

    __tablename__ = "api_key_lifetimes"

    api_key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoked_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    # With a resolution of five minutes, so that not every call writes.
    last_used_at: Mapped[datetime | None]

    api_key: Mapped[ApiKey] = relationship(back_populates="lifetime", lazy="raise")
    revoked_by: Mapped[User | None] = relationship(lazy="raise")


class ApiKeyUsage(Model):
    """Usage of a key on a London day; each process adds to it every few seconds."""

    __tablename__ = "api_key_usage_daily"

    api_key_id: Mapped[UUID] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    requests: Mapped[int] = mapped_column(server_default=text("0"))
    succeeded: Mapped[int] = mapped_column(server_default=text("0"))
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    rate_limited: Mapped[int] = mapped_column(server_default=text("0"))
    # Total duration of the calls.
    total_ms: Mapped[float] = mapped_column(server_default=text("0"))
    notifications: Mapped[int] = mapped_column(server_default=text("0"))
    # Fragments of text messages and sheets of letters handed to a provider, and their cost.
    units: Mapped[int] = mapped_column(server_default=text("0"))
    cost: Mapped[Decimal] = mapped_column(Numeric, server_default=text("0"))
