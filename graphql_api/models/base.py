"""What every table has in common: the declarative base, constraint names, and the columns that most rows share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from sqlalchemy import MetaData, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7


class Model(DeclarativeBase):
    """A table. Python-side defaults are set when the object is made, not when it is flushed.

    So a row has its id and its dates at once, and `snapshot()` can copy them before anything reaches the database.
    """

    # Keys, unique constraints and indexes are named as PostgreSQL would name them, which is how most of Notify's are
    # named; every other name is given where the constraint is.
    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        }
    )

    def __init__(self, **values: Any) -> None:
        for name, default in _python_defaults(type(self)):
            if name not in values:
                setattr(self, name, default(None))
        for name, value in values.items():
            if not hasattr(type(self), name):
                message = f"{type(self).__name__} has no attribute {name!r}"
                raise TypeError(message)
            setattr(self, name, value)

    def _copy_to(self, history: type[HistoryRow]) -> HistoryRow:
        """A new row of the history table with every column that both tables have."""
        shared = inspect(history).column_attrs.keys()
        return history(**{name: getattr(self, name) for name in shared})


HistoryRow = TypeVar("HistoryRow", bound=Model)


@cache
def _python_defaults(model: type[Model]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """The attributes of a model that have a Python-side default, each with the function that makes it."""
    found: list[tuple[str, Callable[[Any], Any]]] = []
    for attribute in inspect(model).column_attrs:
        default = getattr(attribute.columns[0], "default", None)
        if default is not None and default.is_callable:
            found.append((attribute.key, default.arg))
        elif default is not None and default.is_scalar:
            found.append((attribute.key, _constant_default(default.arg)))
    return tuple(found)


def _constant_default(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def utcnow() -> datetime:
    """The present moment as the database keeps it: UTC, without a time zone."""
    return datetime.now(UTC).replace(tzinfo=None)


class Identified:
    """A row with an id of its own; ids grow with time, so that new rows lie together in the index."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)


class Created:
    """A row that knows when it was made."""

    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Dated(Created):
    """A row that also knows when it was last changed: null until the first change."""

    updated_at: Mapped[datetime | None] = mapped_column(onupdate=utcnow)


class Versioned:
    """A row whose every state is kept in a history table; versions count from 1, and the change sets the next one."""

    version: Mapped[int] = mapped_column(default=1)


class HistoryOf:
    """A state of a row, found by the row's id and the version of the state."""

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
