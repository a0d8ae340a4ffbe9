"""Valid queries over the whole schema, made up at random: aliases, fragments, variables, conditions and filters."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_object_type,
)

from schema import schema

if TYPE_CHECKING:
    from random import Random

SCHEMA = schema._schema  # noqa: SLF001 - generated documents read the schema as GraphQL sees it
DEEPEST = 6
ROOTS = (
    "service",
    "services",
    "template",
    "notification",
    "job",
    "organisation",
    "organisations",
    "user",
    "users",
    "node",
    "nodes",
)


@dataclass
class Document:
    """One query that is being made up, with the ids that it may ask for."""

    random: Random
    ids: list[str]
    variables: dict[str, Any] = field(default_factory=dict)
    definitions: list[str] = field(default_factory=list)
    fragments: list[str] = field(default_factory=list)
    count: int = 0

    def text(self) -> str:
        """The whole of it."""
        roots = [self._field(SCHEMA.query_type, self.random.choice(ROOTS), DEEPEST) for _ in range(self._few(3))]
        if self.random.random() < 0.2:
            roots.append("__typename")
        head = f"({', '.join(self.definitions)})" if self.definitions else ""
        return "\n".join([f"query Made{head} {{ {' '.join(roots)} }}", *self.fragments])

    def _few(self, most: int) -> int:
        return self.random.randint(1, most)

    def _name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def _selection(self, kind: Any, depth: int) -> str:
        names = list(kind.fields) if hasattr(kind, "fields") else []
        leaves = [one for one in names if is_leaf_type(get_named_type(kind.fields[one].type))]
        others = [one for one in names if one not in leaves]
        parts = [self._field(kind, self.random.choice(leaves), depth) for _ in range(self._few(4)) if leaves]
        if depth > 1:
            parts += [self._field(kind, self.random.choice(others), depth) for _ in range(self._few(2)) if others]
        if not parts or self.random.random() < 0.15:
            parts.append("__typename")
        if is_abstract_type(kind):
            possible = SCHEMA.get_possible_types(kind)
            for one in self.random.sample(possible, min(len(possible), 3)):
                parts.append(self._fragment(one, depth))
        elif is_object_type(kind) and self.random.random() < 0.2:
            parts.append(self._fragment(kind, depth))
        self.random.shuffle(parts)
        return f"{{ {' '.join(parts)} }}"

    def _fragment(self, kind: Any, depth: int) -> str:
        selection = self._selection(kind, depth - 1)
        if self.random.random() < 0.5:
            return f"... on {kind.name}{self._condition()} {selection}"
        name = self._name("F")
        self.fragments.append(f"fragment {name} on {kind.name} {selection}")
        return f"...{name}{self._condition()}"

    def _condition(self) -> str:
        if self.random.random() < 0.85:
            return ""
        word = self.random.choice(["skip", "include"])
        if self.random.random() < 0.5:
            return f" @{word}(if: {self.random.choice(['true', 'false'])})"
        return f" @{word}(if: {self._variable('Boolean!', self.random.random() < 0.5)})"

    def _variable(self, kind: str, value: Any) -> str:
        name = self._name("v")
        default = f" = {json.dumps(value)}" if self.random.random() < 0.2 and not isinstance(value, list) else ""
        self.definitions.append(f"${name}: {kind}{default}")
        if not default or self.random.random() < 0.5:
            self.variables[name] = value
        return f"${name}"

    def _field(self, kind: Any, name: str, depth: int) -> str:
        definition = kind.fields[name]
        arguments = self._arguments(definition)
        inner = get_named_type(definition.type)
        aliased = arguments or not is_leaf_type(inner) or self.random.random() < 0.1
        text = (f"{self._name('a')}: " if aliased else "") + name + arguments + self._condition()
        return text if is_leaf_type(inner) else f"{text} {self._selection(inner, depth - 1)}"

    def _arguments(self, definition: Any) -> str:
        given = {}
        for name, argument in definition.args.items():
            if name in {"first", "last", "after", "before"}:
                continue
            if isinstance(argument.type, GraphQLNonNull) or self.random.random() < 0.3:
                given[name] = self._value(argument.type, name)
        if "first" in definition.args:
            way = self.random.choice(["first", "first", "first", "last"])
            size = self.random.choice([0, 1, 2, 3])
            given[way] = str(size) if self.random.random() < 0.6 else self._variable("Int", size)
        return f"({', '.join(f'{name}: {value}' for name, value in given.items())})" if given else ""

    def _value(self, kind: Any, name: str) -> str:  # noqa: C901, PLR0911 - a line for each kind of value
        """A literal, or now and then a variable."""
        if isinstance(kind, GraphQLNonNull):
            return self._value(kind.of_type, name)
        if isinstance(kind, GraphQLList):
            return f"[{', '.join(self._value(kind.of_type, name) for _ in range(self._few(3)))}]"
        if isinstance(kind, GraphQLEnumType):
            return str(self.random.choice(list(kind.values)))
        if isinstance(kind, GraphQLInputObjectType):
            wanted = [
                one
                for one, inner in kind.fields.items()
                if isinstance(inner.type, GraphQLNonNull) or self.random.random() < 0.3
            ]
            parts = (f"{one}: {self._value(kind.fields[one].type, one)}" for one in wanted)
            return f"{{{', '.join(parts)}}}"
        match kind.name:
            case "ID":
                one = self.random.choice(self.ids)
                return self._variable("ID!", one) if self.random.random() < 0.4 else json.dumps(one)
            case "Int":
                return str(self._few(3))
            case "Boolean":
                return self.random.choice(["true", "false"])
            case "DateTime":
                return self.random.choice(['"2020-01-01T00:00:00Z"', '"2030-01-01T00:00:00Z"'])
            case "Date":
                return '"2026-04-01"'
            case "JSON":
                return "{}"
            case _:
                return self.random.choice(['"a"', '"Service"', '"Ann"'])
