"""Every path of edges from Query, up to a depth, packed into documents that a request may have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from graphql import DocumentNode, GraphQLNamedType, GraphQLUnionType, get_named_type, parse

from tests.matrix.ground_truth import ARGUMENTS, ROOTS, entities, is_page, leads_to_rows, object_type, whole
from tests.matrix.policies import REFUSED, policy
from tests.schema.tenants import SCHEMA

DEPTH = 4
FIELDS = 900
ALIASES = 55
SIZE = 2
"""Rows that each list is asked for."""
BY_ID = ("job", "notification", "organisation", "service", "template", "user")
ANY_OF = {"Node": ["Service", "Template", "ApiKey", "User", "Organisation", "Job", "Notification"]}


APART = {"preview", "atVersion", "usage", "statistics", "annualAllowance", "object", "actor", "usageByService"}
"""Fields that plans leave to graphql-core, with the whole document: the others are asked for without them."""


class Step(NamedTuple):
    """A field, and the type of row that it leads to."""

    name: str
    kind: str
    page: bool = False
    choice: bool = False
    """Whether the row may be of other types too."""


Path = tuple[Step, ...]


@dataclass
class Document:
    """A document, and the type of row whose id it takes; None for none."""

    text: str
    takes: str | None
    tree: DocumentNode = field(init=False)

    def __post_init__(self) -> None:
        """Read it."""
        self.tree = parse(self.text, no_location=True)


def _kinds(kind: GraphQLNamedType) -> list[str]:
    if isinstance(kind, GraphQLUnionType):
        return [one.name for one in kind.types]
    return ANY_OF.get(kind.name, [kind.name])


def edges(kind: str) -> Iterator[Step]:
    """Fields of a type that lead to rows."""
    for name, one in object_type(kind).fields.items():
        inner = get_named_type(one.type)
        if is_page(inner):
            node = get_named_type(object_type(inner.name).fields["nodes"].type)
            if leads_to_rows(node):
                yield Step(name, node.name, page=True)
        elif leads_to_rows(inner):
            kinds = _kinds(inner)
            for one_kind in kinds:
                yield Step(name, one_kind, choice=len(kinds) > 1)


def roots() -> Iterator[Step]:
    """Fields of Query that lead to rows, by an id or without one."""
    for name in (*BY_ID, "node"):
        inner = get_named_type(object_type("Query").fields[name].type)
        for kind in _kinds(inner):
            yield Step(name, kind, choice=name == "node")
    for name in ROOTS:
        kind = get_named_type(object_type("Query").fields[name].type)
        for one in _kinds(get_named_type(object_type(kind.name).fields["nodes"].type)):
            yield Step(name, one, page=True, choice=name == "search")


def _onwards(path: Path, depth: int) -> Iterator[Path]:
    """Chains of edges on which no type comes twice."""
    yield path
    if len(path) == depth:
        return
    above = {step.kind for step in path}
    for step in edges(path[-1].kind):
        if step.kind not in above:
            yield from _onwards((*path, step), depth)


def refusable(path: Path) -> bool:
    """Whether a path leads through a field that is refused to some, or to no plan."""
    holders = [step.kind for step in path]
    return any(
        step.name in APART or policy().rule(holder, step.name).otherwise == REFUSED
        for holder, step in zip(holders, path[1:], strict=False)
    )


class Tree:
    """Paths that begin alike, as one selection."""

    def __init__(self) -> None:
        self.below: dict[Step, Tree] = {}
        self.end = ""

    def add(self, path: Path, end: str) -> None:
        """Select something at the end of a path."""
        node = self
        for step in path:
            node = node.below.setdefault(step, Tree())
        node.end += " " + end

    def text(self, kind: str, places: dict[str, int]) -> str:
        """The selection of a type."""
        own = self.end + "".join(self._edge(kind, step, tree, places) for step, tree in self.below.items())
        return f"{{ __typename {own} }}"

    def _edge(self, kind: str, step: Step, tree: Tree, places: dict[str, int]) -> str:
        given = ARGUMENTS.get((kind, step.name), "")
        alias = ""
        if sum(other.name == step.name for other in self.below) > 1:
            alias = f"{step.name}{step.kind}: "
            places["aliases"] += 1
        selection = tree.text(step.kind, places)
        if step.choice:
            selection = f"{{ __typename ... on {step.kind} {selection} }}"
        if step.page:
            given = f"({ROOTS[step.name] if kind == 'Query' else ''}first: {SIZE})"
            selection = f"{{ totalCount nodes {selection} }}"
        elif kind == "Query":
            given = "(id: $id)"
        return f" {alias}{step.name}{given} {selection}"


def ends(kind: str, *, brief: bool) -> tuple[str, str]:
    """What to select of a row: what is refused to nobody who sees it, and what is refused to some."""
    rules = policy().fields[kind]
    selection = whole(SCHEMA.type_map[kind], edges=False, brief=brief)
    open_: list[str] = []
    closed: list[str] = []
    for name, text in _split(selection):
        (closed if name in APART or rules[name].otherwise == REFUSED else open_).append(text)
    return " ".join(open_), " ".join(closed)


def _split(selection: str) -> Iterator[tuple[str, str]]:
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


def documents(depth: int = DEPTH) -> list[Document]:
    """All paths, in as few documents as may be."""
    made: list[Document] = []
    found = {object_type("Query").fields[name].type for name in BY_ID}
    for root in roots():
        # What `node` finds is the same object as its own field's, from which on every path is the same.
        least = depth - 1 if root.name == "node" and SCHEMA.type_map[root.kind] in found else depth
        for closed in (False, True):
            made.extend(_packed(root, least, closed=closed))
    return made


def _packed(root: Step, depth: int, *, closed: bool) -> Iterator[Document]:
    waiting: list[tuple[Path, str]] = []
    for path in _onwards((root,), depth):
        open_, shut = ends(path[-1].kind, brief=len(path) > 2)
        if refusable(path):
            if closed:
                waiting.append((path, f"{open_} {shut}"))
        elif closed and shut:
            waiting.append((path, shut))
        elif not closed:
            waiting.append((path, open_))
    tree, size = Tree(), 0
    for path, end in waiting:
        more = sum(word.isidentifier() for word in end.split()) + 3 * len(path)
        if size and size + more > FIELDS:
            yield _document(tree, root)
            tree, size = Tree(), 0
        tree.add(path, end)
        size += more
    if size:
        yield _document(tree, root)


def _document(tree: Tree, root: Step) -> Document:
    by_id = root.name not in ROOTS
    places = {"aliases": 0}
    inside = tree.text("Query", places).removeprefix("{ __typename").removesuffix("}")
    assert places["aliases"] <= ALIASES
    text = f"query{' ($id: ID!)' if by_id else ''} {{ {inside} }}"
    return Document(text, root.kind if by_id else None)


def rows() -> Iterator[Document]:
    """Rows by their ids: all that they have, connections too, as a page and as edges."""
    for kind in ANY_OF["Node"]:
        for selection in _pages(SCHEMA.type_map[kind]):
            inner = f"{{ __typename ... on {kind} {selection} }}"
            yield Document(f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {inner} }}", kind)


def _pages(kind: Any) -> Iterator[str]:
    open_, closed = ends(kind.name, brief=False)
    yield f"{{ {open_} {closed} }}"
    inside = "{ edges { cursor node %s } nodes %s pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount }"  # noqa: E501
    for name, one in kind.fields.items():
        inner = get_named_type(one.type)
        if is_page(inner):
            node: Any = get_named_type(object_type(inner.name).fields["nodes"].type)
            identity = whole(node, edges=False) if node.name not in entities() else "{ __typename }"
            yield f"{{ {name}(first: {SIZE}) {inside % (identity, identity)} }}"
