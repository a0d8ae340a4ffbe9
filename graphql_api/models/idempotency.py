"""Idempotency keys with the results of their requests, so that a repeated request changes nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Created, Model


class IdempotencyKey(Created, Model):
    """A caller's key, a hash of the input and the result; inserted in the transaction of the change."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_created_at", "created_at"),)

    # The kind of the caller and its id.
    caller: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    mutation: Mapped[str] = mapped_column(Text)
    # The same key with another input is an error.
    fingerprint: Mapped[str] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
