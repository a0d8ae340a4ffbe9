"""Filters of a list: predicates whose SQL text depends on the shape of the value only.

A filter has three methods: `shape(value)` is the part of the value on which the text of the SQL depends;
`where(name, shape)` is the predicate, with bind parameters named after the argument;
`values(name, value)` are the bind values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from sqlalchemy import and_, any_, bindparam, false, true
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api.content.values import uuid_or_none
from graphql_api.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from graphql_api.models import base

BindValues = dict[str, Any]


class Filter(Protocol):
    """One condition of a list."""

    def shape(self, value: Any) -> Hashable:
        """The part of the value on which the SQL text depends; None where the value sets no condition."""
        ...

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """The predicate for values of this shape."""
        ...

    def values(self, name: str, value: Any) -> BindValues:
        """The bind values."""
        ...


@dataclass(frozen=True, slots=True)
class Equals:
    """The column equals the value; an id that is no UUID matches no row."""

    column: Any

    def shape(self, value: Any) -> Hashable:
        """One text for values, another for values that cannot match."""
        return None if value is None else "equals" if self._convert(value) is not None else "nothing"

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """`column = $name`."""
        if shape == "nothing":
            return false()
        result: ColumnElement[bool] = self.column == bindparam(name, type_=self.column.type)
        return result

    def values(self, name: str, value: Any) -> BindValues:
        """The value, an id as UUID."""
        return {name: self._convert(value)}

    def _convert(self, value: Any) -> Any:
        if self.column.type.python_type is not UUID or isinstance(value, UUID):
            return value
        return uuid_or_none(value)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The column is one of the values; `stored_values` maps each value to the stored values that it stands for."""

    column: Any
    stored_values: Mapping[str, Sequence[str]] | None = None

    def shape(self, value: Any) -> Hashable:
        """The same text for any number of values."""
        return None if value is None else "any"

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """`column = ANY($name)`."""
        del shape
        result: ColumnElement[bool] = self.column == any_(bindparam(name, type_=ARRAY(self.column.type)))
        return result

    def values(self, name: str, value: Any) -> BindValues:
        """The stored values."""
        if self.stored_values is None:
            return {name: [str(word) for word in value]}
        return {name: [stored for word in value for stored in self.stored_values[word]]}


@dataclass(frozen=True, slots=True)
class Contains:
    """The text contains the value, regardless of case; `%` and `_` are no wildcards."""

    column: Any
    min_characters: int = 1

    def shape(self, value: Any) -> Hashable:
        """The same text for all values."""
        return None if value is None else "contains"

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """`column ILIKE $name`."""
        del shape
        result: ColumnElement[bool] = self.column.ilike(bindparam(name), escape="\\")
        return result

    def values(self, name: str, value: Any) -> BindValues:
        """The pattern; `BadRequest` for a value that is too short."""
        if len(value) < self.min_characters:
            raise BadRequest(f"A search text must have at least {self.min_characters} characters.")
        return {name: like_pattern(value)}


@dataclass(frozen=True, slots=True)
class Within:
    """The instant lies between `from` (included) and `to` (not included); None is an open end."""

    column: Any

    def shape(self, value: Any) -> Hashable:
        """Whether each of the ends is given."""
        return None if value is None else (value["from"] is not None, value["to"] is not None)

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """A comparison per given end."""
        start, end = shape
        ends = [self.column >= bindparam(f"{name}_from", type_=self.column.type)] if start else []
        ends += [self.column < bindparam(f"{name}_to", type_=self.column.type)] if end else []
        return and_(True, *ends)

    def values(self, name: str, value: Mapping[str, datetime | None]) -> BindValues:
        """Both ends, given or not."""
        return {f"{name}_from": value["from"], f"{name}_to": value["to"]}


@dataclass(frozen=True, slots=True)
class Switch:
    """A boolean that chooses between two predicates; None stands for no condition."""

    if_true: Any = None
    if_false: Any = None

    def shape(self, value: Any) -> Hashable:
        """The boolean, where it has a predicate."""
        return value if value is not None and (self.if_true if value else self.if_false) is not None else None

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """The predicate of the boolean."""
        del name
        predicate: ColumnElement[bool] = self.if_true if shape else self.if_false
        return predicate

    def values(self, name: str, value: Any) -> BindValues:
        """No bind values."""
        del name, value
        return {}


@dataclass(frozen=True, slots=True)
class AlsoTable:
    """True adds the rows of a second table, as if they were in the page's own: see `statements`."""

    model: type[base.Model]

    def shape(self, value: Any) -> Hashable:
        """A constant for true; None for false."""
        return "also" if value else None

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """A predicate that holds for every row."""
        del name, shape
        return true()

    def values(self, name: str, value: Any) -> BindValues:
        """No bind values."""
        del name, value
        return {}


@dataclass(frozen=True, slots=True)
class CustomFilter:
    """Any predicate: `predicate` makes it from the name of a bind parameter, `convert` makes the bind values."""

    predicate: Callable[[str], ColumnElement[bool]]
    convert: Callable[[Any], BindValues | Any] = lambda value: value

    def shape(self, value: Any) -> Hashable:
        """The same text for all values."""
        return None if value is None else "custom"

    def where(self, name: str, shape: Any) -> ColumnElement[bool]:
        """The predicate."""
        del shape
        return self.predicate(name)

    def values(self, name: str, value: Any) -> BindValues:
        """The converted value; the names of a mapping are prefixed with the argument's."""
        bound = self.convert(value)
        return {f"{name}_{key}": part for key, part in bound.items()} if isinstance(bound, dict) else {name: bound}


def like_pattern(value: str) -> str:
    """A LIKE pattern for "contains", with the value's own wildcards escaped."""
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
