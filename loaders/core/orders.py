"""Orders of a list: sort keys that end in a unique column, so that a cursor names exactly one position."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, case, func, literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement

    from graphql_api.models import base


@dataclass(frozen=True, slots=True)
class Order:
    """Sort keys, the last of them unique; `keys(descending)` lets a key depend on the direction."""

    name: str
    sort_keys: Callable[[bool], tuple[Any, ...]]
    descending: bool = False

    def in_direction(self, descending: bool) -> Order:
        """The same keys in this direction."""
        return self if descending == self.descending else Order(self.name, self.sort_keys, descending)


@cache
def sort_key_types(order: Order) -> tuple[type, ...]:
    """The Python types of its sort keys; cached, for SQLAlchemy is slow to compute them."""
    return tuple(key.type.python_type for key in order.sort_keys(order.descending))


def ordered_by(*columns: Any, descending: bool = False, name: str | None = None) -> Order:
    """An order over plain columns; the last one is unique."""
    return Order(name or ",".join(column.key for column in columns), lambda _: columns, descending)


def newest(model: type[base.Model]) -> Order:
    """Latest first."""
    attributes: Any = model
    return ordered_by(attributes.created_at, attributes.id, descending=True)


def nulls_last(column: Any, unique: Any) -> Order:
    """An order over an instant that may be null; rows without one come last, whichever the direction."""

    def keys(descending: bool) -> tuple[ColumnElement[Any], Any]:
        infinity = literal("-infinity" if descending else "infinity").cast(DateTime)
        return func.coalesce(column, infinity), unique

    return Order(column.key, keys)


def true_first(flag: Any, *columns: Any) -> Order:
    """Rows whose flag is true before the others, then by the columns, the last of which is unique."""
    return Order(
        f"{flag.key}," + ",".join(column.key for column in columns), lambda _: (case((flag, 0), else_=1), *columns)
    )
