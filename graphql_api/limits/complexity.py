"""The cost of a document, computed on its tree: each fragment once, so that the time is linear in its size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
)

from graphql_api.errors import QueryTooComplex
from graphql_api.limits.field_costs import PAGE_FIELDS
from graphql_api.limits.points import OperationCost
from graphql_api.limits.value_limits import check_literal
from graphql_api.settings import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graphql import ArgumentNode, DirectiveNode, DocumentNode, ValueNode

    from graphql_api.limits.field_costs import FieldCost, FieldCosts

MAX_DEPTH = 12
MAX_INTROSPECTION_DEPTH = 16
"""Depth below `__schema` and `__type`; the standard introspection query needs 15."""
MAX_FIELDS = 1_000
MAX_ALIASES = 60
MAX_ROOT_FIELDS = 20
MAX_MUTATIONS = 5
MAX_OPERATIONS = 5
MAX_FRAGMENTS = 50
MAX_VARIABLES = 100
MAX_DIRECTIVES = 50
MAX_DIRECTIVES_PER_NODE = 5
MAX_REPEATED_FIELDS = 50
"""Fields that repeat a response name of their selection set: validation compares each pair."""
MAX_OBJECTS = 10_000

CREDENTIAL_MUTATIONS = frozenset(
    {
        "registerUser",
        "signIn",
        "completeSignIn",
        "resendSignInCode",
        "requestPasswordReset",
        "resetPassword",
        "changePassword",
    }
)
"""Mutations that check a password or a code, or send one: one in a request, so that attempts can be limited."""
INTROSPECTION_FIELDS = frozenset({"__schema", "__type"})


@dataclass(slots=True)
class SelectionCost:
    """The cost of a selection, fragments expanded; `objects` counts those of full pages.

    `weight` is the cost in objects, of which `paged_weight` depends on how full pages are; `response_objects` counts
    those of the JSON. `row_weight` and `row_response_objects` are those of one row of the enclosing page.
    """

    depth: int = 0
    introspection_depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    objects: int = 0
    reads_rows: bool = False
    weight: int = 0
    paged_weight: int = 0
    response_objects: int = 0
    row_weight: int = 0
    row_response_objects: int = 0

    def add(self, other: SelectionCost) -> None:
        """Add the cost of a sibling."""
        self.depth = max(self.depth, other.depth)
        self.introspection_depth = max(self.introspection_depth, other.introspection_depth)
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives
        self.objects += other.objects
        self.reads_rows = self.reads_rows or other.reads_rows
        self.weight += other.weight
        self.paged_weight += other.paged_weight
        self.response_objects += other.response_objects
        self.row_weight += other.row_weight
        self.row_response_objects += other.row_response_objects

    def apply_field(self, field_cost: FieldCost, page_rows: int | None) -> None:
        """Turn the cost of a selection into that of its field; `page_rows` is the size of its page or list, if any."""
        if field_cost.is_connection_rows:
            self.row_weight, self.row_response_objects = 1 + self.weight, 1 + self.response_objects
            self.weight = self.paged_weight = self.response_objects = 0
            return
        if page_rows is not None and not field_cost.is_connection:
            # A list by ids, each object of which may be missing.
            self.weight = self.paged_weight = page_rows * (1 + self.weight)
            self.response_objects = page_rows * (1 + self.response_objects)
            return
        rows = 1 if page_rows is None else page_rows
        self.weight += field_cost.weight + field_cost.is_composite + self.row_weight * rows
        self.response_objects += field_cost.is_composite + self.row_response_objects * rows
        self.paged_weight += self.row_weight * rows
        self.row_weight = self.row_response_objects = 0


@dataclass(slots=True)
class ComplexityAnalysis:
    """The analysis of one document with its variables.

    Afterwards `depends_on_variables` says whether the costs do, `uses_introspection` whether it reads the schema.
    """

    field_costs: FieldCosts
    variables: Mapping[str, Any]
    operation_costs: dict[str | None, OperationCost] = field(default_factory=dict)
    """The cost of each operation, by name."""
    fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    depends_on_variables: bool = False
    uses_introspection: bool = False
    repeated_fields: int = 0
    _fragment_costs: dict[str, SelectionCost] = field(default_factory=dict)
    _open_fragments: set[str] = field(default_factory=set)
    _variable_defaults: dict[str, ValueNode | None] = field(default_factory=dict)

    def analyse(self, document: DocumentNode) -> None:
        """Raise `QueryTooComplex` for a document over a limit, and `BadRequest` for an impossible value."""
        operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
        fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
        _require_at_most(MAX_OPERATIONS, len(operations), "operations")
        _require_at_most(MAX_FRAGMENTS, len(fragments), "fragments")
        self.fragments = {fragment.name.value: fragment for fragment in fragments}
        for operation in operations:
            self._analyse_operation(operation)
        for name in self.fragments:
            self._fragment_cost(name)
        _require_at_most(MAX_REPEATED_FIELDS, self.repeated_fields, "repeated fields")

    def _analyse_operation(self, operation: OperationDefinitionNode) -> None:
        definitions = operation.variable_definitions or ()
        _require_at_most(MAX_VARIABLES, len(definitions), "variables")
        self._fragment_costs.clear()
        self._variable_defaults = {variable.variable.name.value: variable.default_value for variable in definitions}
        directives = self._count_directives(operation.directives)
        for variable in definitions:
            directives += self._count_directives(variable.directives)
            if variable.default_value:
                check_literal(variable.default_value)
        root = self.field_costs.schema.get_root_type(operation.operation)
        cost = self._selection_set_cost(operation.selection_set, root)
        _require_at_most(MAX_DIRECTIVES, directives + cost.directives, "directives")
        _require_at_most(MAX_DEPTH, cost.depth, "levels")
        _require_at_most(MAX_INTROSPECTION_DEPTH, cost.introspection_depth, "levels of introspection")
        _require_at_most(MAX_FIELDS, cost.fields, "fields, fragments included")
        _require_at_most(MAX_ALIASES, cost.aliases, "aliases")
        names = list(self._root_field_names(operation.selection_set, set()))
        _require_at_most(MAX_ROOT_FIELDS, len(names), "fields at the root")
        if operation.operation is OperationType.MUTATION:
            _require_at_most(MAX_MUTATIONS, len(names), "mutations")
            _require_at_most(1, sum(name in CREDENTIAL_MUTATIONS for name in names), "mutations that sign in")
        _require_at_most(MAX_OBJECTS, cost.objects, "objects, if every page were full")
        weight = cost.weight + cost.row_weight
        name = operation.name.value if operation.name else None
        self.operation_costs[name] = OperationCost(
            weight - cost.paged_weight, cost.paged_weight, 1 + cost.response_objects + cost.row_response_objects
        )

    def _root_field_names(self, selections: SelectionSetNode, seen: set[str]) -> Iterable[str]:
        """Names of the fields at the root, those of fragments included."""
        for node in selections.selections:
            if isinstance(node, FieldNode):
                yield node.name.value
            elif isinstance(node, InlineFragmentNode):
                yield from self._root_field_names(node.selection_set, seen)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                # The fields of a second spread merge with those of the first.
                seen.add(node.name.value)
                if fragment := self.fragments.get(node.name.value):
                    yield from self._root_field_names(fragment.selection_set, seen)

    def _fragment_cost(self, name: str) -> SelectionCost:
        if name not in self._fragment_costs:
            fragment = self.fragments.get(name)
            if fragment is None or name in self._open_fragments:
                return SelectionCost()
            self._open_fragments.add(name)
            cost = self._selection_set_cost(
                fragment.selection_set, self.field_costs.schema.get_type(fragment.type_condition.name.value)
            )
            cost.directives += self._count_directives(fragment.directives)
            self._fragment_costs[name] = cost
            self._open_fragments.discard(name)
        return self._fragment_costs[name]

    def _selection_set_cost(self, selections: SelectionSetNode, parent: Any) -> SelectionCost:
        cost = SelectionCost()
        seen: set[tuple[Any, str]] = set()
        self._add_selection_set(selections, parent, cost, seen)
        return cost

    def _add_selection_set(
        self, selections: SelectionSetNode, parent: Any, cost: SelectionCost, seen: set[tuple[Any, str]]
    ) -> None:
        """Add the fields of one selection set, those of inline fragments as its own."""
        for node in selections.selections:
            cost.directives += self._count_directives(node.directives)
            if isinstance(node, FieldNode):
                response_field = (parent, (node.alias or node.name).value)
                self.repeated_fields += response_field in seen
                seen.add(response_field)
                cost.add(self._field_selection_cost(node, parent))
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inner = self.field_costs.schema.get_type(condition.name.value) if condition else parent
                cost.fields += 1
                self._add_selection_set(node.selection_set, inner, cost, seen)
            elif isinstance(node, FragmentSpreadNode):
                cost.add(self._fragment_cost(node.name.value))

    def _field_selection_cost(self, node: FieldNode, parent: Any) -> SelectionCost:
        name = node.name.value
        for argument in node.arguments or ():
            check_literal(argument.value)
        field_cost = self.field_costs.get(parent, name)
        named_type = field_cost.named_type if field_cost else None
        cost = self._selection_set_cost(node.selection_set, named_type) if node.selection_set else SelectionCost()
        if field_cost:
            rows = self._requested_rows(node, field_cost)
            if rows is not None and (cost.reads_rows or not field_cost.is_connection):
                cost.objects = rows * (1 + cost.objects)
            cost.apply_field(field_cost, rows)
            if field_cost.counts_input_items:
                cost.weight += self._count_input_items(node)
        if name in INTROSPECTION_FIELDS:
            self.uses_introspection = True
            cost.introspection_depth, cost.depth = 1 + max(cost.depth, cost.introspection_depth), 1
        else:
            cost.depth += 1
        cost.fields += 1
        cost.aliases += node.alias is not None
        cost.reads_rows = name in PAGE_FIELDS
        return cost

    def _requested_rows(self, node: FieldNode, field_cost: FieldCost) -> int | None:
        """Rows that a connection requests, or ids of a list by ids; None for any other field."""
        if not (field_cost.is_connection or field_cost.is_list_by_ids):
            return None
        arguments = {argument.name.value: argument for argument in node.arguments or ()}
        if field_cost.is_connection:
            sizes = [self._integer_argument(arguments[name]) for name in ("first", "last") if name in arguments]
            known_sizes = [size for size in sizes if size is not None]
            return min(max(0, *known_sizes), MAX_PAGE_SIZE) if known_sizes else DEFAULT_PAGE_SIZE
        return self._list_argument_length(arguments["ids"]) if "ids" in arguments else None

    def _count_input_items(self, node: FieldNode) -> int:
        """Number of items in all lists of a mutation's arguments, nested ones too."""
        count = 0
        stack: list[Any] = [argument.value for argument in node.arguments or ()]
        while stack:
            match stack.pop():
                case ListValueNode(values=values):
                    count += len(values)
                    stack.extend(values)
                case ObjectValueNode(fields=fields):
                    stack.extend(member.value for member in fields)
                case VariableNode(name=name):
                    self.depends_on_variables = True
                    stack.append(self.variables.get(name.value))
                case list() as values:
                    count += len(values)
                    stack.extend(values)
                case dict() as members:
                    stack.extend(members.values())
                case _:
                    pass
        return count

    def _integer_argument(self, argument: ArgumentNode) -> int | None:
        match argument.value:
            case IntValueNode(value=digits):
                return int(digits)
            case VariableNode(name=name):
                self.depends_on_variables = True
                if name.value in self.variables:
                    value = self.variables[name.value]
                    return int(value) if isinstance(value, int | float) else None
                default = self._variable_defaults.get(name.value)
                return int(default.value) if isinstance(default, IntValueNode) else None
            case _:
                return None

    def _list_argument_length(self, argument: ArgumentNode) -> int:
        match argument.value:
            case ListValueNode(values=values):
                return len(values)
            case VariableNode(name=name):
                self.depends_on_variables = True
                value = self.variables.get(name.value)
                return len(value) if isinstance(value, list) else MAX_PAGE_SIZE
            case _:
                return 1

    def _count_directives(self, directives: Iterable[DirectiveNode] | None) -> int:
        count = 0
        for directive in directives or ():
            count += 1
            for argument in directive.arguments or ():
                check_literal(argument.value)
        _require_at_most(MAX_DIRECTIVES_PER_NODE, count, "directives in one place")
        return count


def _require_at_most(limit: int, count: int, what: str) -> None:
    if count > limit:
        raise QueryTooComplex(f"A request may have {limit:,} {what} at most; this one has {min(count, 10**9):,}.")
