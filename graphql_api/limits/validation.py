"""Validation of a document by graphql-core's rules, in a faster traversal.

graphql-core's traversal supports changes of the tree, which takes most of its time; this one only reads, and skips
nodes that no rule visits.
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
"""Comparisons of fields with the same response name; a screen's document needs a few hundred."""
MAX_VALIDATION_ERRORS = 5
"""Validation errors that are reported at once."""
MAX_QUOTED_CHARACTERS = 100
"""Characters of a value that an error message quotes."""
VALIDATION_ABORTED_MESSAGE = "Too many validation errors, error limit reached. Validation aborted."

_CHILD_KEYS = {
    kind: tuple(key for key in keys if key not in {"name", "alias", "description"})
    for kind, keys in QUERY_DOCUMENT_KEYS.items()
}


def validate(schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
    """The first validation errors of a document; raises `QueryTooComplex` when it is nested too deep."""
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
    """The context of the rules; it looks for variables only in nodes that contain any."""

    def __init__(self, *arguments: Any) -> None:
        """Cache by the identity of nodes: their hash reads all nodes below them."""
        super().__init__(*arguments)
        self._variable_positions: list[int] | None = None
        for name in ("_fragment_spreads", "_recursively_referenced_fragments"):
            setattr(self, name, RefMap())
        for name in ("_variable_usages", "_recursive_variable_usages"):
            setattr(self, name, RefMap())

    def get_variable_usages(self, node: NodeWithSelectionSet) -> list[VariableUsage]:
        """Variables of an operation or a fragment, with the types of their positions."""
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
        index = bisect_left(self._variable_positions, node.loc.start) if node.loc else 0
        return index < len(self._variable_positions) and (
            node.loc is None or self._variable_positions[index] < node.loc.end
        )


def _print_value_for_error(value: Node) -> str:
    """A value as errors quote it: the text of the document, since printing a long value is slow."""
    if value.loc is None or value.loc.end - value.loc.start <= MAX_QUOTED_CHARACTERS:
        return print_for_error(value)
    return value.loc.source.body[value.loc.start : value.loc.start + MAX_QUOTED_CHARACTERS] + "..."


def _find_variable_positions(document: DocumentNode) -> list[int]:
    positions = []
    token = document.loc.start_token if document.loc else None
    while token is not None:
        if token.kind is TokenKind.DOLLAR:
            positions.append(token.start)
        token = token.next
    return positions


class ParallelTraversal:
    """One traversal with several visitors, each of which may skip the children of a node, or end."""

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
        """Keep `type_info` up to date for the visitors; nodes that are not `should_visit` are skipped."""
        self._type_info = type_info
        self._visitors = visitors
        self._should_visit = should_visit
        self._handlers_by_kind: dict[str, Any] = {}
        self._ancestors: list[Any] = []
        self._skip_until: list[Any] = [None] * len(visitors)
        self._skipping_count = 0

    def visit(self, node: Node, parent: Any) -> None:
        """Traverse a node and its descendants."""
        handlers = self._handlers_by_kind.get(node.kind)
        if handlers is None:
            handlers = self._handlers_by_kind[node.kind] = self._handlers(node.kind)
        enter_type, leave_type, enters, leaves, keys = handlers
        skip_until, ancestors = self._skip_until, self._ancestors
        if enter_type:
            enter_type(node)
        for index, enter in enters:
            if skip_until[index] is None:
                action = enter(node, None, parent, (), ancestors)
                if action is not None:
                    skip_until[index] = BREAK if action is BREAK or action is True else node
                    self._skipping_count += 1
        if keys and self._skipping_count < len(skip_until):
            self._visit_children(node, parent, keys)
        if leaves:
            self._call_leave(node, parent, leaves)
        if self._skipping_count:
            self._resume_visitors(node)
        if leave_type:
            leave_type()

    def _resume_visitors(self, node: Node) -> None:
        for index, skipped_node in enumerate(self._skip_until):
            if skipped_node is node:
                self._skip_until[index] = None
                self._skipping_count -= 1

    def _call_leave(self, node: Node, parent: Any, leaves: Iterable[tuple[int, Callable[..., Any]]]) -> None:
        for index, leave in leaves:
            if self._skip_until[index] is None:
                action = leave(node, None, parent, (), self._ancestors)
                if action is BREAK or action is True:
                    self._skip_until[index] = BREAK
                    self._skipping_count += 1

    def _visit_children(self, node: Node, parent: Any, keys: Iterable[str]) -> None:
        ancestors, should_visit = self._ancestors, self._should_visit
        if parent is not None:
            ancestors.append(parent)
        for key in keys:
            child = getattr(node, key)
            if not child:
                continue
            if child.__class__ is tuple:
                ancestors.append(node)
                for item in child:
                    if should_visit is None or should_visit(item):
                        self.visit(item, child)
                ancestors.pop()
            elif should_visit is None or should_visit(child):
                self.visit(child, node)
        if parent is not None:
            ancestors.pop()

    def _handlers(self, kind: str) -> Any:
        """All methods that visit nodes of a kind, and the keys of their children."""
        enters, leaves = [], []
        for index, visitor in enumerate(self._visitors):
            enter, leave = _method_names(type(visitor), kind)  # type: ignore[arg-type]  # a class is hashable
            if enter:
                enters.append((index, getattr(visitor, enter)))
            if leave:
                leaves.append((index, getattr(visitor, leave)))
        enter_type = getattr(self._type_info, f"enter_{kind}", None)
        return enter_type, getattr(self._type_info, f"leave_{kind}", None), enters, leaves, _CHILD_KEYS.get(kind, ())


@lru_cache(maxsize=4_096)
def _method_names(visitor: type[Visitor], kind: str) -> tuple[str | None, str | None]:
    """Names of a visitor's methods that enter and leave nodes of a kind."""
    enter, leave = (
        next((name for name in (f"{verb}_{kind}", verb) if hasattr(visitor, name)), None) for verb in ("enter", "leave")
    )
    return enter, leave


overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = MAX_FIELD_COMPARISONS
importlib.import_module("graphql.utilities.validate_input_value").print_for_error = _print_value_for_error  # type: ignore[attr-defined]
