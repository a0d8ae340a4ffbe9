"""Texts for search, from several tables."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.models.base import Model


class SearchEntry(Model):
    """The searchable text of a row of another table, in lower case, as of the last refresh of the view."""

    __tablename__ = "search_entries"
    # A materialised view: its migrations are written by hand.
    __table_args__ = {"info": {"view": True}}  # noqa: RUF012 - read once by the mapper

    row_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
