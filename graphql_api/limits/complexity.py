"""What a document would cost, measured on its tree: every fragment once, so that the time grows with its size alone."""

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
"""Depth below `__schema` and `__type`, which the standard introspection query needs 15 of."""
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
"""How many fields of a document may repeat a name beside them: validation compares every two of them."""
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
"""Mutations that try a password or a code, or send one: a request holds one of them, so that they are counted."""
INTROSPECTION_FIELDS = frozenset({"__schema", "__type"})


@dataclass(slots=True)
class SelectionCost:
    """What a selection costs, fragments expanded; `objects` counts those that full pages would hold.

    `weight` is what it costs in objects, of which `paged` is more or less by what is found; `answer` counts the objects
    of the JSON. `row_weight` and `row_answer` are those of one row of the page that the selection stands in.
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
        """Count what stands beside it."""
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
        """Become the cost of the field that selects this; `size` is that of the page or the list, if it is one."""
        if field_cost.is_connection_rows:
            self.row_weight, self.row_response_objects = 1 + self.weight, 1 + self.response_objects
            self.weight = self.paged_weight = self.response_objects = 0
            return
        if (
            page_rows is not None and not field_cost.is_connection
        ):  # a list by ids, every object of which may be missing
            self.weight = self.paged_weight = page_rows * (1 + self.weight)
            self.response_objects = page_rows * (1 + self.response_objects)
            return
        rows = self.row_weight * (1 if page_rows is None else page_rows)
        self.weight += field_cost.weight + field_cost.is_composite + rows
        self.response_objects += field_cost.is_composite + self.row_response_objects * (
            1 if page_rows is None else page_rows
        )
        self.paged_weight += rows
        self.row_weight = self.row_response_objects = 0


@dataclass(slots=True)
class ComplexityAnalysis:
    """One measuring of a document, with the variables that it came with.

    `sized` tells in the end whether variables had a say in it, `introspects` whether it reads the schema.
    """

    field_costs: FieldCosts
    variables: Mapping[str, Any]
    operation_costs: dict[str | None, OperationCost] = field(default_factory=dict)
    """What each operation costs, by name."""
    fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    depends_on_variables: bool = False
    uses_introspection: bool = False
    repeated_fields: int = 0
    _fragment_costs: dict[str, SelectionCost] = field(default_factory=dict)
    _open_fragments: set[str] = field(default_factory=set)
    _variable_defaults: dict[str, ValueNode | None] = field(default_factory=dict)

    def analyse(self, document: DocumentNode) -> None:
        """Refuse a document that is over budget: `QueryTooComplex`, or `BadRequest` for a value that cannot be."""
        operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
        named = [one for one in document.definitions if isinstance(one, FragmentDefinitionNode)]
        _require_at_most(MAX_OPERATIONS, len(operations), "operations")
        _require_at_most(MAX_FRAGMENTS, len(named), "fragments")
        self.fragments = {one.name.value: one for one in named}
        for operation in operations:
            self._analyse_operation(operation)
        for name in self.fragments:
            self._fragment_cost(name)
        _require_at_most(MAX_REPEATED_FIELDS, self.repeated_fields, "repeated fields")

    def _analyse_operation(self, operation: OperationDefinitionNode) -> None:
        definitions = operation.variable_definitions or ()
        _require_at_most(MAX_VARIABLES, len(definitions), "variables")
        self._fragment_costs.clear()
        self._variable_defaults = {one.variable.name.value: one.default_value for one in definitions}
        directives = self._count_directives(operation.directives)
        for one in definitions:
            directives += self._count_directives(one.directives)
            if one.default_value:
                check_literal(one.default_value)
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
        """Names of the fields at the root; a fragment's as often as it is spread, as far as that matters."""
        for one in selections.selections:
            if isinstance(one, FieldNode):
                yield one.name.value
            elif isinstance(one, InlineFragmentNode):
                yield from self._root_field_names(one.selection_set, seen)
            elif isinstance(one, FragmentSpreadNode) and one.name.value not in seen:
                # A second spread merges into the first, as do equal fields: aliases make others.
                seen.add(one.name.value)
                if fragment := self.fragments.get(one.name.value):
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
        """Add what stands in one pair of braces, inline fragments as if they were not."""
        for one in selections.selections:
            cost.directives += self._count_directives(one.directives)
            if isinstance(one, FieldNode):
                answer = (parent, (one.alias or one.name).value)
                self.repeated_fields += answer in seen
                seen.add(answer)
                cost.add(self._field_selection_cost(one, parent))
            elif isinstance(one, InlineFragmentNode):
                condition = one.type_condition
                inner = self.field_costs.schema.get_type(condition.name.value) if condition else parent
                cost.fields += 1
                self._add_selection_set(one.selection_set, inner, cost, seen)
            elif isinstance(one, FragmentSpreadNode):
                cost.add(self._fragment_cost(one.name.value))

    def _field_selection_cost(self, node: FieldNode, parent: Any) -> SelectionCost:
        name = node.name.value
        for argument in node.arguments or ():
            check_literal(argument.value)
        shape = self.field_costs.get(parent, name)
        kind = shape.named_type if shape else None
        cost = self._selection_set_cost(node.selection_set, kind) if node.selection_set else SelectionCost()
        if shape:
            size = self._requested_rows(node, shape)
            if size is not None and (cost.reads_rows or not shape.is_connection):
                cost.objects = size * (1 + cost.objects)
            cost.apply_field(shape, size)
            if shape.counts_input_items:
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
        """Rows that a connection is asked for, or ids of a list of objects; None for a field that is neither."""
        if not (field_cost.is_connection or field_cost.is_list_by_ids):
            return None
        arguments = {one.name.value: one for one in node.arguments or ()}
        if field_cost.is_connection:
            sizes = [self._integer_argument(arguments[name]) for name in ("first", "last") if name in arguments]
            given = [size for size in sizes if size is not None]
            return min(max(0, *given), MAX_PAGE_SIZE) if given else DEFAULT_PAGE_SIZE
        return self._list_argument_length(arguments["ids"]) if "ids" in arguments else None

    def _count_input_items(self, node: FieldNode) -> int:
        """What a mutation is given in lists: their items, however deep they stand."""
        found = 0
        waiting: list[Any] = [one.value for one in node.arguments or ()]
        while waiting:
            match waiting.pop():
                case ListValueNode(values=values):
                    found += len(values)
                    waiting.extend(values)
                case ObjectValueNode(fields=fields):
                    waiting.extend(one.value for one in fields)
                case VariableNode(name=name):
                    self.depends_on_variables = True
                    waiting.append(self.variables.get(name.value))
                case list() as values:
                    found += len(values)
                    waiting.extend(values)
                case dict() as members:
                    waiting.extend(members.values())
                case _:
                    pass
        return found

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
