"""Despatch and return of letters."""

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
    """The despatch of a letter, and whether at the rate of sorted post."""

    __tablename__ = "notifications_letter_despatch"

    # The letter, which may have been deleted.
    notification_id: Mapped[UUID] = mapped_column(primary_key=True)
    despatched_on: Mapped[date | None] = mapped_column(index=True)
    cost_threshold: Mapped[str] = mapped_column(letter_despatch_cost_threshold)


class ReturnedLetter(Identified, Dated, Model):
    """A returned letter."""

    __tablename__ = "returned_letters"

    reported_at: Mapped[date]
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    # The letter, which may have been deleted.
    notification_id: Mapped[UUID] = mapped_column(unique=True)

    service: Mapped[Service] = relationship(lazy="raise")
