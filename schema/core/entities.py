"""Entities: types whose fields are columns and relationships of a model, checked when the module is imported.

What a class does not annotate is not exposed, so that secrets need no deny-list. An entity's object holds its row and
nothing else; `fields` holds the declarations, from which the planner compiles statements.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast, dataclass_transform

import strawberry

from graphql_api.limits import points
from loaders.core import Row, readable_columns, row
from schema.core import descriptions, resolvers
from schema.core.fields import (
    BatchedField,
    ByIdField,
    ColumnField,
    ComputedField,
    ConnectionField,
    ToManyField,
    ToOneField,
    ToUnionField,
)
from schema.core.registry import Entity, register
from schema.core.types import apply_descriptions

T = TypeVar("T")
FieldDeclaration = (
    ColumnField | ComputedField | ConnectionField | ToUnionField | ByIdField | BatchedField | ToManyField | ToOneField
)


@dataclass_transform(kw_only_default=True)
def entity(
    model: type[Any], *, by_id: Row | None = None, service: str | None = "service_id", name: str | None = None
) -> Callable[[type[T]], type[T]]:
    """Make a GraphQL type of a model's columns and of the fields that the class declares.

    `service` names the column with the id of the service in which permissions of fields are required; `by_id` is the
    loader of one row. Raises `TypeError` for a field that is no readable column.
    """

    def decorate(cls: type[T]) -> type[T]:
        names = set(readable_columns(cast(Any, model)))
        declared: dict[str, Any] = {}
        for field in {**_inherited_annotations(cls), **_own_annotations(cls)}:
            value = cls.__dict__.get(field, ColumnField(field))
            if isinstance(value, ColumnField):
                _check(
                    value.name in names,
                    f"{cls.__name__}.{field}: {model.__name__} has no readable column {value.name!r}",
                )
            if isinstance(value, FieldDeclaration):
                declared[field] = value
        kind: Any = _make_type(cls, declared, name)
        kind.model, kind.service_column, kind.fields = model, service if service in names else None, declared
        if "id" in names:
            kind.by_id = by_id or row(model.id)
        register(model, kind)
        return cast(type[T], kind)

    return decorate


@dataclass_transform(kw_only_default=True)
def query_fields(cls: type[T]) -> type[T]:
    """A part of Query: connections over whole tables, and entities by id."""
    declared = {
        field: value
        for field in _own_annotations(cls)
        if isinstance(value := cls.__dict__.get(field), FieldDeclaration)
    }
    kind: Any = _make_type(cls, declared, None)
    kind.fields = declared
    return cast(type[T], kind)


@dataclass_transform(kw_only_default=True)
def interface(cls: type[T]) -> type[T]:
    """An interface; the docstrings of the class and under its attributes become descriptions."""
    apply_descriptions(cls)
    return strawberry.interface(cls, description=descriptions.of_class(cls))


def _own_annotations(cls: type[Any]) -> dict[str, Any]:
    return {name: value for name, value in inspect.get_annotations(cls).items() if not name.startswith("_")}


def _inherited_annotations(cls: type[Any]) -> dict[str, Any]:
    """Annotations of the interfaces: the columns among them need not be annotated again."""
    interfaces = [base for base in cls.__mro__[1:] if base is not Entity]
    return {name: kind for base in interfaces for name, kind in _own_annotations(base).items()}


def _make_type(cls: type[Any], declared: dict[str, Any], name: str | None) -> Any:
    texts = descriptions.of_attributes(cls)
    annotations = inspect.get_annotations(cls)
    readers: dict[str, property] = {}
    for field, value in declared.items():
        reader = resolvers.property_getter(value)
        if reader is None:
            resolve = resolvers.resolver(field, value, annotations[field])
            metadata = points.weight(getattr(value, "weight", 0))
            setattr(cls, field, strawberry.field(resolver=resolve, description=texts.get(field), metadata=metadata))
            continue
        readers[field] = property(reader)
        if field in annotations:
            setattr(cls, field, strawberry.field(description=texts.get(field)))
    apply_descriptions(cls)
    kind = strawberry.type(cls, name=name, description=descriptions.of_class(cls))
    for field, read in readers.items():
        setattr(kind, field, read)
    return kind


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise TypeError(message)


def is_entity(kind: Any) -> bool:
    """Whether a type is an entity, as opposed to the base class or another type."""
    return isinstance(kind, type) and issubclass(kind, Entity) and dataclasses.is_dataclass(kind)
