"""Every path of edges from Query, up to a depth, packed into documents that a request may have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import DocumentNode, GraphQLNamedType, GraphQLUnionType, get_named_type, parse

from tests.graphql_schema import SCHEMA
from tests.matrix.ground_truth import (
    REQUIRED_ARGUMENTS,
    ROOT_LISTS,
    full_selection,
    is_connection_type,
    is_row_type,
    object_type,
    row_types,
)
from tests.matrix.policies import REFUSED, policy

MAX_PATH_STEPS = 4
MAX_DOCUMENT_FIELDS = 900
MAX_DOCUMENT_ALIASES = 55
PAGE_ROWS = 2
"""Rows that each list is asked for."""
ROOT_FIELDS_BY_ID = ("job", "notification", "organisation", "service", "template", "user")
INTERFACE_TYPES = {"Node": ["Service", "Template", "ApiKey", "User", "Organisation", "Job", "Notification"]}


UNPLANNED_FIELDS = {
    "preview",
    "atVersion",
    "usage",
    "statistics",
    "annualAllowance",
    "object",
    "actor",
    "usageByService",
}
"""Fields that plans leave to graphql-core, with the whole document: the others are asked for without them."""


class PathStep(NamedTuple):
    """A field, and the type of row that it leads to."""

    name: str
    type_name: str
    is_connection: bool = False
    is_abstract: bool = False
    """Whether the row may be of other types too."""


Path = tuple[PathStep, ...]


@dataclass
class Document:
    """A document, and the type of row whose id it takes; None for none."""

    text: str
    id_type: str | None
    tree: DocumentNode = field(init=False)

    def __post_init__(self) -> None:
        """Read it."""
        self.tree = parse(self.text, no_location=True)


def _concrete_types(kind: GraphQLNamedType) -> list[str]:
    if isinstance(kind, GraphQLUnionType):
        return [one.name for one in kind.types]
    return INTERFACE_TYPES.get(kind.name, [kind.name])


def row_steps(kind: str) -> Iterator[PathStep]:
    """Fields of a type that lead to rows."""
    for name, one in object_type(kind).fields.items():
        inner = get_named_type(one.type)
        if is_connection_type(inner):
            node = get_named_type(object_type(inner.name).fields["nodes"].type)
            if is_row_type(node):
                yield PathStep(name, node.name, is_connection=True)
        elif is_row_type(inner):
            kinds = _concrete_types(inner)
            for one_kind in kinds:
                yield PathStep(name, one_kind, is_abstract=len(kinds) > 1)


def root_steps() -> Iterator[PathStep]:
    """Fields of Query that lead to rows, by an id or without one."""
    for name in (*ROOT_FIELDS_BY_ID, "node"):
        inner = get_named_type(object_type("Query").fields[name].type)
        for kind in _concrete_types(inner):
            yield PathStep(name, kind, is_abstract=name == "node")
    for name in ROOT_LISTS:
        kind = get_named_type(object_type("Query").fields[name].type)
        for one in _concrete_types(get_named_type(object_type(kind.name).fields["nodes"].type)):
            yield PathStep(name, one, is_connection=True, is_abstract=name == "search")


def _extended_paths(path: Path, depth: int) -> Iterator[Path]:
    """Chains of edges on which no type comes twice."""
    yield path
    if len(path) == depth:
        return
    above = {step.type_name for step in path}
    for step in row_steps(path[-1].type_name):
        if step.type_name not in above:
            yield from _extended_paths((*path, step), depth)


def is_restricted(path: Path) -> bool:
    """Whether a path leads through a field that is refused to some, or to no plan."""
    holders = [step.type_name for step in path]
    return any(
        step.name in UNPLANNED_FIELDS or policy().rule(holder, step.name).denied_result == REFUSED
        for holder, step in zip(holders, path[1:], strict=False)
    )


class SelectionTree:
    """Paths that begin alike, as one selection."""

    def __init__(self) -> None:
        self.children: dict[PathStep, SelectionTree] = {}
        self.leaves = ""

    def add(self, path: Path, leaf: str) -> None:
        """Select something at the end of a path."""
        node = self
        for step in path:
            node = node.children.setdefault(step, SelectionTree())
        node.leaves += " " + leaf

    def render(self, kind: str, places: dict[str, int]) -> str:
        """The selection of a type."""
        own = self.leaves + "".join(self._render_step(kind, step, tree, places) for step, tree in self.children.items())
        return f"{{ __typename {own} }}"

    def _render_step(self, kind: str, step: PathStep, tree: SelectionTree, places: dict[str, int]) -> str:
        given = REQUIRED_ARGUMENTS.get((kind, step.name), "")
        alias = ""
        if sum(other.name == step.name for other in self.children) > 1:
            alias = f"{step.name}{step.type_name}: "
            places["aliases"] += 1
        selection = tree.render(step.type_name, places)
        if step.is_abstract:
            selection = f"{{ __typename ... on {step.type_name} {selection} }}"
        if step.is_connection:
            given = f"({ROOT_LISTS[step.name] if kind == 'Query' else ''}first: {PAGE_ROWS})"
            selection = f"{{ totalCount nodes {selection} }}"
        elif kind == "Query":
            given = "(id: $id)"
        return f" {alias}{step.name}{given} {selection}"


def leaf_selections(kind: str, *, brief: bool) -> tuple[str, str]:
    """What to select of a row: what is refused to nobody who sees it, and what is refused to some."""
    rules = policy().fields[kind]
    selection = full_selection(SCHEMA.type_map[kind], include_rows=False, abbreviate_parts=brief)
    open_: list[str] = []
    closed: list[str] = []
    for name, text in _split_fields(selection):
        (closed if name in UNPLANNED_FIELDS or rules[name].denied_result == REFUSED else open_).append(text)
    return " ".join(open_), " ".join(closed)


def _split_fields(selection: str) -> Iterator[tuple[str, str]]:
    """The fields of a selection, each with its own."""
    depth, current = 0, ""
    words = selection[1:-1].split()
    for word in [*words, "end"]:
        if depth == 0 and word != "{" and not word.startswith("(") and not word.endswith(")"):
            if current:
                name = current.split(maxsplit=1)[0].partition("(")[0]
                if name != "__typename":
                    yield name, current
            current = word
            continue
        current += " " + word
        depth += word.count("{") - word.count("}")


def path_documents(depth: int = MAX_PATH_STEPS) -> list[Document]:
    """All paths, in as few documents as may be."""
    made: list[Document] = []
    found = {object_type("Query").fields[name].type for name in ROOT_FIELDS_BY_ID}
    for root in root_steps():
        # What `node` finds is the same object as its own field's, from which on every path is the same.
        least = depth - 1 if root.name == "node" and SCHEMA.type_map[root.type_name] in found else depth
        for closed in (False, True):
            made.extend(_packed_documents(root, least, closed=closed))
    return made


def _packed_documents(root: PathStep, depth: int, *, closed: bool) -> Iterator[Document]:
    waiting: list[tuple[Path, str]] = []
    for path in _extended_paths((root,), depth):
        open_, shut = leaf_selections(path[-1].type_name, brief=len(path) > 2)
        if is_restricted(path):
            if closed:
                waiting.append((path, f"{open_} {shut}"))
        elif closed and shut:
            waiting.append((path, shut))
        elif not closed:
            waiting.append((path, open_))
    tree, size = SelectionTree(), 0
    for path, end in waiting:
        more = sum(word.isidentifier() for word in end.split()) + 3 * len(path)
        if size and size + more > MAX_DOCUMENT_FIELDS:
            yield _document(tree, root)
            tree, size = SelectionTree(), 0
        tree.add(path, end)
        size += more
    if size:
        yield _document(tree, root)


def _document(tree: SelectionTree, root: PathStep) -> Document:
    by_id = root.name not in ROOT_LISTS
    places = {"aliases": 0}
    inside = tree.render("Query", places).removeprefix("{ __typename").removesuffix("}")
    assert places["aliases"] <= MAX_DOCUMENT_ALIASES
    text = f"query{' ($id: ID!)' if by_id else ''} {{ {inside} }}"
    return Document(text, root.type_name if by_id else None)


def row_documents() -> Iterator[Document]:
    """Rows by their ids: all that they have, connections too, as a page and as edges."""
    for kind in INTERFACE_TYPES["Node"]:
        for selection in _connection_selections(SCHEMA.type_map[kind]):
            inner = f"{{ __typename ... on {kind} {selection} }}"
            yield Document(f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {inner} }}", kind)


def _connection_selections(kind: Any) -> Iterator[str]:
    open_, closed = leaf_selections(kind.name, brief=False)
    yield f"{{ {open_} {closed} }}"
    inside = "{ edges { cursor node %s } nodes %s pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount }"  # noqa: E501
    for name, one in kind.fields.items():
        inner = get_named_type(one.type)
        if is_connection_type(inner):
            node: Any = get_named_type(object_type(inner.name).fields["nodes"].type)
            identity = full_selection(node, include_rows=False) if node.name not in row_types() else "{ __typename }"
            yield f"{{ {name}(first: {PAGE_ROWS}) {inside % (identity, identity)} }}"
