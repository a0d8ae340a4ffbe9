"""Hostile values in every place of the schema that takes a scalar, as variables and as literals: none gets anywhere."""

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_object_type,
    is_required_argument,
    is_required_input_field,
)

from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.gateways.object_store import Store
from graphql_api.http.requests import Operation
from graphql_api.planner import Planner
from graphql_api.settings import Settings
from schema import schema
from tests.conftest import SingleConnectionDatabase, Statements

SCHEMA = schema._schema  # noqa: SLF001 - Strawberry has no other name for it
UUID = "018f5f5c-0000-7000-8000-000000000000"
MANY = "9" * 5_000


@dataclass(frozen=True)
class Literal:
    """A value as it is written in a document."""

    text: str


def texts(*values: str) -> list[Any]:
    """Texts, as variables and as literals."""
    return [*values, *(Literal(json.dumps(value)) for value in values)]


def arabic(text: str) -> str:
    """A text with the digits that Arabic has, which Python takes for digits too."""
    return "".join(chr(0x660 + int(character)) if character.isdigit() else character for character in text)


PLAIN = {
    "String": "x",
    "ID": UUID,
    "Int": 1,
    "Boolean": True,
    "DateTime": "2026-04-01T09:30:00Z",
    "Date": "2026-04-01",
    "JSON": {},
}
ANY = [
    "\0",
    "é\0",
    "\ud800",
    "\udfff!",
    2**63,
    -(2**63) - 1,
    float("nan"),
    float("inf"),
    *map(Literal, (r'"\u0000"', '"\0"', '"""\0"""', r'"\uD800"', r'"\u{D800}"', MANY, "-" + MANY, "1e999", "-1e999")),
]
DEEP: Any = "deep"
for _ in range(20):
    DEEP = [DEEP]
HOSTILE: dict[str, list[Any]] = {
    "String": [1, True, 1.5, [[]], {"a": 1}, *map(Literal, ("1", "true", "1.5", "{a: 1}"))],
    "ID": [True, 1.5, [[]], {"a": 1}, *map(Literal, ("true", "1.5", "1e3"))],
    "Int": [
        *(2**31, -(2**31) - 1, 1.5, 1e10, True, "1", arabic("1")),
        *map(Literal, ("2147483648", "-2147483649", "1.5", "1e10", "true", '"1"', f'"{arabic("1")}"')),
    ],
    "Boolean": [0, 1, "true", *map(Literal, ("0", "1", '"true"'))],
    "DateTime": [
        *(0, True, *map(Literal, ("0", "2026", "true"))),
        *texts(
            *("", "now", "infinity", "2026-04-01", "2026-04-01T09:30:00", "20260401T093000Z", "2026-W14-3T09:30:00Z"),
            *("2026-04-01T24:00:00Z", "2026-04-01T09:60:00Z", "2026-04-01T09:30:60Z", "2026-02-29T00:00:00Z"),
            *(
                "2026-04-01T09:30:00+25:00",
                "2026-04-01T09:30:00+14:61",
                arabic("2026-04-01T09:30:00Z"),
                arabic("2026") + "-04-01T09:30:00Z",
            ),
            *("0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "10000-01-01T00:00:00Z"),
            *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "2026-04-01T09:30:00Z\n", " 2026-04-01T09:30:00Z"),
        ),
    ],
    "Date": [
        *(0, True, *map(Literal, ("0", "2026", "true"))),
        *texts(
            "",
            "today",
            "20260401",
            "2026-W14-3",
            "2026-13-01",
            "2026-02-29",
            arabic("2026-04-01"),
            "2026-04-01T00:00:00Z",
        ),
        *texts("0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "2026-04-01\n", "-2026-04-01"),
    ],
    "JSON": [
        *(DEEP, {"a": DEEP}, {"a": "\0"}, {"\0": 1}, {"\ud800": 1}, {"a": ["\ud800"]}, {"a": 2**63}, [float("nan")]),
        *map(Literal, ("[" * 20 + "]" * 20, "{a: " * 20 + "1" + "}" * 20, r'{a: "\u0000"}', "{a: 1e999}", f"[{MANY}]")),
    ],
}
IDS = [
    "",
    "x",
    "5",
    5,
    f"{{{UUID}}}",
    f"urn:uuid:{UUID}",
    UUID.replace("-", ""),
    f" {UUID}",
    f"{UUID}\n",
    arabic("0" * 32),
    "x" * 60_000,
]
"""Strings that are no valid id."""


@dataclass(frozen=True)
class Place:
    """A scalar of an argument: the fields that lead to it, the argument, and the input fields within."""

    root: str
    path: tuple[tuple[str, GraphQLField, str], ...]
    """Fields, and the types of which their values must be."""
    parent: GraphQLObjectType
    name: str
    field: GraphQLField
    argument: str
    inside: tuple[str, ...]
    scalar: str

    def __str__(self) -> str:
        """As a reader would name it."""
        return ".".join((self.parent.name, self.name, self.argument, *self.inside))

    def ask(self, value: Any) -> tuple[str, dict[str, Any]]:
        """A document with this value there and good values elsewhere, and its variables."""
        kind = self.field.args[self.argument].type
        argument_value = put(kind, self.inside, value)
        declared = "" if isinstance(value, Literal) else f"($v: {kind})"
        written = literal(argument_value, kind) if isinstance(value, Literal) else "$v"
        selection = called(self.name, self.field, {self.argument: written})
        for name, field, kind_of_it in reversed(self.path):
            selection = called(name, field, {}, f"... on {kind_of_it} {{ {selection} }}")
        return f"{self.root}{declared} {{ {selection} }}", {} if isinstance(value, Literal) else {"v": argument_value}


def called(name: str, field: GraphQLField, arguments: dict[str, str], selection: str = "__typename") -> str:
    """A field with good values for what it needs besides."""
    for argument_name, argument in field.args.items():
        if argument_name not in arguments and (is_required_argument(argument) or argument_name == "first"):
            arguments[argument_name] = literal(plain(argument.type), argument.type)
    text = ", ".join(f"{argument_name}: {value}" for argument_name, value in arguments.items())
    return (
        name
        + (f"({text})" if text else "")
        + ("" if is_leaf_type(get_named_type(field.type)) else f" {{ {selection} }}")
    )


def plain(kind: Any) -> Any:
    """A good value of a type, as small as can be."""
    if isinstance(kind, GraphQLNonNull):
        return plain(kind.of_type)
    if isinstance(kind, GraphQLList):
        return [plain(kind.of_type)]
    if isinstance(kind, GraphQLEnumType):
        return next(iter(kind.values))
    if isinstance(kind, GraphQLInputObjectType):
        needed = [name for name, field in kind.fields.items() if is_required_input_field(field)]
        return {name: plain(kind.fields[name].type) for name in needed or list(kind.fields)[: kind.is_one_of]}
    return PLAIN[kind.name]


def put(kind: Any, inside: tuple[str, ...], value: Any) -> Any:
    """A valid value of a type, with another value at one place."""
    if isinstance(kind, GraphQLNonNull):
        return put(kind.of_type, inside, value)
    if isinstance(kind, GraphQLList):
        return [put(kind.of_type, inside, value)]
    if not inside:
        return value
    within = put(kind.fields[inside[0]].type, inside[1:], value)
    return ({} if kind.is_one_of else plain(kind)) | {inside[0]: within}


def literal(value: Any, kind: Any) -> str:
    """A value as a document has it."""
    kind = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    if isinstance(value, Literal):
        return value.text
    if isinstance(kind, GraphQLList):
        return f"[{', '.join(literal(item, kind.of_type) for item in value)}]"
    if isinstance(kind, GraphQLInputObjectType):
        return "{" + ", ".join(f"{name}: {literal(item, kind.fields[name].type)}" for name, item in value.items()) + "}"
    return str(value) if isinstance(kind, GraphQLEnumType) else json.dumps(value)


def scalars(argument: GraphQLArgument) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The scalars of an argument, and where they stand in it."""

    def within(kind: Any, inside: tuple[str, ...], seen: frozenset[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        kind = get_named_type(kind)
        if isinstance(kind, GraphQLInputObjectType):
            if kind.name not in seen:
                for name, field in kind.fields.items():
                    yield from within(field.type, (*inside, name), seen | {kind.name})
        elif not isinstance(kind, GraphQLEnumType):
            yield kind.name, inside

    yield from within(argument.type, (), frozenset())


def places() -> Iterator[Place]:
    """Every place, by a shortest path there from a root."""
    roots = [("query", SCHEMA.query_type), ("mutation", SCHEMA.mutation_type)]
    queue: deque[tuple[str, Any, GraphQLObjectType]] = deque((root, (), kind) for root, kind in roots if kind)
    seen = {kind.name for _, _, kind in queue}
    while queue:
        root, path, parent = queue.popleft()
        for name, field in parent.fields.items():
            for argument, takes in field.args.items():
                for scalar, inside in scalars(takes):
                    yield Place(root, path, parent, name, field, argument, inside, scalar)
            kind: Any = get_named_type(field.type)
            kinds = SCHEMA.get_possible_types(kind) if not is_object_type(kind) and not is_leaf_type(kind) else [kind]
            for object_type in kinds:
                if is_object_type(object_type) and object_type.name not in seen:
                    seen.add(object_type.name)
                    queue.append((root, (*path, (name, field, object_type.name)), object_type))


PLACES = list(places())


@pytest.fixture
def context(database: SingleConnectionDatabase, settings: Settings, signer: Signer, store: Store) -> Context:
    """That of somebody who may do anything."""
    return Context(Actor(ActorKind.ADMIN, user_id=uuid4()), database, settings, signer, store)


def test_every_argument_and_input_field_is_covered() -> None:
    taken = {
        f"{kind.name}.{name}.{argument}"
        for kind in SCHEMA.type_map.values()
        if is_object_type(kind) and not kind.name.startswith("__") and kind is not SCHEMA.subscription_type
        for name, field in kind.fields.items()
        for argument, takes in field.args.items()
        if any(scalars(takes))
    }

    assert {".".join(str(place).split(".")[:3]) for place in PLACES} == taken
    assert len(PLACES) > 300


@pytest.mark.parametrize("scalar", sorted(HOSTILE))
async def test_no_hostile_value_reaches_the_database(context: Context, statements: Statements, scalar: str) -> None:
    planner = Planner.of(schema, context.database, context.settings)
    wrong, count = [], 0
    with statements(0):
        for place in PLACES:
            if place.scalar != scalar:
                continue
            for value in (*ANY, *HOSTILE[scalar]):
                document, variables = place.ask(value)
                result = await schema.execute(document, variable_values=variables, context_value=context)
                assert await planner(Operation(document, None, variables), context) is None
                count += 1
                codes = {(error.extensions or {}).get("code") for error in result.errors or ()}
                if codes != {"BAD_REQUEST"} or result.data is not None:
                    wrong.append((str(place), repr(value)[:60], codes))
        assert wrong == []
    assert count >= len(ANY)


async def test_a_string_that_is_no_id_finds_nothing_without_a_statement(
    context: Context, statements: Statements
) -> None:
    wrong = []
    with statements(0):
        for place in PLACES:
            if place.scalar != "ID" or place.path:
                continue
            for value in IDS:
                document, variables = place.ask(value)
                result = await schema.execute(document, variable_values=variables, context_value=context)
                if result.errors and any((error.extensions or {}).get("code") == "INTERNAL" for error in result.errors):
                    wrong.append((str(place), value))
        assert wrong == []
