"""Input objects as arguments of the domain: ids as UUIDs, without the fields that were left out."""

import dataclasses
from typing import Any, ClassVar, TypeVar, cast, dataclass_transform, get_args

import strawberry

from graphql_api.content.values import uuid_or_none
from graphql_api.errors import NotFound
from schema.core import descriptions
from schema.core.types import apply_descriptions

T = TypeVar("T")


class Input:
    """The base class of inputs; `id_fields` hold ids, `one_of_fields` are those of a oneOf input."""

    id_fields: ClassVar[frozenset[str]]
    one_of_fields: ClassVar[frozenset[str]]

    def values(self, *path: str) -> dict[str, Any]:
        """The fields that were given, by Python name.

        Raises `NotFound`, with a path that begins with `path`, for an id that is no UUID.
        """
        values = {}
        for field in dataclasses.fields(cast(Any, self)):
            value = getattr(self, field.name)
            if value is strawberry.UNSET or (value is None and field.name in self.one_of_fields):
                continue
            if isinstance(value, strawberry.Some):
                value = value.value
            values[field.name] = _to_domain_value(value, field.name in self.id_fields, *path, field.name)
        return values


@dataclass_transform(kw_only_default=True)
def input_type(cls: type[T]) -> type[T]:
    """An input object; the docstrings of the class and under its attributes become descriptions."""
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
    kind = strawberry.input(cls, description=descriptions.of_class(cls), one_of=one_of)
    kind.id_fields = frozenset(name for name, annotation in annotations.items() if _is_id(annotation))  # type: ignore[attr-defined]
    kind.one_of_fields = frozenset(name for name, annotation in annotations.items() if "Maybe[" in repr(annotation))  # type: ignore[attr-defined]
    return kind


def _is_id(annotation: Any) -> bool:
    return annotation is strawberry.ID or any(_is_id(part) for part in get_args(annotation))


def _to_domain_value(value: Any, is_id: bool, *path: str) -> Any:
    if isinstance(value, Input):
        return value.values(*path)
    if isinstance(value, list):
        return [_to_domain_value(item, is_id, *path, str(index)) for index, item in enumerate(value)]
    if is_id and value is not None:
        uuid = uuid_or_none(value)
        if uuid is None:
            raise NotFound(value, *path)
        return uuid
    return value
