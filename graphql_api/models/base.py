"""The declarative base, names of constraints, and mixins of common columns."""

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
    """Base of all tables. Python-side defaults are set when the object is constructed, not when it is flushed.

    So a new row has its id and dates at once, and `snapshot()` can copy them before a flush.
    """

    # The names that PostgreSQL gives, which most of Notify's constraints have; other names are set on the constraint.
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
        """A row of the history table, with the values of all columns that both tables have."""
        shared = inspect(history).column_attrs.keys()
        return history(**{name: getattr(self, name) for name in shared})


HistoryRow = TypeVar("HistoryRow", bound=Model)


@cache
def _python_defaults(model: type[Model]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Attributes of a model with a Python-side default, and the function that returns it."""
    defaults: list[tuple[str, Callable[[Any], Any]]] = []
    for attribute in inspect(model).column_attrs:
        default = getattr(attribute.columns[0], "default", None)
        if default is not None and default.is_callable:
            defaults.append((attribute.key, default.arg))
        elif default is not None and default.is_scalar:
            defaults.append((attribute.key, _constant_default(default.arg)))
    return tuple(defaults)


def _constant_default(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def utcnow() -> datetime:
    """The current time as columns hold it: naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


class Identified:
    """A row with a UUID of version 7, so that new rows are adjacent in the index."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)


class Created:
    """A row with its time of creation."""

    created_at: Mapped[datetime] = mapped_column(default=utcnow)


class Dated(Created):
    """A row with its times of creation and of the last change, null before the first one."""

    updated_at: Mapped[datetime | None] = mapped_column(onupdate=utcnow)


class Versioned:
    """A row with a history table; versions count from 1, and each change must increase it."""

    version: Mapped[int] = mapped_column(default=1)


class HistoryOf:
    """A version of a row, by the row's id and the version."""

    id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
