"""The enums of `graphql_api.enums`, registered with GraphQL: names and descriptions are theirs."""

from typing import TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from graphql_api import enums

E = TypeVar("E", bound=enums.DatabaseEnum)

for _enum in vars(enums).values():
    if isinstance(_enum, type) and issubclass(_enum, enums.DatabaseEnum) and _enum is not enums.DatabaseEnum:
        strawberry.enum(_enum, description=_enum.__doc__)
        _definition: StrawberryEnumDefinition = _enum.__strawberry_definition__  # type: ignore[attr-defined]
        for _value in _definition.values:
            _value.description = _enum[_value.name].description


def member_or_none(enum: type[E], value: str | None) -> E | None:
    """The member with a stored value; None for null, and for a value that the enum lacks."""
    try:
        return None if value is None else enum(value)
    except ValueError:
        return None
