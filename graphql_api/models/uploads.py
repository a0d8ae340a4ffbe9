"""Uploads: lists of recipients that later jobs refer to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Model

if TYPE_CHECKING:
    from graphql_api.models.api_keys import ApiKey
    from graphql_api.models.users import User


class Upload(Created, Model):
    """A stored list, owned by the user or the API key that uploaded it."""

    __tablename__ = "uploads"
    __table_args__ = (CheckConstraint("num_nonnulls(user_id, api_key_id) = 1", name="ck_uploads_one_sender"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    api_key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"), index=True)
    file_name: Mapped[str | None] = mapped_column(Text)
    byte_count: Mapped[int] = mapped_column(BigInteger)
    # Without the header row.
    row_count: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(index=True)

    user: Mapped[User | None] = relationship(lazy="raise")
    api_key: Mapped[ApiKey | None] = relationship(lazy="raise")
