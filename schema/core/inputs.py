"""Inputs become the domain's arguments: ids are UUIDs, what was left out is left out."""

import dataclasses
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform, get_args

import strawberry

from graphql_api.content.values import uuid_or_none
from graphql_api.errors import NotFound
from schema.core import descriptions
from schema.core.types import apply_descriptions

T = TypeVar("T")


class Input:
    """What every input can do; `ids` are the fields that hold ids, `members` those of which one or none is given."""

    id_fields: ClassVar[frozenset[str]]
    one_of_fields: ClassVar[frozenset[str]]

    def values(self, *path: str) -> dict[str, Any]:
        """The fields that were given, by their Python names; `NotFound` for an id that is no UUID."""
        given = {}
        for field in dataclasses.fields(cast(Any, self)):
            value = getattr(self, field.name)
            if value is strawberry.UNSET or (value is None and field.name in self.one_of_fields):
                continue
            if isinstance(value, strawberry.Some):
                value = value.value
            given[field.name] = _to_domain_value(value, field.name in self.id_fields, *path, field.name)
        return given


@dataclass_transform(kw_only_default=True)
def input_type(cls: type[T]) -> type[T]:
    """An input object, described by its docstrings."""
    return _make_input(cls, one_of=False)


@dataclass_transform(kw_only_default=True)
def one_of_input(cls: type[T]) -> type[T]:
    """An input object of which exactly one field is given: annotate them `strawberry.Maybe[X]`."""
    return _make_input(cls, one_of=True)


def _make_input(cls: type[T], *, one_of: bool) -> type[T]:
    for name in cls.__annotations__:
        if cls.__dict__.get(name, strawberry.UNSET) is None:
            setattr(cls, name, strawberry.UNSET)
    apply_descriptions(cls)
    annotations = cls.__annotations__
    made = strawberry.input(cls, description=descriptions.of_class(cls), one_of=one_of)
    made.id_fields = frozenset(name for name, annotation in annotations.items() if _is_id(annotation))  # type: ignore[attr-defined]
    made.one_of_fields = frozenset(name for name, annotation in annotations.items() if "Maybe[" in repr(annotation))  # type: ignore[attr-defined]
    return made


def _is_id(annotation: Any) -> bool:
    return annotation is strawberry.ID or any(_is_id(part) for part in get_args(annotation))


def _to_domain_value(value: Any, is_id: bool, *path: str) -> Any:
    if isinstance(value, Input):
        return value.values(*path)
    if isinstance(value, list):
        return [_to_domain_value(one, is_id, *path, str(index)) for index, one in enumerate(value)]
    if is_id and value is not None:
        read = uuid_or_none(value)
        if read is None:
            raise NotFound(value, *path)
        return read
    return value
