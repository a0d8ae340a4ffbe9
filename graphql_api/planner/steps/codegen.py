"""Python functions made for one plan: expressions that copy records and values into the response.

In an expression `r` is a record, `v` a value of a function, `context` the request's context, `k0`, `k1` ... what the
child steps made for the record, and `cursor` a function that makes the record's cursor. An expression whose value would
be an error of GraphQL raises an exception, and the plan is abandoned.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from graphql import (
    GraphQLEnumType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    is_abstract_type,
    is_leaf_type,
)
from sqlalchemy import BigInteger, Boolean, DateTime, Enum, Float, Integer, Numeric, String, Uuid

from graphql_api.context import Context
from graphql_api.planner.driver_pool import Record
from graphql_api.planner.errors import NotPlannable, non_null
from graphql_api.planner.selections import as_object_type, enum_names
from graphql_api.planner.steps.selects import DIALECT, column_of, is_nullable
from loaders.core import readable_columns
from schema.core.connections import Connection
from schema.core.entities import is_entity

if TYPE_CHECKING:
    from graphql.execution.collect_fields import FieldDetailsList

    from graphql_api.models.base import Model
    from graphql_api.planner.selections import SelectedField, Selections

JSONValue: TypeAlias = object
"""What orjson writes: a dict, a list, a scalar, an instant, or an `orjson.Fragment` that PostgreSQL wrote."""
CursorFunction: TypeAlias = Callable[[Record], str]
RecordsFunction: TypeAlias = Callable[..., list[JSONValue]]
"""A function of the context, a cursor function, records, and for each child step a value for each record."""
ValuesFunction: TypeAlias = Callable[[Context, Sequence[object]], list[JSONValue]]

_SAME_IN_JSON = {
    "String": (String, Enum),
    "Boolean": (Boolean,),
    "Int": (Integer,),
    "DateTime": (DateTime,),
}
"""Scalars, with the types of columns whose values orjson writes as the scalar would be."""
_PYTHON_CLASSES = {"String": "str", "Boolean": "bool"}


def fail() -> NoReturn:
    """Abandon the plan where a value must not be null."""
    raise NotPlannable


class CodeGenerator:
    """Expressions for the values of an operation, and functions made of expressions."""

    def __init__(self, selections: Selections) -> None:
        self._selections = selections
        self._constants: dict[str, object] = {"fail": fail, "non_null": non_null}
        self._constant_names: dict[int, str] = {}
        self._name_count = 0
        self.source_characters = 0

    def constant(self, value: object) -> str:
        """A name for a value."""
        name = self._constant_names.get(id(value))
        if name is None:
            name = self._constant_names[id(value)] = self._unique_name("c")
            self._constants[name] = value
        return name

    def function(self, parameters: str, expression: str) -> Callable[..., JSONValue]:
        """A function of these parameters."""
        source = f"lambda {parameters}: {expression}"
        self.source_characters += len(source)
        function: Callable[..., JSONValue] = eval(compile(source, "<plan>", "eval"), self._constants)  # noqa: S307 - of validated names and this module's own texts
        return function

    def records_function(self, expression: str, children: int) -> RecordsFunction:
        """A function that evaluates an expression for each record."""
        names = [f"k{index}" for index in range(children)]
        lists = [name.upper() for name in names]
        items = f"for {', '.join(['r', *names])} in zip(rows, {', '.join(lists)})" if names else "for r in rows"
        return self._list_function(", ".join(["context", "cursor", "rows", *lists]), f"[{expression} {items}]")

    def values_function(self, expression: str) -> ValuesFunction:
        """A function that evaluates an expression for each value."""
        return self._list_function("context, values", f"[{expression} for v in values]")

    def keys_function(self, expression: str) -> Callable[[Context, Sequence[Record]], list[JSONValue]]:
        """A function that evaluates an expression for each record, without children."""
        return self._list_function("context, rows", f"[{expression} for r in rows]")

    def _list_function(self, parameters: str, expression: str) -> Callable[..., list[JSONValue]]:
        function: Callable[..., list[JSONValue]] = self.function(parameters, expression)  # type: ignore[assignment]  # the expression is a list
        return function

    def _unique_name(self, letter: str) -> str:
        self._name_count += 1
        return f"{letter}{self._name_count}"

    # Values of functions: results of resolvers, batch functions and computed fields.

    def value(self, kind: GraphQLOutputType, nodes: FieldDetailsList, expression: str) -> str:
        """A value of a type as JSON has it, from an expression that is used once."""
        required = isinstance(kind, GraphQLNonNull)
        inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        name = self._unique_name("t")
        present = self._present_value(inner, nodes, name)
        if present == name:
            return f"non_null({expression})" if required else expression
        return f"({'fail()' if required else 'None'} if ({name} := {expression}) is None else {present})"

    def _present_value(self, kind: GraphQLOutputType, nodes: FieldDetailsList, name: str) -> str:
        """A value that is not null, by its name."""
        if isinstance(kind, GraphQLList):
            item = self._unique_name("t")
            return f"[{self.value(kind.of_type, nodes, item)} for {item} in {name}]"
        if is_leaf_type(kind):
            return self.leaf(kind, name)
        if is_abstract_type(kind):
            writers = {
                _python_class(possible): self.function("v", self._object(possible, nodes, "v"))
                for possible in self._selections.schema.get_possible_types(kind)
            }
            return f"{self.constant(writers)}[{name}.__class__]({name})"
        return self._object(as_object_type(kind), nodes, name)

    def _object(self, kind: GraphQLObjectType, nodes: FieldDetailsList, name: str) -> str:
        if is_entity(_python_class(kind)) or issubclass(_python_class(kind), Connection):
            raise NotPlannable
        return "{" + ", ".join(self._item(kind, field, name) for field in self._selections.fields(kind, nodes)) + "}"

    def _item(self, kind: GraphQLObjectType, field: SelectedField, name: str) -> str:
        if field.name == "__typename":
            return f"{field.response_key!r}: {kind.name!r}"
        if field.strawberry.base_resolver is not None:
            raise NotPlannable
        return (
            f"{field.response_key!r}: {self.value(field.type, field.nodes, f'{name}.{field.strawberry.python_name}')}"
        )

    def leaf(self, kind: GraphQLNamedType, name: str) -> str:
        """A scalar or an enum that is not null, as JSON has it."""
        if isinstance(kind, GraphQLEnumType):
            return f"{self.constant(enum_names(kind))}[{name}]"
        if not isinstance(kind, GraphQLScalarType):
            raise NotPlannable
        if kind.name == "JSON":
            return name
        serialized = f"{self.constant(_serializer(kind))}({name})"
        python_class = _PYTHON_CLASSES.get(kind.name)
        return f"({name} if {name}.__class__ is {python_class} else {serialized})" if python_class else serialized

    # Columns of records.

    def column_value(self, model: type[Model], name: str, place: int) -> str:
        """A column as SQLAlchemy would read it."""
        process = _result_processor(model, name)
        return f"{self.constant(process)}(r[{place}])" if process else f"r[{place}]"

    def column(
        self, field: SelectedField, model: type[Model], name: str, place: int, *, blank_is_null: bool, non_null: bool
    ) -> str:
        """A column as JSON has it; with `non_null`, it can be null only where `is_nullable` is true."""
        if blank_is_null:
            return self.value(field.type, field.nodes, f"(r[{place}] or None)")
        required = isinstance(field.type, GraphQLNonNull)
        kind = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
        present = self._present_column(kind, model, name, place) if is_leaf_type(kind) else None
        if present is None:
            return self.value(field.type, field.nodes, self.column_value(model, name, place))
        if non_null and not is_nullable(model, name):
            return present
        if present == f"r[{place}]":
            return f"non_null({present})" if required else present
        return f"({'fail()' if required else 'None'} if r[{place}] is None else {present})"

    def _present_column(self, kind: GraphQLNamedType, model: type[Model], name: str, place: int) -> str | None:
        """A column that is not null, as JSON has it; None where only the scalar itself can convert it."""
        stored = column_of(model, name).type
        if isinstance(kind, GraphQLEnumType):
            return self.leaf(kind, f"r[{place}]")
        if isinstance(stored, _SAME_IN_JSON.get(kind.name, ())) and not isinstance(stored, BigInteger):
            return f"r[{place}]"
        if kind.name == "ID" and isinstance(stored, Uuid):
            return f"str(r[{place}])"
        return None

    def row(self, model: type[Model], places: Sequence[int]) -> str:
        """A whole row, whose columns have these places in the order of `readable_columns`."""
        columns = zip(readable_columns(model), places, strict=True)
        values = ", ".join(self.column_value(model, name, place) for name, place in columns)
        return f"{self.constant(_row_class(model))}({values})"


@lru_cache(maxsize=64)
def _serializer(kind: GraphQLScalarType) -> Callable[[object], JSONValue]:
    return kind.coerce_output_value


@lru_cache(maxsize=256)
def _row_class(model: type[Model]) -> type[tuple[object, ...]]:
    return namedtuple(f"{model.__name__}Row", readable_columns(model))  # noqa: PYI024 - its fields are the model's


@lru_cache(maxsize=4_096)
def _result_processor(model: type[Model], name: str) -> Callable[[object], object] | None:
    kind = column_of(model, name).type
    if isinstance(kind, Enum | Float | Numeric):
        return None  # asyncpg's own values are right
    processor: Callable[[object], object] | None = kind.dialect_impl(DIALECT).result_processor(DIALECT, None)
    return processor


def _python_class(kind: GraphQLObjectType) -> type[object]:
    python_class: type[object] = kind.extensions["strawberry-definition"].origin
    return python_class
