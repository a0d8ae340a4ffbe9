"""Random valid queries over the whole schema, with aliases, fragments, variables, filters and cursors."""

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
    from collections.abc import Sequence
    from random import Random

SCHEMA = schema._schema  # noqa: SLF001 - generated documents read the schema as GraphQL sees it
MAX_DEPTH = 6
ROOT_FIELDS = (
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
    "service",
    "node",
    "auditLog",
)
CLASHING_ALIASES = (
    *("class", "lambda", "None", "r", "v", "context", "cursor", "rows", "k0", "K0", "t1", "c1", "non_null", "fail"),
    *(
        "b1",
        "b1x",
        "z0",
        "p0_key_0",
        "permitted_services_0",
        "x0",
        "n",
        "parent",
        "item",
        "select",
        "_",
        "__proto__",
        "id",
        "name",
    ),
)
"""Aliases that are names in generated Python or SQL."""


@dataclass
class RandomQuery:
    """One query while it is generated, of these ids and cursors."""

    random: Random
    ids: list[str]
    cursors: Sequence[str] = ()
    variables: dict[str, Any] = field(default_factory=dict)
    definitions: list[str] = field(default_factory=list)
    fragments: list[str] = field(default_factory=list)
    fragments_by_type: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    count: int = 0

    def text(self) -> str:
        """The document."""
        roots = [
            self._field(SCHEMA.query_type, self.random.choice(ROOT_FIELDS), MAX_DEPTH)
            for _ in range(self._small_count(3))
        ]
        if self._happens(0.2):
            roots.append("__typename")
        head = f"({', '.join(self.definitions)})" if self.definitions else ""
        return "\n".join([f"query Random{head} {{ {' '.join(roots)} }}", *self.fragments])

    def _small_count(self, maximum: int) -> int:
        return self.random.randint(1, maximum)

    def _happens(self, probability: float) -> bool:
        return self.random.random() < probability

    def _unique_name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def _alias(self) -> str:
        return self._unique_name(f"{self.random.choice(CLASHING_ALIASES)}_" if self._happens(0.1) else "a")

    def _selection(self, kind: Any, depth: int) -> str:
        names = list(kind.fields) if hasattr(kind, "fields") else []
        leaves = [name for name in names if is_leaf_type(get_named_type(kind.fields[name].type))]
        others = [name for name in names if name not in leaves]
        parts = [self._field(kind, self.random.choice(leaves), depth) for _ in range(self._small_count(4)) if leaves]
        if depth > 1:
            count = self._small_count(2 if depth > MAX_DEPTH - 3 else 1)
            parts += [self._field(kind, self.random.choice(others), depth) for _ in range(count) if others]
        if not parts or self._happens(0.15):
            parts.append(f"{self._alias()}: __typename" if self._happens(0.2) else "__typename")
        if is_abstract_type(kind):
            possible = SCHEMA.get_possible_types(kind)
            for member in self.random.sample(possible, min(len(possible), 3)):
                parts.append(self._fragment(member, kind, depth))
        elif is_object_type(kind) and self._happens(0.2):
            parts.append(self._fragment(self.random.choice([kind, kind, *kind.interfaces]), kind, depth))
        self.random.shuffle(parts)
        return f"{{ {' '.join(parts)} }}"

    def _fragment(self, kind: Any, within: Any, depth: int) -> str:
        usable = [name for name, deepest in self.fragments_by_type.get(kind.name, ()) if deepest <= depth]
        if usable and self._happens(0.3):
            return f"...{self.random.choice(usable)}{self._condition()}"
        selection = self._selection(kind, depth - 1)
        if kind is within and self._happens(0.2):
            return f"...{self._condition()} {selection}"
        if self._happens(0.5):
            return f"... on {kind.name}{self._condition()} {selection}"
        name = self._unique_name("F")
        self.fragments.append(f"fragment {name} on {kind.name} {selection}")
        self.fragments_by_type.setdefault(kind.name, []).append((name, depth))
        return f"...{name}{self._condition()}"

    def _condition(self) -> str:
        if self._happens(0.92):
            return ""
        directive = self.random.choice(["skip", "include"])
        if self._happens(0.5):
            return f" @{directive}(if: {self.random.choice(['true', 'false'])})"
        return f" @{directive}(if: {self._variable('Boolean!', self._happens(0.5))})"

    def _variable(self, kind: str, value: Any, default: str = "") -> str:
        """A variable of a type; one with a default, or of a nullable type, may be absent."""
        name = self._unique_name("v")
        self.definitions.append(f"${name}: {kind}{default and f' = {default}'}")
        if not (default or not kind.endswith("!")) or self._happens(0.7):
            self.variables[name] = value
        return f"${name}"

    def _field(self, kind: Any, name: str, depth: int) -> str:
        definition = kind.fields[name]
        arguments = self._arguments(definition)
        inner = get_named_type(definition.type)
        aliased = arguments or not is_leaf_type(inner) or self._happens(0.1)
        text = (f"{self._alias()}: " if aliased else "") + name + arguments
        if is_leaf_type(inner):
            return text + self._condition()
        # The same field twice is one field, whose selections are merged.
        times = 2 if self._happens(0.1) else 1
        return " ".join(f"{text}{self._condition()} {self._selection(inner, depth - 1)}" for _ in range(times))

    def _arguments(self, definition: Any) -> str:
        arguments = {}
        for name, argument in definition.args.items():
            if name in {"first", "last", "after", "before"}:
                continue
            if isinstance(argument.type, GraphQLNonNull) or self._happens(0.4):
                arguments[name] = self._argument(argument.type, name)
        if "first" in definition.args:
            arguments |= self._page()
        return f"({', '.join(f'{name}: {value}' for name, value in arguments.items())})" if arguments else ""

    def _page(self) -> dict[str, str]:
        size_name, cursor_name = self.random.choice([("first", "after"), ("first", "after"), ("last", "before")])
        size = self.random.choice([0, 1, 2, 3, 3, None])
        arguments = {
            size_name: json.dumps(size) if self._happens(0.6) else self._variable("Int", size, self._default(size))
        }
        if self.cursors and self._happens(0.15):
            cursor = self.random.choice(self.cursors)
            arguments[cursor_name] = self._variable("String", cursor) if self._happens(0.5) else json.dumps(cursor)
        return arguments

    def _default(self, value: Any) -> str:
        return json.dumps(value) if self._happens(0.2) else ""

    def _argument(self, kind: Any, name: str) -> str:
        """A literal, or a variable of the argument's own type."""
        value = self._value(kind, name)
        if self._happens(0.6):
            return self._literal(kind, value, name)
        default = "" if value is None or self._happens(0.7) else self._literal(kind, value, "")
        return self._variable(str(kind), value, default)

    def _literal(self, kind: Any, value: Any, name: str) -> str:
        """A value as a document has it; with a name, parts of it may be variables."""
        kind = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if value is None:
            return "null"
        if isinstance(kind, GraphQLList):
            return f"[{', '.join(self._literal(kind.of_type, item, name) for item in value)}]"
        if isinstance(kind, GraphQLInputObjectType):
            parts = (f"{field}: {self._literal(kind.fields[field].type, part, name)}" for field, part in value.items())
            return f"{{{', '.join(parts)}}}"
        if name and self._happens(0.15):
            return self._variable(f"{kind}!", value)
        return str(value) if isinstance(kind, GraphQLEnumType) else json.dumps(value)

    def _value(self, kind: Any, name: str) -> Any:
        """A value of a type as JSON has it; sometimes null where the type allows it."""
        if isinstance(kind, GraphQLNonNull):
            return self._non_null_value(kind.of_type, name)
        return None if self._happens(0.1) else self._non_null_value(kind, name)

    def _non_null_value(self, kind: Any, name: str) -> Any:  # noqa: PLR0911 - a line for each kind of value
        """A value that is not null."""
        if isinstance(kind, GraphQLList):
            return [self._value(kind.of_type, name) for _ in range(self.random.choice([0, 1, 1, 2, 3]))]
        if isinstance(kind, GraphQLEnumType):
            return self.random.choice(list(kind.values))
        if isinstance(kind, GraphQLInputObjectType):
            fields = {
                field: definition
                for field, definition in kind.fields.items()
                if isinstance(definition.type, GraphQLNonNull) or self._happens(0.3)
            }
            return {field: self._value(definition.type, field) for field, definition in fields.items()}
        match kind.name:
            case "ID":
                return self.random.choice(self.ids)
            case "Int":
                return self._small_count(3)
            case "Boolean":
                return self._happens(0.5)
            case "DateTime":
                return self.random.choice(["2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z"])
            case "Date":
                return "2026-04-01"
            case "JSON":
                return {}
            case _:
                return self.random.choice(["a", "Service", "Ann", "%", "_", "'; --", "\\", '"', "Template", "e"])
