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
from tests.graphql_schema import SCHEMA
from tests.matrix.audiences import SEND_PERMISSIONS, Facts, Role, is_in_audience
from tests.matrix.documents import Document
from tests.matrix.ground_truth import GroundTruth, Key, is_connection_type, is_row_type, key_of, object_type
from tests.matrix.policies import MASKED, REFUSED, policy
from tests.matrix.worlds import REDACTED_VALUE

FORBIDDEN, UNAUTHENTICATED = "FORBIDDEN", "UNAUTHENTICATED"
ResponsePath = tuple[str | int, ...]


class MaskedValue:
    """A value that must be there, without what is secret in it."""


@dataclass
class Expected:
    """The data, the errors by their paths, and the cells: places, whatever the row, at which something is decided."""

    data: Any = field(default_factory=dict)
    errors: dict[ResponsePath, str] = field(default_factory=dict)
    cells: set[tuple[str, ...]] = field(default_factory=set)


@dataclass
class Oracle:
    """Answers as one caller should be answered."""

    truth: GroundTruth
    role: Role
    expected: Expected = field(default_factory=Expected)
    variables: Mapping[str, Any] = field(default_factory=dict)

    def can_see(self, key: Key) -> bool:
        """Whether the caller sees a row."""
        facts = self.truth.facts.get(key)
        if facts is None or self.role.kind == "nobody":
            return False
        who = policy().row_audiences[key[0]]
        return self.role.kind == "admin" or is_in_audience(who, self.role, facts, self.truth.memberships)

    def expect(self, document: Document, **given: Any) -> Expected:
        """What a document must be answered."""
        self.expected, self.variables = Expected(), given
        (operation,) = document.tree.definitions
        assert isinstance(operation, OperationDefinitionNode)
        for node in operation.selection_set.selections:
            assert isinstance(node, FieldNode)
            name = _response_name(node)
            value = self._root(node, (name,))
            if value is None and isinstance(object_type("Query").fields[node.name.value].type, GraphQLNonNull):
                self.expected.data = None
            else:
                self.expected.data[name] = value
        return self.expected

    def _root(self, node: FieldNode, place: ResponsePath) -> Any:
        name = node.name.value
        rule = policy().rule("Query", name)
        facts = Facts("Query")
        if not is_in_audience(rule.audience, self.role, facts, self.truth.memberships):
            self._expect_error(place)
            return None
        self._record_cell(place)
        if name in self.truth.lists:
            kind = get_named_type(object_type("Query").fields[name].type)
            return self._page(object_type(kind.name), self.truth.lists[name], node, place, facts)
        if name == "nodes":
            return [self._by_id(node, str(one), (*place, index)) for index, one in enumerate(self.variables["ids"])]
        return self._by_id(node, str(self.variables["id"]), place)

    def _by_id(self, node: FieldNode, id_: str, place: ResponsePath) -> Any:
        named = get_named_type(object_type("Query").fields[node.name.value].type).name
        for kind in self._kinds() if named == "Node" else [named]:
            if (kind, id_) in self.truth.facts:
                return self._row((kind, id_), node.selection_set, place) if self.can_see((kind, id_)) else None
        return None

    def _kinds(self) -> list[str]:
        return [name for name in policy().row_audiences if _is_node(name)]

    def _row(self, key: Key, selection: SelectionSetNode | None, place: ResponsePath) -> dict[str, Any]:
        return self._object(key[0], self.truth.rows[key], self.truth.facts[key], selection, place)

    def _object(
        self, kind: str, row: Mapping[str, Any], facts: Facts, selection: SelectionSetNode | None, place: ResponsePath
    ) -> dict[str, Any]:
        assert selection is not None
        found: dict[str, Any] = {}
        for node in _fields(kind, selection):
            name, told = node.name.value, _response_name(node)
            if name == "__typename":
                found[told] = kind
                continue
            here = (*place, told)
            rule = policy().rule(kind, name)
            if not rule.includes_unseen_rows and not is_in_audience(
                rule.audience, self.role, facts, self.truth.memberships
            ):
                if rule.denied_result == REFUSED:
                    self._expect_error(here)
                    found[told] = None
                    continue
                self._record_cell(here)
                found[told] = MaskedValue if rule.denied_result == MASKED and row[name] is not None else None
                continue
            self._record_cell(here)
            kind_of = object_type(kind).fields[name].type
            found[told] = self._complete(kind_of, row.get(name), node, here, facts, leads_on=rule.includes_unseen_rows)
        return found

    def _complete(
        self, kind: Any, value: Any, node: FieldNode, place: ResponsePath, facts: Facts, *, leads_on: bool = False
    ) -> Any:
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if value is None or node.selection_set is None:
            return value
        if isinstance(kind, GraphQLList):
            return [self._complete(kind.of_type, one, node, (*place, i), facts) for i, one in enumerate(value)]
        if is_connection_type(kind):
            return self._page(kind, value, node, place, facts)
        if is_row_type(kind):
            key = key_of(value)
            return self._row(key, node.selection_set, place) if leads_on or self.can_see(key) else None
        return value if kind.name == "UserError" else self._object(kind.name, value, facts, node.selection_set, place)

    def _page(
        self, kind: GraphQLObjectType, listed: Mapping[str, Any], node: FieldNode, place: ResponsePath, facts: Facts
    ) -> dict[str, Any]:
        named = get_named_type(kind.fields["nodes"].type)
        seen = [edge for edge in listed["edges"] if self._in_list(named, edge["node"])]
        size = _page_size(node)
        page = seen[:size]
        assert node.selection_set is not None
        found: dict[str, Any] = {}
        for part in _fields(kind.name, node.selection_set):
            name, told = part.name.value, _response_name(part)
            here = (*place, told)
            self._record_cell(here)
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
                    "startCursor": page[0].get("cursor", ANY_VALUE) if page else None,
                    "endCursor": page[-1].get("cursor", ANY_VALUE) if page else None,
                }
        return found

    def _in_list(self, named: Any, node: Mapping[str, Any]) -> bool:
        return self.can_see(key_of(node)) if is_row_type(named) else self.can_see(key_of(node["service"]))

    def _edge(self, named: Any, edge: Mapping[str, Any], part: FieldNode, place: ResponsePath, facts: Facts) -> Any:
        found: dict[str, Any] = {}
        assert part.selection_set is not None
        for inner in part.selection_set.selections:
            assert isinstance(inner, FieldNode)
            name = inner.name.value
            found[name] = (
                self._node(named, edge, inner, (*place, name), facts) if name == "node" else edge.get(name, ANY_VALUE)
            )
        return found

    def _node(self, named: Any, edge: Mapping[str, Any], part: FieldNode, place: ResponsePath, facts: Facts) -> Any:
        if is_row_type(named):
            return self._row(key_of(edge["node"]), part.selection_set, place)
        return self._object(named.name, edge["node"], facts, part.selection_set, place)

    def _expect_error(self, place: ResponsePath) -> None:
        self._record_cell(place)
        self.expected.errors[place] = UNAUTHENTICATED if self.role.kind == "nobody" else FORBIDDEN

    def _record_cell(self, place: ResponsePath) -> None:
        self.expected.cells.add(tuple(one for one in place if isinstance(one, str)))


class AnyValue:
    """Whatever it is."""


ANY_VALUE = AnyValue()


def _is_node(kind: str) -> bool:
    named = SCHEMA.type_map[kind]
    return isinstance(named, GraphQLObjectType) and any(one.name == "Node" for one in named.interfaces)


def _fields(kind: str, selection: SelectionSetNode) -> Iterator[FieldNode]:
    """Fields selected of a type, each once."""
    seen: set[str] = set()
    for node in _all_fields(kind, selection):
        if _response_name(node) not in seen:
            seen.add(_response_name(node))
            yield node


def _all_fields(kind: str, selection: SelectionSetNode) -> Iterator[FieldNode]:
    for node in selection.selections:
        if isinstance(node, FieldNode):
            yield node
        elif isinstance(node, InlineFragmentNode) and (
            node.type_condition is None or node.type_condition.name.value == kind
        ):
            yield from _all_fields(kind, node.selection_set)


def _response_name(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def _page_size(node: FieldNode) -> int:
    for argument in node.arguments or ():
        if argument.name.value == "first":
            assert not isinstance(argument.value, VariableNode)
            return int(argument.value.value)  # type: ignore[attr-defined]
    return 50


LEAK, WRONG_REFUSAL, OTHER_VALUE = "leak", "wrong refusal", "another value"
Difference = tuple[str, ResponsePath, Any, Any]


def differences(expected: Any, actual: Any, place: ResponsePath = ()) -> Iterator[Difference]:
    """Where an answer is not what it must be, and in which way."""
    if expected is ANY_VALUE or expected == actual:
        return
    if expected is MaskedValue:
        if actual is None or REDACTED_VALUE in str(actual):
            yield LEAK if actual else WRONG_REFUSAL, place, expected, actual
    elif isinstance(expected, dict) and isinstance(actual, dict):
        for name in {**expected, **actual}:
            yield from differences(expected.get(name), actual.get(name), (*place, name))
    elif isinstance(expected, list) and isinstance(actual, list):
        for index, (one, other) in enumerate(zip(expected, actual, strict=False)):
            yield from differences(one, other, (*place, index))
        if len(expected) != len(actual):
            yield (LEAK if len(actual) > len(expected) else WRONG_REFUSAL), place, len(expected), len(actual)
    else:
        kind = LEAK if expected is None else WRONG_REFUSAL if actual is None else OTHER_VALUE
        yield kind, place, expected, actual


def viewer_permissions(role: Role, facts: Facts) -> list[str]:
    """What `Viewer.permissions` tells of a service."""
    of_members = {*SEND_PERMISSIONS.values(), "MANAGE_API_KEYS"}
    return [
        one.name
        for one in ServicePermission
        if role.has_permission(one.name, facts.service) or (role.kind == "admin" and one.name not in of_members)
    ]
