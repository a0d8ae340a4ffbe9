"""Usage of a service's limits by day and by minute."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, ForeignKey, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Model, utcnow


class DailyUsage(Model):
    """How many messages a service has sent on a day (UTC).

    Test keys do not count; an international text counts twice.
    """

    __tablename__ = "daily_usage"
    __table_args__ = (
        CheckConstraint("kind IN ('email', 'sms', 'letter', 'international_sms')", name="ck_daily_usage_kind"),
        CheckConstraint("count >= 0", name="ck_daily_usage_count"),
    )

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(default=0, server_default=text("0"))


class RateBucket(Model):
    """The token bucket of a service and a type of API key, in messages."""

    __tablename__ = "rate_buckets"

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), primary_key=True)
    key_type: Mapped[str] = mapped_column(String(255), ForeignKey("key_types.name"), primary_key=True)
    tokens: Mapped[float]
    # By the clock of the database.
    refilled_at: Mapped[datetime] = mapped_column(default=utcnow)
