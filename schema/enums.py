"""The vocabulary, registered with GraphQL: names and descriptions come from `graphql_api.enums`."""

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from graphql_api import enums

for _word in vars(enums).values():
    if isinstance(_word, type) and issubclass(_word, enums.Word) and _word is not enums.Word:
        strawberry.enum(_word, description=_word.__doc__)
        _definition: StrawberryEnumDefinition = _word.__strawberry_definition__  # type: ignore[attr-defined]
        for _value in _definition.values:
            _value.description = _word[_value.name].description
