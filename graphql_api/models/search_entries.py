"""What can be searched for, gathered from several tables."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Model


class SearchEntry(Model):
    """The text by which a row of another table is found, in lower case, as it was when the view was last refreshed."""

    __tablename__ = "search_entries"
    # A materialised view: migrations write it by hand.
    __table_args__ = {"info": {"view": True}}  # noqa: RUF012 read by the mapper once

    row_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
