"""What a caller must be answered, by the rules alone, and how what they were answered differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

from graphql_api.enums import ServicePermission
from tests.matrix.audiences import SEND, Facts, Role, among
from tests.matrix.documents import Document
from tests.matrix.ground_truth import Key, Truth, is_page, key_of, leads_to_rows, object_type
from tests.matrix.policies import MASKED, REFUSED, policy
from tests.matrix.worlds import REDACTED
from tests.schema.tenants import SCHEMA

FORBIDDEN, UNAUTHENTICATED = "FORBIDDEN", "UNAUTHENTICATED"
Place = tuple[str | int, ...]


class Masked:
    """A value that must be there, without what is secret in it."""


@dataclass
class Expected:
    """The data, the errors by their paths, and the cells: places, whatever the row, at which something is decided."""

    data: Any = field(default_factory=dict)
    errors: dict[Place, str] = field(default_factory=dict)
    cells: set[tuple[str, ...]] = field(default_factory=set)


@dataclass
class Oracle:
    """Answers as one caller should be answered."""

    truth: Truth
    role: Role
    expected: Expected = field(default_factory=Expected)
    given: Mapping[str, Any] = field(default_factory=dict)

    def sees(self, key: Key) -> bool:
        """Whether the caller sees a row."""
        facts = self.truth.facts.get(key)
        if facts is None or self.role.kind == "nobody":
            return False
        who = policy().seen_by[key[0]]
        return self.role.kind == "admin" or among(who, self.role, facts, self.truth.ties)

    def answer(self, document: Document, **given: Any) -> Expected:
        """What a document must be answered."""
        self.expected, self.given = Expected(), given
        (operation,) = document.tree.definitions
        assert isinstance(operation, OperationDefinitionNode)
        for node in operation.selection_set.selections:
            assert isinstance(node, FieldNode)
            name = _answered_as(node)
            value = self._root(node, (name,))
            if value is None and isinstance(object_type("Query").fields[node.name.value].type, GraphQLNonNull):
                self.expected.data = None
            else:
                self.expected.data[name] = value
        return self.expected

    def _root(self, node: FieldNode, place: Place) -> Any:
        name = node.name.value
        rule = policy().rule("Query", name)
        facts = Facts("Query")
        if not among(rule.who, self.role, facts, self.truth.ties):
            self._refused(place)
            return None
        self._cell(place)
        if name in self.truth.lists:
            kind = get_named_type(object_type("Query").fields[name].type)
            return self._page(object_type(kind.name), self.truth.lists[name], node, place, facts)
        if name == "nodes":
            return [self._by_id(node, str(one), (*place, index)) for index, one in enumerate(self.given["ids"])]
        return self._by_id(node, str(self.given["id"]), place)

    def _by_id(self, node: FieldNode, id_: str, place: Place) -> Any:
        named = get_named_type(object_type("Query").fields[node.name.value].type).name
        for kind in self._kinds() if named == "Node" else [named]:
            if (kind, id_) in self.truth.facts:
                return self._row((kind, id_), node.selection_set, place) if self.sees((kind, id_)) else None
        return None

    def _kinds(self) -> list[str]:
        return [name for name in policy().seen_by if _is_node(name)]

    def _row(self, key: Key, selection: SelectionSetNode | None, place: Place) -> dict[str, Any]:
        return self._object(key[0], self.truth.rows[key], self.truth.facts[key], selection, place)

    def _object(
        self, kind: str, row: Mapping[str, Any], facts: Facts, selection: SelectionSetNode | None, place: Place
    ) -> dict[str, Any]:
        assert selection is not None
        found: dict[str, Any] = {}
        for node in _fields(kind, selection):
            name, told = node.name.value, _answered_as(node)
            if name == "__typename":
                found[told] = kind
                continue
            here = (*place, told)
            rule = policy().rule(kind, name)
            if not rule.leads_on and not among(rule.who, self.role, facts, self.truth.ties):
                if rule.otherwise == REFUSED:
                    self._refused(here)
                    found[told] = None
                    continue
                self._cell(here)
                found[told] = Masked if rule.otherwise == MASKED and row[name] is not None else None
                continue
            self._cell(here)
            kind_of = object_type(kind).fields[name].type
            found[told] = self._complete(kind_of, row.get(name), node, here, facts, leads_on=rule.leads_on)
        return found

    def _complete(
        self, kind: Any, value: Any, node: FieldNode, place: Place, facts: Facts, *, leads_on: bool = False
    ) -> Any:
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if value is None or node.selection_set is None:
            return value
        if isinstance(kind, GraphQLList):
            return [self._complete(kind.of_type, one, node, (*place, i), facts) for i, one in enumerate(value)]
        if is_page(kind):
            return self._page(kind, value, node, place, facts)
        if leads_to_rows(kind):
            key = key_of(value)
            return self._row(key, node.selection_set, place) if leads_on or self.sees(key) else None
        return value if kind.name == "UserError" else self._object(kind.name, value, facts, node.selection_set, place)

    def _page(
        self, kind: GraphQLObjectType, listed: Mapping[str, Any], node: FieldNode, place: Place, facts: Facts
    ) -> dict[str, Any]:
        named = get_named_type(kind.fields["nodes"].type)
        seen = [edge for edge in listed["edges"] if self._in_list(named, edge["node"])]
        size = _first(node)
        page = seen[:size]
        assert node.selection_set is not None
        found: dict[str, Any] = {}
        for part in _fields(kind.name, node.selection_set):
            name, told = part.name.value, _answered_as(part)
            here = (*place, told)
            self._cell(here)
            if name == "totalCount":
                found[told] = len(seen)
            elif name == "nodes":
                found[told] = [self._node(named, one, part, (*here, i), facts) for i, one in enumerate(page)]
            elif name == "edges":
                found[told] = [self._edge(named, one, part, (*here, i), facts) for i, one in enumerate(page)]
            elif name == "pageInfo":
                found[told] = {
                    "hasNextPage": len(seen) > size,
                    "hasPreviousPage": False,
                    "startCursor": page[0].get("cursor", ANY) if page else None,
                    "endCursor": page[-1].get("cursor", ANY) if page else None,
                }
        return found

    def _in_list(self, named: Any, node: Mapping[str, Any]) -> bool:
        return self.sees(key_of(node)) if leads_to_rows(named) else self.sees(key_of(node["service"]))

    def _edge(self, named: Any, edge: Mapping[str, Any], part: FieldNode, place: Place, facts: Facts) -> Any:
        found: dict[str, Any] = {}
        assert part.selection_set is not None
        for inner in part.selection_set.selections:
            assert isinstance(inner, FieldNode)
            name = inner.name.value
            found[name] = (
                self._node(named, edge, inner, (*place, name), facts) if name == "node" else edge.get(name, ANY)
            )
        return found

    def _node(self, named: Any, edge: Mapping[str, Any], part: FieldNode, place: Place, facts: Facts) -> Any:
        if leads_to_rows(named):
            return self._row(key_of(edge["node"]), part.selection_set, place)
        return self._object(named.name, edge["node"], facts, part.selection_set, place)

    def _refused(self, place: Place) -> None:
        self._cell(place)
        self.expected.errors[place] = UNAUTHENTICATED if self.role.kind == "nobody" else FORBIDDEN

    def _cell(self, place: Place) -> None:
        self.expected.cells.add(tuple(one for one in place if isinstance(one, str)))


class Anything:
    """Whatever it is."""


ANY = Anything()


def _is_node(kind: str) -> bool:
    named = SCHEMA.type_map[kind]
    return isinstance(named, GraphQLObjectType) and any(one.name == "Node" for one in named.interfaces)


def _fields(kind: str, selection: SelectionSetNode) -> Iterator[FieldNode]:
    """Fields selected of a type, each once."""
    seen: set[str] = set()
    for node in _all_fields(kind, selection):
        if _answered_as(node) not in seen:
            seen.add(_answered_as(node))
            yield node


def _all_fields(kind: str, selection: SelectionSetNode) -> Iterator[FieldNode]:
    for node in selection.selections:
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode) and (
            node.type_condition is None or node.type_condition.name.value == kind
        ):
            yield from _all_fields(kind, node.selection_set)


def _answered_as(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def _first(node: FieldNode) -> int:
    for argument in node.arguments or ():
        if argument.name.value == "first":
            assert not isinstance(argument.value, VariableNode)
            return int(argument.value.value)  # type: ignore[attr-defined]
    return 50


LEAK, REFUSAL, OTHER = "leak", "wrong refusal", "another value"
Difference = tuple[str, Place, Any, Any]


def differences(expected: Any, seen: Any, place: Place = ()) -> Iterator[Difference]:
    """Where an answer is not what it must be, and in which way."""
    if expected is ANY or expected == seen:
        return
    if expected is Masked:
        if seen is None or REDACTED in str(seen):
            yield LEAK if seen else REFUSAL, place, expected, seen
    elif isinstance(expected, dict) and isinstance(seen, dict):
        for name in {**expected, **seen}:
            yield from differences(expected.get(name), seen.get(name), (*place, name))
    elif isinstance(expected, list) and isinstance(seen, list):
        for index, (one, other) in enumerate(zip(expected, seen, strict=False)):
            yield from differences(one, other, (*place, index))
        if len(expected) != len(seen):
            yield (LEAK if len(seen) > len(expected) else REFUSAL), place, len(expected), len(seen)
    else:
        kind = LEAK if expected is None else REFUSAL if seen is None else OTHER
        yield kind, place, expected, seen


def permissions_of(role: Role, facts: Facts) -> list[str]:
    """What `Viewer.permissions` tells of a service."""
    of_members = {*SEND.values(), "MANAGE_API_KEYS"}
    return [
        one.name
        for one in ServicePermission
        if role.holds(one.name, facts.service) or (role.kind == "admin" and one.name not in of_members)
    ]
