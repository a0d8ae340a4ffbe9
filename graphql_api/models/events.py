"""Events: actions of users that Notify's site records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Created, Identified, Model


class Event(Identified, Created, Model):
    """A sign-in or a change by a user."""

    __tablename__ = "events"

    event_type: Mapped[str] = mapped_column(String(255))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
