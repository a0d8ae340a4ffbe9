"""What becomes of letters: when they were despatched, and which came back."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Dated, Identified, Model
from graphql_api.models.types import letter_despatch_cost_threshold

if TYPE_CHECKING:
    from graphql_api.models.services import Service


class LetterDespatch(Model):
    """When a letter went into the post, and whether at the price of sorted post."""

    __tablename__ = "notifications_letter_despatch"

    # The letter, whose row may be gone.
    notification_id: Mapped[UUID] = mapped_column(primary_key=True)
    despatched_on: Mapped[date | None] = mapped_column(index=True)
    cost_threshold: Mapped[str] = mapped_column(letter_despatch_cost_threshold)


class ReturnedLetter(Identified, Dated, Model):
    """A letter that came back."""

    __tablename__ = "returned_letters"

    reported_at: Mapped[date]
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    # The letter, whose row may be gone.
    notification_id: Mapped[UUID] = mapped_column(unique=True)

    service: Mapped[Service] = relationship(lazy="raise")
