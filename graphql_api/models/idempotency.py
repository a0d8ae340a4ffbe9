"""Answers that are kept, so that a request repeated with the same key changes nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Created, Model


class IdempotencyKey(Created, Model):
    """A caller's key, what was asked with it, and what was answered; it is written in the transaction of the change."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    # Who asks: a word for the kind of caller and its id.
    caller: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    mutation: Mapped[str] = mapped_column(Text)
    # A hash of the input: the same key with another input is an error.
    fingerprint: Mapped[str] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
