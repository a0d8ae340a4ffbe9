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

VALIDATION_RULES: tuple[type[ASTValidationRule], ...] = (*specified_rules, OneOfInputValidationRule)
MAX_FIELD_COMPARISONS = 10_000
"""What may be spent on comparing fields that answer under one name; a document of a screen spends a few hundred."""
MAX_VALIDATION_ERRORS = 5
"""Errors of a document that are told at once."""
MAX_QUOTED_CHARACTERS = 100
"""Characters of a value that an error quotes."""
VALIDATION_ABORTED_MESSAGE = "Too many validation errors, error limit reached. Validation aborted."

_CHILD_KEYS = {
    kind: tuple(key for key in keys if key not in {"name", "alias", "description"})
    for kind, keys in QUERY_DOCUMENT_KEYS.items()
}


def validate(schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
    """What is wrong with a document, the first few errors; raises QueryTooComplex where it nests too deep."""
    errors: list[GraphQLError] = []

    def report(error: GraphQLError) -> None:
        if len(errors) >= MAX_VALIDATION_ERRORS:
            raise ValidationAbortedError(VALIDATION_ABORTED_MESSAGE)
        errors.append(error)

    types = TypeInfo(schema)
    context = FastValidationContext(schema, document, types, report)
    try:
        ParallelTraversal(types, [rule(context) for rule in VALIDATION_RULES]).visit(document, None)
    except ValidationAbortedError as error:
        errors.append(error)
    except RecursionError as error:
        raise QueryTooComplex("The document is nested too deep.") from error
    return errors


class FastValidationContext(ValidationContext):
    """What rules can ask; variables are looked for where there are any."""

    def __init__(self, *arguments: Any) -> None:
        """Keep what is found out about nodes by their identity: their hash is made of all that is under them."""
        super().__init__(*arguments)
        self._variable_positions: list[int] | None = None
        for name in ("_fragment_spreads", "_recursively_referenced_fragments"):
            setattr(self, name, RefMap())
        for name in ("_variable_usages", "_recursive_variable_usages"):
            setattr(self, name, RefMap())

    def get_variable_usages(self, node: NodeWithSelectionSet) -> list[VariableUsage]:
        """Variables in an operation or a fragment, with the types of their places."""
        usages = self._variable_usages.get(node)
        if usages is None:
            visitor = VariableUsageVisitor(self._type_info, node if isinstance(node, FragmentDefinitionNode) else None)
            if self._contains_variables(node):
                ParallelTraversal(self._type_info, [visitor], self._contains_variables).visit(node, None)
            usages = self._variable_usages[node] = visitor.usages
        return usages

    def _contains_variables(self, node: Node) -> bool:
        if self._variable_positions is None:
            self._variable_positions = _find_variable_positions(self.document)
        where = bisect_left(self._variable_positions, node.loc.start) if node.loc else 0
        return where < len(self._variable_positions) and (
            node.loc is None or self._variable_positions[where] < node.loc.end
        )


def _print_value_for_error(value: Node) -> str:
    """A value of the document as an error quotes it: as it was written, since to print a long one takes long."""
    if value.loc is None or value.loc.end - value.loc.start <= MAX_QUOTED_CHARACTERS:
        return print_for_error(value)
    return value.loc.source.body[value.loc.start : value.loc.start + MAX_QUOTED_CHARACTERS] + "..."


def _find_variable_positions(document: DocumentNode) -> list[int]:
    places = []
    token = document.loc.start_token if document.loc else None
    while token is not None:
        if token.kind is TokenKind.DOLLAR:
            places.append(token.start)
        token = token.next
    return places


class ParallelTraversal:
    """One walk over a tree with several visitors, each of which may skip what lies under a node, or all the rest."""

    __slots__ = (
        "_ancestors",
        "_handlers_by_kind",
        "_should_visit",
        "_skip_until",
        "_skipping_count",
        "_type_info",
        "_visitors",
    )

    def __init__(
        self, type_info: TypeInfo, visitors: Sequence[Visitor], should_visit: Callable[[Node], bool] | None = None
    ) -> None:
        """Keep `types` up to date for the visitors; what is not `worthwhile` is left out."""
        self._type_info = type_info
        self._visitors = visitors
        self._should_visit = should_visit
        self._handlers_by_kind: dict[str, Any] = {}
        self._ancestors: list[Any] = []
        self._skip_until: list[Any] = [None] * len(visitors)
        self._skipping_count = 0

    def visit(self, node: Node, parent: Any) -> None:
        """Walk over a node and all under it."""
        known = self._handlers_by_kind.get(node.kind)
        if known is None:
            known = self._handlers_by_kind[node.kind] = self._handlers(node.kind)
        enter_type, leave_type, enters, leaves, keys = known
        skipping, ancestors = self._skip_until, self._ancestors
        if enter_type:
            enter_type(node)
        for place, enter in enters:
            if skipping[place] is None:
                told = enter(node, None, parent, (), ancestors)
                if told is not None:
                    skipping[place] = BREAK if told is BREAK or told is True else node
                    self._skipping_count += 1
        if keys and self._skipping_count < len(skipping):
            self._visit_children(node, parent, keys)
        if leaves:
            self._call_leave(node, parent, leaves)
        if self._skipping_count:
            self._resume_visitors(node)
        if leave_type:
            leave_type()

    def _resume_visitors(self, node: Node) -> None:
        for place, under in enumerate(self._skip_until):
            if under is node:
                self._skip_until[place] = None
                self._skipping_count -= 1

    def _call_leave(self, node: Node, parent: Any, leaves: Iterable[tuple[int, Callable[..., Any]]]) -> None:
        for place, leave in leaves:
            if self._skip_until[place] is None:
                told = leave(node, None, parent, (), self._ancestors)
                if told is BREAK or told is True:
                    self._skip_until[place] = BREAK
                    self._skipping_count += 1

    def _visit_children(self, node: Node, parent: Any, keys: Iterable[str]) -> None:
        ancestors, worthwhile = self._ancestors, self._should_visit
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

    def _handlers(self, kind: str) -> Any:
        """Everything that looks at nodes of a kind, and the names of their children."""
        enters, leaves = [], []
        for place, visitor in enumerate(self._visitors):
            enter, leave = _method_names(type(visitor), kind)  # type: ignore[arg-type]  # a class has a hash
            if enter:
                enters.append((place, getattr(visitor, enter)))
            if leave:
                leaves.append((place, getattr(visitor, leave)))
        enter_type = getattr(self._type_info, f"enter_{kind}", None)
        return enter_type, getattr(self._type_info, f"leave_{kind}", None), enters, leaves, _CHILD_KEYS.get(kind, ())


@lru_cache(maxsize=4_096)
def _method_names(visitor: type[Visitor], kind: str) -> tuple[str | None, str | None]:
    """Names of the methods with which a visitor meets nodes of a kind."""
    enter, leave = (
        next((name for name in (f"{verb}_{kind}", verb) if hasattr(visitor, name)), None) for verb in ("enter", "leave")
    )
    return enter, leave


overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = MAX_FIELD_COMPARISONS
importlib.import_module("graphql.utilities.validate_input_value").print_for_error = _print_value_for_error  # type: ignore[attr-defined]
