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
from graphql_api.limits.points import Price
from graphql_api.limits.value_limits import check_literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graphql import ArgumentNode, DirectiveNode, DocumentNode, ValueNode

    from graphql_api.limits.field_costs import Shape, Shapes

DEEPEST = 12
DEEPEST_INTROSPECTION = 16
"""Depth below `__schema` and `__type`, which the standard introspection query needs 15 of."""
FIELDS = 1_000
ALIASES = 60
ROOT_FIELDS = 20
MUTATIONS = 5
OPERATIONS = 5
FRAGMENTS = 50
VARIABLES = 100
DIRECTIVES = 50
DIRECTIVES_OF_A_NODE = 5
REPEATED = 50
"""How many fields of a document may repeat a name beside them: validation compares every two of them."""
OBJECTS = 10_000
PAGE, LARGEST_PAGE = 50, 100
"""Rows of a page where `first` and `last` are left out, and at most."""

ALONE = frozenset(
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
INTROSPECTION = frozenset({"__schema", "__type"})
ROWS = frozenset({"edges", "nodes", "pageInfo"})
"""Fields of a connection that read its page; `totalCount` alone does not."""


@dataclass(slots=True)
class Cost:
    """What a selection costs, fragments expanded; `objects` counts those that full pages would hold.

    `weight` is what it costs in objects, of which `paged` is more or less by what is found; `answer` counts the objects
    of the JSON. `row_weight` and `row_answer` are those of one row of the page that the selection stands in.
    """

    depth: int = 0
    introspection: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    objects: int = 0
    rows: bool = False
    weight: int = 0
    paged: int = 0
    answer: int = 0
    row_weight: int = 0
    row_answer: int = 0

    def add(self, other: Cost) -> None:
        """Count what stands beside it."""
        self.depth = max(self.depth, other.depth)
        self.introspection = max(self.introspection, other.introspection)
        self.fields += other.fields
        self.aliases += other.aliases
        self.directives += other.directives
        self.objects += other.objects
        self.rows = self.rows or other.rows
        self.weight += other.weight
        self.paged += other.paged
        self.answer += other.answer
        self.row_weight += other.row_weight
        self.row_answer += other.row_answer

    def within(self, shape: Shape, size: int | None) -> None:
        """Become the cost of the field that selects this; `size` is that of the page or the list, if it is one."""
        if shape.rows:
            self.row_weight, self.row_answer = 1 + self.weight, 1 + self.answer
            self.weight = self.paged = self.answer = 0
            return
        if size is not None and not shape.pages:  # a list by ids, every object of which may be missing
            self.weight = self.paged = size * (1 + self.weight)
            self.answer = size * (1 + self.answer)
            return
        rows = self.row_weight * (1 if size is None else size)
        self.weight += shape.weight + shape.composite + rows
        self.answer += shape.composite + self.row_answer * (1 if size is None else size)
        self.paged += rows
        self.row_weight = self.row_answer = 0


@dataclass(slots=True)
class Measure:
    """One measuring of a document, with the variables that it came with.

    `sized` tells in the end whether variables had a say in it, `introspects` whether it reads the schema.
    """

    shapes: Shapes
    variables: Mapping[str, Any]
    prices: dict[str | None, Price] = field(default_factory=dict)
    """What each operation costs, by name."""
    fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    sized: bool = False
    introspects: bool = False
    repeated: int = 0
    _known: dict[str, Cost] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)
    _defaults: dict[str, ValueNode | None] = field(default_factory=dict)

    def document(self, document: DocumentNode) -> None:
        """Refuse a document that is over budget: `QueryTooComplex`, or `BadRequest` for a value that cannot be."""
        operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
        named = [one for one in document.definitions if isinstance(one, FragmentDefinitionNode)]
        _at_most(OPERATIONS, len(operations), "operations")
        _at_most(FRAGMENTS, len(named), "fragments")
        self.fragments = {one.name.value: one for one in named}
        for operation in operations:
            self._operation(operation)
        for name in self.fragments:
            self._fragment(name)
        _at_most(REPEATED, self.repeated, "repeated fields")

    def _operation(self, operation: OperationDefinitionNode) -> None:
        definitions = operation.variable_definitions or ()
        _at_most(VARIABLES, len(definitions), "variables")
        self._known.clear()
        self._defaults = {one.variable.name.value: one.default_value for one in definitions}
        directives = self._directives(operation.directives)
        for one in definitions:
            directives += self._directives(one.directives)
            if one.default_value:
                check_literal(one.default_value)
        root = self.shapes.schema.get_root_type(operation.operation)
        cost = self._selections(operation.selection_set, root)
        _at_most(DIRECTIVES, directives + cost.directives, "directives")
        _at_most(DEEPEST, cost.depth, "levels")
        _at_most(DEEPEST_INTROSPECTION, cost.introspection, "levels of introspection")
        _at_most(FIELDS, cost.fields, "fields, fragments included")
        _at_most(ALIASES, cost.aliases, "aliases")
        names = list(self._roots(operation.selection_set, set()))
        _at_most(ROOT_FIELDS, len(names), "fields at the root")
        if operation.operation is OperationType.MUTATION:
            _at_most(MUTATIONS, len(names), "mutations")
            _at_most(1, sum(name in ALONE for name in names), "mutations that sign in")
        _at_most(OBJECTS, cost.objects, "objects, if every page were full")
        weight = cost.weight + cost.row_weight
        name = operation.name.value if operation.name else None
        self.prices[name] = Price(weight - cost.paged, cost.paged, 1 + cost.answer + cost.row_answer)

    def _roots(self, selections: SelectionSetNode, seen: set[str]) -> Iterable[str]:
        """Names of the fields at the root; a fragment's as often as it is spread, as far as that matters."""
        for one in selections.selections:
            if isinstance(one, FieldNode):
                yield one.name.value
            elif isinstance(one, InlineFragmentNode):
                yield from self._roots(one.selection_set, seen)
            elif isinstance(one, FragmentSpreadNode) and one.name.value not in seen:
                # A second spread merges into the first, as do equal fields: aliases make others.
                seen.add(one.name.value)
                if fragment := self.fragments.get(one.name.value):
                    yield from self._roots(fragment.selection_set, seen)

    def _fragment(self, name: str) -> Cost:
        if name not in self._known:
            fragment = self.fragments.get(name)
            if fragment is None or name in self._open:
                return Cost()
            self._open.add(name)
            cost = self._selections(
                fragment.selection_set, self.shapes.schema.get_type(fragment.type_condition.name.value)
            )
            cost.directives += self._directives(fragment.directives)
            self._known[name] = cost
            self._open.discard(name)
        return self._known[name]

    def _selections(self, selections: SelectionSetNode, parent: Any) -> Cost:
        cost = Cost()
        seen: set[tuple[Any, str]] = set()
        self._beside(selections, parent, cost, seen)
        return cost

    def _beside(self, selections: SelectionSetNode, parent: Any, cost: Cost, seen: set[tuple[Any, str]]) -> None:
        """Add what stands in one pair of braces, inline fragments as if they were not."""
        for one in selections.selections:
            cost.directives += self._directives(one.directives)
            if isinstance(one, FieldNode):
                answer = (parent, (one.alias or one.name).value)
                self.repeated += answer in seen
                seen.add(answer)
                cost.add(self._field(one, parent))
            elif isinstance(one, InlineFragmentNode):
                condition = one.type_condition
                inner = self.shapes.schema.get_type(condition.name.value) if condition else parent
                cost.fields += 1
                self._beside(one.selection_set, inner, cost, seen)
            elif isinstance(one, FragmentSpreadNode):
                cost.add(self._fragment(one.name.value))

    def _field(self, node: FieldNode, parent: Any) -> Cost:
        name = node.name.value
        for argument in node.arguments or ():
            check_literal(argument.value)
        shape = self.shapes.of(parent, name)
        kind = shape.kind if shape else None
        cost = self._selections(node.selection_set, kind) if node.selection_set else Cost()
        if shape:
            size = self._size(node, shape)
            if size is not None and (cost.rows or not shape.pages):
                cost.objects = size * (1 + cost.objects)
            cost.within(shape, size)
            if shape.items:
                cost.weight += self._items(node)
        if name in INTROSPECTION:
            self.introspects = True
            cost.introspection, cost.depth = 1 + max(cost.depth, cost.introspection), 1
        else:
            cost.depth += 1
        cost.fields += 1
        cost.aliases += node.alias is not None
        cost.rows = name in ROWS
        return cost

    def _size(self, node: FieldNode, shape: Shape) -> int | None:
        """Rows that a connection is asked for, or ids of a list of objects; None for a field that is neither."""
        if not (shape.pages or shape.ids):
            return None
        arguments = {one.name.value: one for one in node.arguments or ()}
        if shape.pages:
            sizes = [self._number(arguments[name]) for name in ("first", "last") if name in arguments]
            given = [size for size in sizes if size is not None]
            return min(max(0, *given), LARGEST_PAGE) if given else PAGE
        return self._length(arguments["ids"]) if "ids" in arguments else None

    def _items(self, node: FieldNode) -> int:
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
                    self.sized = True
                    waiting.append(self.variables.get(name.value))
                case list() as values:
                    found += len(values)
                    waiting.extend(values)
                case dict() as members:
                    waiting.extend(members.values())
                case _:
                    pass
        return found

    def _number(self, argument: ArgumentNode) -> int | None:
        match argument.value:
            case IntValueNode(value=digits):
                return int(digits)
            case VariableNode(name=name):
                self.sized = True
                if name.value in self.variables:
                    value = self.variables[name.value]
                    return int(value) if isinstance(value, int | float) else None
                default = self._defaults.get(name.value)
                return int(default.value) if isinstance(default, IntValueNode) else None
            case _:
                return None

    def _length(self, argument: ArgumentNode) -> int:
        match argument.value:
            case ListValueNode(values=values):
                return len(values)
            case VariableNode(name=name):
                self.sized = True
                value = self.variables.get(name.value)
                return len(value) if isinstance(value, list) else LARGEST_PAGE
            case _:
                return 1

    def _directives(self, directives: Iterable[DirectiveNode] | None) -> int:
        count = 0
        for directive in directives or ():
            count += 1
            for argument in directive.arguments or ():
                check_literal(argument.value)
        _at_most(DIRECTIVES_OF_A_NODE, count, "directives in one place")
        return count


def _at_most(most: int, found: int, what: str) -> None:
    if found > most:
        raise QueryTooComplex(f"A request may have {most:,} {what} at most; this one has {min(found, 10**9):,}.")
