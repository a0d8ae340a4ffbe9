"""Object types that are values, not rows, described by their docstrings."""

from typing import Any, TypeVar, dataclass_transform

import strawberry

from schema.core import descriptions

T = TypeVar("T")


@dataclass_transform(kw_only_default=True)
def value_object(cls: type[T]) -> type[T]:
    """An object type made of values; the docstrings of the class and under its attributes become descriptions."""
    apply_descriptions(cls)
    return strawberry.type(cls, description=descriptions.of_class(cls))


def apply_descriptions(cls: type[Any]) -> None:
    """Make Strawberry fields of annotated attributes, with the docstring under each as description; defaults stay."""
    for name, text in descriptions.of_attributes(cls).items():
        present = cls.__dict__.get(name, strawberry.UNSET)
        if present is strawberry.UNSET and name not in cls.__dict__:
            setattr(cls, name, strawberry.field(description=text))
        elif hasattr(present, "base_resolver"):
            present.description = present.description or text
        elif isinstance(present, list):
            setattr(cls, name, strawberry.field(default_factory=lambda value=present: list(value), description=text))
        else:
            setattr(cls, name, strawberry.field(default=present, description=text))
