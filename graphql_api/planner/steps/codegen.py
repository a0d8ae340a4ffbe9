"""Python made for one plan: expressions that copy records and values into the answer.

In an expression `r` is a record, `context` the request's, `k0`, `k1` ... what the children made for the record, and
`cursor` a function that names the record's place. What an expression cannot answer, it raises: the plan gives up.
"""

from __future__ import annotations

from collections import namedtuple
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import GraphQLEnumType, GraphQLNamedType, GraphQLScalarType
from sqlalchemy import BigInteger, Boolean, DateTime, Enum, Float, Integer, Numeric, String, Uuid, inspect
from sqlalchemy.dialects.postgresql import asyncpg

from graphql_api.auth import visibility
from graphql_api.planner.errors import Declined
from loaders.core import readable_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DIALECT = asyncpg.dialect()  # type: ignore[no-untyped-call]
_AS_THEY_ARE: dict[str, tuple[type[Any], ...]] = {
    "String": (String, Enum),
    "Boolean": (Boolean,),
    "Int": (Integer,),
    "DateTime": (DateTime,),
}
"""Scalars that a column of these types holds as JSON has them; instants are written by orjson."""
_OF_CLASS = {"String": "str", "Boolean": "bool"}


def fail() -> Any:
    """Give up where there is no value and there must be one."""
    raise Declined


def sure(value: Any) -> Any:
    """The value, which is there."""
    if value is None:
        raise Declined
    return value


class Code:
    """The constants that expressions name, and functions made of expressions."""

    def __init__(self) -> None:
        """Begin with what every expression may name."""
        self._constants: dict[str, Any] = {"fail": fail, "sure": sure}
        self._known: dict[int, str] = {}
        self._count = 0
        self.size = 0

    def fresh(self, letter: str = "t") -> str:
        """A name that no other part of the plan has."""
        self._count += 1
        return f"{letter}{self._count}"

    def constant(self, value: Any) -> str:
        """A name for a value."""
        name = self._known.get(id(value))
        if name is None:
            name = self._known[id(value)] = self.fresh("c")
            self._constants[name] = value
        return name

    def function(self, parameters: str, expression: str) -> Callable[..., Any]:
        """A function of an expression."""
        source = f"lambda {parameters}: {expression}"
        self.size += len(source)
        made: Callable[..., Any] = eval(compile(source, "<plan>", "eval"), self._constants)  # noqa: S307 - of names that were validated, and our own words
        return made

    def each(self, expression: str, children: int) -> Callable[..., list[Any]]:
        """A function of records, and of the values that children made for them."""
        names = [f"k{index}" for index in range(children)]
        lists = [name.upper() for name in names]
        items = f"for {', '.join(['r', *names])} in zip(rows, {', '.join(lists)})" if names else "for r in rows"
        return self.function(", ".join(["context", "cursor", "rows", *lists]), f"[{expression} {items}]")

    def leaf(self, kind: GraphQLNamedType, name: str) -> str:
        """A value, which is there, as JSON has it."""
        if isinstance(kind, GraphQLEnumType):
            return f"{self.constant(words(kind))}[{name}]"
        if not isinstance(kind, GraphQLScalarType):
            raise Declined
        if kind.name == "JSON":
            return name
        written = f"{self.constant(_serializer(kind))}({name})"
        known = _OF_CLASS.get(kind.name)
        return f"({name} if {name}.__class__ is {known} else {written})" if known else written

    def column(self, model: Any, name: str, place: int) -> str:
        """A column as the database's driver of the loaders would give it."""
        process = _processor(model, name)
        return f"{self.constant(process)}(r[{place}])" if process else f"r[{place}]"

    def column_leaf(self, kind: GraphQLNamedType, model: Any, name: str, place: int) -> str | None:
        """A column, which is there, as JSON has it; None where that is for `leaf` to find out."""
        column = column_of(model, name)
        if isinstance(kind, GraphQLEnumType):
            return self.leaf(kind, f"r[{place}]")
        if isinstance(column.type, _AS_THEY_ARE.get(kind.name, ())) and not isinstance(column.type, BigInteger):
            return f"r[{place}]"
        if kind.name == "ID" and isinstance(column.type, Uuid):
            return f"str(r[{place}])"
        return None

    def row(self, model: Any, places: Sequence[int]) -> str:
        """A row whole, whose columns have these places in the order of `readable`."""
        columns = zip(readable_columns(model), places, strict=True)
        values = ", ".join(self.column(model, name, place) for name, place in columns)
        return f"{self.constant(_row_class(model))}({values})"


def may_be_null(model: Any, name: str) -> bool:
    """Whether a column can be without a value for somebody."""
    return bool(column_of(model, name).nullable) or (model, name) in visibility.COLUMN_VISIBILITY


@lru_cache(maxsize=256)
def words(kind: GraphQLEnumType) -> dict[Any, str]:
    """What the words of an enum are called, by their values."""
    return {value.value: name for name, value in kind.values.items()}


@lru_cache(maxsize=64)
def _serializer(kind: GraphQLScalarType) -> Callable[[Any], Any]:
    return kind.coerce_output_value


@lru_cache(maxsize=256)
def _row_class(model: Any) -> Any:
    return namedtuple(f"{model.__name__}Row", readable_columns(model))  # noqa: PYI024 - its fields are the model's


@lru_cache(maxsize=4_096)
def column_of(model: Any, name: str) -> Any:
    """The column of an attribute."""
    return inspect(model).column_attrs[name].columns[0]


@lru_cache(maxsize=4_096)
def _processor(model: Any, name: str) -> Callable[[Any], Any] | None:
    kind = column_of(model, name).type
    if isinstance(kind, Enum | Float | Numeric):
        return None  # asyncpg's own values are the ones wanted
    found: Callable[[Any], Any] | None = kind.dialect_impl(_DIALECT).result_processor(_DIALECT, None)
    return found
