"""Events: what people did, as Notify's site tells it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Created, Identified, Model


class Event(Identified, Created, Model):
    """Somebody signed in, or changed something."""

    __tablename__ = "events"

    event_type: Mapped[str] = mapped_column(String(255))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
