"""Conditions of a list: each is data, a predicate whose text depends on the value's shape alone.

A filter answers three things: `shape(value)`, whatever of the value the text of the SQL depends on;
`where(name, shape)`, the predicate with bind parameters named after the argument;
`values(name, value)`, what to bind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from sqlalchemy import and_, any_, bindparam, false, true
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from graphql_api.models import base

BindValues = dict[str, Any]


class Filter(Protocol):
    """One condition of a list."""

    def shape(self, value: Any) -> Hashable:
        """Whatever of the value the text of the SQL depends on; None where the value asks for nothing."""
        ...

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """The predicate for values of this shape."""
        ...

    def values(self, name: str, value: Any) -> BindValues:
        """What to bind."""
        ...


@dataclass(frozen=True, slots=True)
class Equals:
    """The column equals the value; an id that is no UUID matches nothing."""

    column: Any

    def shape(self, value: Any) -> Hashable:
        """One text for every value, another for a value that can match nothing."""
        return None if value is None else "equals" if self._convert(value) is not None else "nothing"

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """`column = $name`."""
        if shape == "nothing":
            return false()
        result: ColumnElement[bool] = self.column == bindparam(name, type_=self.column.type)
        return result

    def values(self, name: str, value: Any) -> BindValues:
        """The value itself."""
        return {name: self._convert(value)}

    def _convert(self, value: Any) -> Any:
        if self.column.type.python_type is not UUID or isinstance(value, UUID):
            return value
        return uuid_or_none(value)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The column is one of the values; `stored` translates each word into the stored values it stands for."""

    column: Any
    stored_values: Mapping[str, Sequence[str]] | None = None

    def shape(self, value: Any) -> Hashable:
        """One text, however many values."""
        return None if value is None else "any"

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """`column = ANY($name)`."""
        del shape
        result: ColumnElement[bool] = self.column == any_(bindparam(name, type_=ARRAY(self.column.type)))
        return result

    def values(self, name: str, value: Any) -> BindValues:
        """The values as they are stored."""
        stored = self.stored_values
        if stored is None:
            return {name: [str(word) for word in value]}
        return {name: [one for word in value for one in stored[word]]}


@dataclass(frozen=True, slots=True)
class Contains:
    """The text contains the value, whatever its case; LIKE's wildcards stand for themselves."""

    column: Any
    min_characters: int = 1

    def shape(self, value: Any) -> Hashable:
        """One text for every value."""
        return None if value is None else "contains"

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """`column ILIKE $name`."""
        del shape
        result: ColumnElement[bool] = self.column.ilike(bindparam(name), escape="\\")
        return result

    def values(self, name: str, value: Any) -> BindValues:
        """The value between two wildcards."""
        if len(value) < self.min_characters:
            raise BadRequest(f"Give {self.min_characters} characters or more to look for.")
        return {name: like_pattern(value)}


@dataclass(frozen=True, slots=True)
class Within:
    """The instant lies between `from` (included) and `to` (not included); an end left out is open."""

    column: Any

    def shape(self, value: Any) -> Hashable:
        """Which ends are given."""
        return None if value is None else (value["from"] is not None, value["to"] is not None)

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """A comparison per end."""
        start, end = shape
        ends = [self.column >= bindparam(f"{name}_from", type_=self.column.type)] if start else []
        ends += [self.column < bindparam(f"{name}_to", type_=self.column.type)] if end else []
        return and_(True, *ends)

    def values(self, name: str, value: Mapping[str, datetime | None]) -> BindValues:
        """Both ends."""
        return {f"{name}_from": value["from"], f"{name}_to": value["to"]}


@dataclass(frozen=True, slots=True)
class Switch:
    """A yes or no that chooses between two predicates; either may be absent."""

    if_true: Any = None
    if_false: Any = None

    def shape(self, value: Any) -> Hashable:
        """The answer itself, where a predicate belongs to it."""
        return value if value is not None and (self.if_true if value else self.if_false) is not None else None

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """The predicate chosen."""
        del name
        chosen: ColumnElement[bool] = self.if_true if shape else self.if_false
        return chosen

    def values(self, name: str, value: Any) -> BindValues:
        """Nothing to bind."""
        del name, value
        return {}


@dataclass(frozen=True, slots=True)
class AlsoTable:
    """A yes reads the rows of a second table too, as if they lay in the page's own: see `statements`."""

    model: type[base.Model]

    def shape(self, value: Any) -> Hashable:
        """A yes, or nothing."""
        return "also" if value else None

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """Every row."""
        del name, shape
        return true()

    def values(self, name: str, value: Any) -> BindValues:
        """Nothing to bind."""
        del name, value
        return {}


@dataclass(frozen=True, slots=True)
class CustomFilter:
    """Any predicate over the value: `where` makes it from a bind parameter's name, `read` makes what is bound."""

    predicate: Callable[[str], ColumnElement[bool]]
    convert: Callable[[Any], BindValues | Any] = lambda value: value

    def shape(self, value: Any) -> Hashable:
        """One text for every value."""
        return None if value is None else "shown"

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """The predicate."""
        del shape
        return self.predicate(name)

    def values(self, name: str, value: Any) -> BindValues:
        """What `read` makes of the value; a mapping binds names beginning with the argument's."""
        read = self.convert(value)
        return {f"{name}_{key}": one for key, one in read.items()} if isinstance(read, dict) else {name: read}


def also_tables(filters: Iterable[Filter]) -> list[type[base.Model]]:
    """The second tables that filters read from."""
    return [filter_.model for filter_ in filters if isinstance(filter_, AlsoTable)]


def like_pattern(value: str) -> str:
    """A LIKE pattern for "contains", in which the value's own wildcards stand for themselves."""
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def uuid_or_none(value: str | UUID) -> UUID | None:
    """The UUID that a canonical text names (case does not matter), else None."""
    if isinstance(value, UUID):
        return value
    try:
        read = UUID(value)
    except ValueError:
        return None
    return read if str(read) == value.lower() else None
