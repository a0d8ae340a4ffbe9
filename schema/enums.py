"""The vocabulary, registered with GraphQL: names and descriptions come from `graphql_api.enums`."""

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from graphql_api import enums

for _enum in vars(enums).values():
    if isinstance(_enum, type) and issubclass(_enum, enums.DatabaseEnum) and _enum is not enums.DatabaseEnum:
        strawberry.enum(_enum, description=_enum.__doc__)
        _definition: StrawberryEnumDefinition = _enum.__strawberry_definition__  # type: ignore[attr-defined]
        for _value in _definition.values:
            _value.description = _enum[_value.name].description
