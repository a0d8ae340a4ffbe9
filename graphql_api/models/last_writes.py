"""Positions of callers' last changes in the write-ahead log, for their reads from a replica."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Model


class LastWrite(Model):
    """A user or an API key, and the position of the log, in bytes, when its last change was committed."""

    __tablename__ = "last_writes"

    caller_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)
