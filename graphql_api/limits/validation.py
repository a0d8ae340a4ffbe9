"""The rules of GraphQL over one document: graphql-core's own, walked without what none of them looks at.

Its walk serves editors of trees as well, and spends most of its time on that; this one only reads.
"""

from __future__ import annotations

import importlib
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from graphql import FragmentDefinitionNode, GraphQLError, TokenKind, TypeInfo, ValidationContext, specified_rules
from graphql.language.ast import QUERY_DOCUMENT_KEYS
from graphql.language.printer import print_for_error
from graphql.language.visitor import BREAK
from graphql.pyutils import RefMap
from graphql.validation.rules import overlapping_fields_can_be_merged
from graphql.validation.validate import ValidationAbortedError
from graphql.validation.validation_context import VariableUsageVisitor
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graphql_api.errors import QueryTooComplex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from graphql import DocumentNode, GraphQLSchema, Node
    from graphql.language import Visitor
    from graphql.validation import ASTValidationRule
    from graphql.validation.validation_context import NodeWithSelectionSet, VariableUsage

RULES: tuple[type[ASTValidationRule], ...] = (*specified_rules, OneOfInputValidationRule)
COMPARISONS = 10_000
"""What may be spent on comparing fields that answer under one name; a document of a screen spends a few hundred."""
ERRORS = 5
"""Errors of a document that are told at once."""
QUOTED = 100
"""Characters of a value that an error quotes."""
ABORTED = "Too many validation errors, error limit reached. Validation aborted."

_CHILDREN = {
    kind: tuple(key for key in keys if key not in {"name", "alias", "description"})
    for kind, keys in QUERY_DOCUMENT_KEYS.items()
}


def validate(schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
    """What is wrong with a document, the first few errors; raises QueryTooComplex where it nests too deep."""
    errors: list[GraphQLError] = []

    def report(error: GraphQLError) -> None:
        if len(errors) >= ERRORS:
            raise ValidationAbortedError(ABORTED)
        errors.append(error)

    types = TypeInfo(schema)
    context = Context(schema, document, types, report)
    try:
        Walk(types, [rule(context) for rule in RULES]).visit(document, None)
    except ValidationAbortedError as error:
        errors.append(error)
    except RecursionError as error:
        raise QueryTooComplex("The document is nested too deep.") from error
    return errors


class Context(ValidationContext):
    """What rules can ask; variables are looked for where there are any."""

    def __init__(self, *arguments: Any) -> None:
        """Keep what is found out about nodes by their identity: their hash is made of all that is under them."""
        super().__init__(*arguments)
        self._places: list[int] | None = None
        for name in ("_fragment_spreads", "_recursively_referenced_fragments"):
            setattr(self, name, RefMap())
        for name in ("_variable_usages", "_recursive_variable_usages"):
            setattr(self, name, RefMap())

    def get_variable_usages(self, node: NodeWithSelectionSet) -> list[VariableUsage]:
        """Variables in an operation or a fragment, with the types of their places."""
        usages = self._variable_usages.get(node)
        if usages is None:
            visitor = VariableUsageVisitor(self._type_info, node if isinstance(node, FragmentDefinitionNode) else None)
            if self._holds_variables(node):
                Walk(self._type_info, [visitor], self._holds_variables).visit(node, None)
            usages = self._variable_usages[node] = visitor.usages
        return usages

    def _holds_variables(self, node: Node) -> bool:
        if self._places is None:
            self._places = _dollars(self.document)
        where = bisect_left(self._places, node.loc.start) if node.loc else 0
        return where < len(self._places) and (node.loc is None or self._places[where] < node.loc.end)


def _quoted(value: Node) -> str:
    """A value of the document as an error quotes it: as it was written, since to print a long one takes long."""
    if value.loc is None or value.loc.end - value.loc.start <= QUOTED:
        return print_for_error(value)
    return value.loc.source.body[value.loc.start : value.loc.start + QUOTED] + "..."


def _dollars(document: DocumentNode) -> list[int]:
    places = []
    token = document.loc.start_token if document.loc else None
    while token is not None:
        if token.kind is TokenKind.DOLLAR:
            places.append(token.start)
        token = token.next
    return places


class Walk:
    """One walk over a tree with several visitors, each of which may skip what lies under a node, or all the rest."""

    __slots__ = ("_ancestors", "_kinds", "_skipped", "_skipping", "_types", "_visitors", "_worthwhile")

    def __init__(
        self, types: TypeInfo, visitors: Sequence[Visitor], worthwhile: Callable[[Node], bool] | None = None
    ) -> None:
        """Keep `types` up to date for the visitors; what is not `worthwhile` is left out."""
        self._types = types
        self._visitors = visitors
        self._worthwhile = worthwhile
        self._kinds: dict[str, Any] = {}
        self._ancestors: list[Any] = []
        self._skipping: list[Any] = [None] * len(visitors)
        self._skipped = 0

    def visit(self, node: Node, parent: Any) -> None:
        """Walk over a node and all under it."""
        known = self._kinds.get(node.kind)
        if known is None:
            known = self._kinds[node.kind] = self._read(node.kind)
        enter_type, leave_type, enters, leaves, keys = known
        skipping, ancestors = self._skipping, self._ancestors
        if enter_type:
            enter_type(node)
        for place, enter in enters:
            if skipping[place] is None:
                told = enter(node, None, parent, (), ancestors)
                if told is not None:
                    skipping[place] = BREAK if told is BREAK or told is True else node
                    self._skipped += 1
        if keys and self._skipped < len(skipping):
            self._descend(node, parent, keys)
        if leaves:
            self._leave(node, parent, leaves)
        if self._skipped:
            self._resume(node)
        if leave_type:
            leave_type()

    def _resume(self, node: Node) -> None:
        for place, under in enumerate(self._skipping):
            if under is node:
                self._skipping[place] = None
                self._skipped -= 1

    def _leave(self, node: Node, parent: Any, leaves: Iterable[tuple[int, Callable[..., Any]]]) -> None:
        for place, leave in leaves:
            if self._skipping[place] is None:
                told = leave(node, None, parent, (), self._ancestors)
                if told is BREAK or told is True:
                    self._skipping[place] = BREAK
                    self._skipped += 1

    def _descend(self, node: Node, parent: Any, keys: Iterable[str]) -> None:
        ancestors, worthwhile = self._ancestors, self._worthwhile
        if parent is not None:
            ancestors.append(parent)
        for key in keys:
            child = getattr(node, key)
            if not child:
                continue
            if child.__class__ is tuple:
                ancestors.append(node)
                for one in child:
                    if worthwhile is None or worthwhile(one):
                        self.visit(one, child)
                ancestors.pop()
            elif worthwhile is None or worthwhile(child):
                self.visit(child, node)
        if parent is not None:
            ancestors.pop()

    def _read(self, kind: str) -> Any:
        """Everything that looks at nodes of a kind, and the names of their children."""
        enters, leaves = [], []
        for place, visitor in enumerate(self._visitors):
            enter, leave = _methods(type(visitor), kind)  # type: ignore[arg-type]  # a class has a hash
            if enter:
                enters.append((place, getattr(visitor, enter)))
            if leave:
                leaves.append((place, getattr(visitor, leave)))
        enter_type = getattr(self._types, f"enter_{kind}", None)
        return enter_type, getattr(self._types, f"leave_{kind}", None), enters, leaves, _CHILDREN.get(kind, ())


@lru_cache(maxsize=4_096)
def _methods(visitor: type[Visitor], kind: str) -> tuple[str | None, str | None]:
    """Names of the methods with which a visitor meets nodes of a kind."""
    enter, leave = (
        next((name for name in (f"{verb}_{kind}", verb) if hasattr(visitor, name)), None) for verb in ("enter", "leave")
    )
    return enter, leave


overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = COMPARISONS
importlib.import_module("graphql.utilities.validate_input_value").print_for_error = _quoted  # type: ignore[attr-defined]
