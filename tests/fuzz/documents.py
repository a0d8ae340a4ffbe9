"""Random documents of the schema: real fields and arguments, hostile values, fragments and directives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)

if TYPE_CHECKING:
    from random import Random

HOSTILE_VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63,
        -(2**63) - 1,
        10**30,
        0.1,
        -0.0,
        1e308,
        "",
        " ",
        "\0",
        "\ud800",
        "a\udfff",
    ),
    *(
        "x" * 70_000,
        "%_\\" * 500,
        "é" * 100,
        "\u202e\u0000",
        "${7*7}",
        "' OR 1=1 --",
        "<script>",
        "../../../etc/passwd",
    ),
    *(
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59+14:00",
        "2026-01-01T24:00:00Z",
        "2026-02-30",
        "1e999",
        "NaN",
        "sNaN",
    ),
    *(
        "Infinity",
        "1E+999999999",
        "٣٤٥",
        "-0",
        "00000000-0000-0000-0000-000000000000",
        "{urn:uuid:x}",
        "eyJ9",
        "W10=",
        "[[]]",
    ),
    *("+447700900123", "07700 900 123", "a@b.example", "a@[127.0.0.1]", "((name))", "((a??b))", "phone number\n0"),
    *([], {}, [None], [[[[[[[[]]]]]]]], {"a": {"b": {"c": {}}}}, ["x"] * 1_001, {"": ""}, list(range(300))),
]
"""Values at the limits of types and libraries."""
MAX_SELECTION_DEPTH = 5


class DocumentGenerator:
    """Random operations; `known` are ids that exist."""

    def __init__(self, random: Random, schema: GraphQLSchema, ids: list[str]) -> None:
        self._random = random
        self._schema = schema
        self._ids = ids
        self._variables: dict[str, tuple[str, Any]] = {}
        self._fragments: list[str] = []

    def operation(self) -> dict[str, Any]:
        """The members of a request."""
        random = self._random
        self._variables, self._fragments = {}, []
        root, word = self._schema.query_type, "query"
        kind = random.random()
        if kind < 0.15:
            root, word = self._schema.mutation_type, "mutation"
        elif kind < 0.2:
            root, word = self._schema.subscription_type or root, "subscription"
        assert root is not None
        selection = self._selection(root, MAX_SELECTION_DEPTH, 3)
        declared = ", ".join(f"${name}: {kind}" for name, (kind, _) in self._variables.items())
        head = f"{word} Fuzzed({declared})" if declared else f"{word} Fuzzed"
        text = f"{head} {self._directive()}{selection} {' '.join(self._fragments)}"
        body: dict[str, Any] = {"query": text}
        if self._variables:
            body["variables"] = {name: value for name, (_, value) in self._variables.items()}
        if random.random() < 0.1:
            body["operationName"] = random.choice(["Fuzzed", "Other", "", None])
        if random.random() < 0.05:
            body["extensions"] = random.choice(HOSTILE_VALUES)
        return body

    def _selection(self, parent: Any, depth: int, max_fields: int) -> str:
        random = self._random
        if isinstance(parent, GraphQLUnionType):
            kinds = [random.choice(parent.types)]
        elif isinstance(parent, GraphQLInterfaceType):
            kinds = [random.choice(self._schema.get_possible_types(parent))]
        else:
            kinds = []
        parts = ["__typename"] if random.random() < 0.2 or isinstance(parent, GraphQLUnionType) else []
        parts += [
            f"... on {type_.name} {self._directive()}{self._selection(type_, depth - 1, max_fields)}" for type_ in kinds
        ]
        if not isinstance(parent, GraphQLUnionType):
            fields = list(parent.fields.items())
            chosen = random.sample(fields, min(len(fields), random.randint(1, max_fields)))
            parts += [self._field(name, field, depth) for name, field in chosen]
        if isinstance(parent, GraphQLObjectType) and random.random() < 0.1 and depth > 1:
            fragment = f"F{len(self._fragments)}"
            self._fragments.append("")
            place = len(self._fragments) - 1
            inner = f"...{fragment}" if random.random() < 0.1 else self._selection(parent, depth - 1, 2).strip("{}")
            self._fragments[place] = f"fragment {fragment} on {parent.name} {{ {inner} }}"
            parts.append(f"...{fragment}")
        return "{ " + " ".join(parts) + " }" if any(parts) else "{ __typename }"

    def _field(self, name: str, field: GraphQLField, depth: int) -> str:
        random = self._random
        arguments = []
        for argument, kind in field.args.items():
            if isinstance(kind.type, GraphQLNonNull) or random.random() < 0.4:
                arguments.append(f"{argument}: {self._argument(kind.type)}")
        called = name if random.random() < 0.9 else f"a{random.randrange(100)}: {name}"
        text = f"{called}{'(' + ', '.join(arguments) + ')' if arguments else ''} {self._directive()}"
        of = get_named_type(field.type)
        if isinstance(of, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType):
            if depth <= 0:
                return ""
            text += self._selection(of, depth - 1, 4)
        return text

    def _argument(self, kind: Any) -> str:
        if self._random.random() < 0.3:
            name = f"v{len(self._variables)}"
            self._variables[name] = (str(kind), self._value(kind, 3))
            return f"${name}"
        return self._literal(self._value(kind, 3), kind)

    def _value(self, kind: Any, depth: int) -> Any:  # noqa: PLR0911 - a line for each kind
        random = self._random
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if random.random() < 0.15:
            return random.choice(HOSTILE_VALUES)
        if isinstance(kind, GraphQLList):
            return [self._value(kind.of_type, depth - 1) for _ in range(random.randrange(3))]
        if isinstance(kind, GraphQLEnumType):
            return random.choice(list(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            fields = kind.fields.items()
            if kind.is_one_of:
                fields = [random.choice(list(fields))]
            return {
                name: self._value(field.type, depth - 1)
                for name, field in fields
                if isinstance(field.type, GraphQLNonNull) or kind.is_one_of or (depth > 0 and random.random() < 0.4)
            }
        plain = {"Int": random.randint(-1, 101), "Boolean": random.random() < 0.5, "Float": random.random()}
        if kind.name in plain:
            return plain[kind.name]
        if kind.name == "ID":
            return random.choice(self._ids)
        return random.choice(["Zoë", "a", "2026-01-01T00:00:00Z", "2026-01-01", "07700900123", "a@b.example", "1"])

    def _literal(self, value: Any, kind: Any) -> str:
        """A value as GraphQL literal."""
        kind = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if isinstance(value, dict):
            fields = kind.fields if isinstance(kind, GraphQLInputObjectType) else {}
            parts = (
                f"{name or '_'}: {self._literal(item, getattr(fields.get(name), 'type', None))}"
                for name, item in value.items()
            )
            return "{" + ", ".join(parts) + "}"
        if isinstance(value, list):
            of = kind.of_type if isinstance(kind, GraphQLList) else None
            return "[" + ", ".join(self._literal(item, of) for item in value) + "]"
        if isinstance(kind, GraphQLEnumType) and isinstance(value, str) and value.isidentifier():
            return value
        return json.dumps(value)

    def _directive(self) -> str:
        if self._random.random() < 0.93:
            return ""
        chosen = [
            "@skip(if: false) ",
            "@include(if: true) ",
            "@skip(if: true) ",
            "@nothing ",
            "@skip ",
            "@include(if: 1) ",
        ]
        return self._random.choice([*chosen, "@skip(if: false) @skip(if: false) "])
