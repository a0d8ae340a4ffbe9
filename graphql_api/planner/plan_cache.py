"""Plans that are kept: the latest, bounded in number and in bytes, whoever sends however many documents."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLNonNull,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    get_operation_ast,
)
from graphql import visit as walk
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_variable_values
from graphql.language import Visitor

from graphql_api.errors import RequestError
from graphql_api.limits import extension
from graphql_api.limits.value_limits import check_variables
from graphql_api.planner.compiler import NO_VARIABLES, Plan, compiled, introspected
from graphql_api.planner.errors import Declined

if TYPE_CHECKING:
    from graphql import DirectiveNode, VariableDefinitionNode

    from graphql_api.limits.points import OperationCost
    from graphql_api.observability.error_masking import ErrorMaskingSchema

ENTRIES = 500
BYTES = 32 << 20
"""Both counted together: documents, as their trees lie in memory, and the plans made of them."""
OF_A_DOCUMENT = 8
"""Plans of one operation, which differ by what is skipped and included, and prices of it."""
BYTES_OF_A_CHARACTER = 60
_PLAIN: dict[str, type] = {"ID": str, "String": str, "Boolean": bool}
"""Types whose values are taken as they are, where they are of this class."""


class Plain(NamedTuple):
    """A variable whose value needs no coercing."""

    name: str
    kind: type
    signature: GraphQLVariableSignature


@dataclass(slots=True)
class Entry:
    """One operation of a document, valid and affordable; its plans, by the variables that choose among its fields."""

    known: extension.CachedDocument
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    choosing: tuple[str, ...]
    declared: tuple[str, ...]
    """Variables of the document: of what callers send besides, nothing may be kept."""
    plain: tuple[Plain, ...] | None
    price: OperationCost
    size: int
    plans: OrderedDict[tuple[Any, ...], Plan | None] = field(default_factory=OrderedDict)
    prices: OrderedDict[Any, OperationCost] = field(default_factory=OrderedDict)
    """By the sizes among the variables, where the price goes by them."""


class Plans:
    """Every plan of a process, for one schema."""

    def __init__(self, schema: ErrorMaskingSchema) -> None:
        """Begin with none."""
        self._schema = schema
        self._documents = extension.document_cache_of(schema)
        self._entries: OrderedDict[tuple[str, str | None], Entry] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        """How many operations are kept."""
        return len(self._entries)

    def find(self, query: str, name: str | None, given: dict[str, Any]) -> tuple[Plan, VariableValues, OperationCost]:
        """The plan of an operation, its variables and its price; `Declined` where graphql-core is to answer.

        A document that is malformed, invalid or over budget is not kept, and graphql-core tells what is wrong with it.
        """
        entry = self._entries.get((query, name))
        if entry is None:
            entry = self._read(query, name, given)
            price = entry.price
        else:
            self._entries.move_to_end((query, name))
            price = self._price(entry, name, given)
        variables = self._variables(entry, given)
        # A variable of this name may be no Boolean here: another operation of the document has its own.
        found = (variables.coerced.get(one) for one in entry.choosing)
        choice = tuple(one if isinstance(one, bool) else None for one in found)
        if choice in entry.plans:
            plan = entry.plans[choice]
        else:
            plan = self._compile(entry, variables)
            self._keep(query, name, entry, choice, plan)
        if plan is None:
            raise Declined
        return plan, variables, price

    def _read(self, query: str, name: str | None, given: dict[str, Any]) -> Entry:
        known = self._documents.get_or_parse(query)
        check_variables(given)
        price = self._documents.check_cost(known, given, name)
        operation = get_operation_ast(known.document, name)
        if operation is None or operation.operation is not OperationType.QUERY:
            raise Declined
        if self._documents.validate(known):
            raise Declined
        fragments = {
            one.name.value: one for one in known.document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        names = _Names()
        walk(known.document, names)
        choosing, declared = tuple(sorted(names.choosing)), tuple(sorted(names.declared))
        size = BYTES_OF_A_CHARACTER * len(query)
        return Entry(known, operation, fragments, choosing, declared, self._plain(operation), price, size)

    def _plain(self, operation: OperationDefinitionNode) -> tuple[Plain, ...] | None:
        """The variables of an operation, where each is required and of a plain type; else None."""
        found = []
        for definition in operation.variable_definitions or ():
            signature = get_variable_signature(self._schema._schema, definition)  # noqa: SLF001 - Strawberry has no other name for it
            if isinstance(signature, GraphQLError) or not isinstance(signature.type, GraphQLNonNull):
                return None
            kind = _PLAIN.get(str(signature.type.of_type))
            if kind is None or definition.default_value:
                return None
            found.append(Plain(signature.name, kind, signature))
        return tuple(found)

    def _price(self, entry: Entry, name: str | None, given: dict[str, Any]) -> OperationCost:
        """What an operation costs, measured again where that depends on variables, unless these have been measured."""
        if given:
            check_variables(given)
        if entry.known.operation_costs is not None:
            return entry.price
        sizes = tuple((one, _size(given[one])) for one in entry.declared if one in given)
        price = entry.prices.get(sizes)
        if price is None:
            price = entry.prices[sizes] = self._documents.check_cost(entry.known, given, name)
            if len(entry.prices) > OF_A_DOCUMENT:
                entry.prices.popitem(last=False)
        return price

    def _variables(self, entry: Entry, given: dict[str, Any]) -> VariableValues:
        definitions = entry.operation.variable_definitions
        if not definitions:
            return NO_VARIABLES
        if entry.plain and all(given.get(one.name).__class__ is one.kind for one in entry.plain):
            sources = {one.name: VariableValueSource(one.signature, given[one.name]) for one in entry.plain}
            return VariableValues(sources, {name: given[name] for name in sources})
        variables = get_variable_values(self._schema._schema, definitions, given, max_errors=1)  # noqa: SLF001 - the same
        if not isinstance(variables, VariableValues):
            raise Declined
        return variables

    def _compile(self, entry: Entry, variables: VariableValues) -> Plan | None:
        try:
            if entry.known.uses_introspection:
                return introspected(self._schema, entry.operation, entry.fragments)
            return compiled(self._schema, entry.operation, entry.fragments, variables)
        except (Declined, RequestError, GraphQLError):
            return None

    def _keep(self, query: str, name: str | None, entry: Entry, choice: tuple[Any, ...], plan: Plan | None) -> None:
        old = self._entries.pop((query, name), None)
        self.size -= old.size if old else 0
        entry.plans[choice] = plan
        entry.size += plan.size if plan else 0
        if len(entry.plans) > OF_A_DOCUMENT:
            _, least = entry.plans.popitem(last=False)
            entry.size -= least.size if least else 0
        self._entries[query, name] = entry
        self.size += entry.size
        while self._entries and (len(self._entries) > ENTRIES or self.size > BYTES):
            _, gone = self._entries.popitem(last=False)
            self.size -= gone.size


def _size(value: Any) -> float | None:
    """What of a variable a price can depend on; a null is not what is left out, which may have a default."""
    if isinstance(value, list):
        return len(value)
    return value if isinstance(value, int | float) else None


class _Names(Visitor):
    """Names of the variables of a document, and of those by which `@skip` and `@include` go."""

    def __init__(self) -> None:
        super().__init__()
        self.declared: set[str] = set()
        self.choosing: set[str] = set()

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> None:
        self.declared.add(node.variable.name.value)

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self.choosing.add(argument.value.name.value)
