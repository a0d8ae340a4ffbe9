"""The plans of a process: the latest ones, bounded in number and in bytes, whatever documents clients send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from cachetools import FIFOCache, LRUCache
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
from graphql_api.planner.compiler import NO_VARIABLES, compile_introspection, compile_query
from graphql_api.planner.errors import NotPlannable

if TYPE_CHECKING:
    from typing import Any

    from graphql import DirectiveNode, VariableDefinitionNode

    from graphql_api.limits.points import OperationCost
    from graphql_api.observability.error_masking import ErrorMaskingSchema
    from graphql_api.planner.steps.steps import OperationPlan

MAX_OPERATIONS = 500
MAX_BYTES = 32 << 20
"""Memory of the trees of all cached documents, and of all plans."""
MAX_VARIANTS = 8
"""Plans of one operation, which differ by `@skip` and `@include`, and costs of it, which differ by page sizes."""
BYTES_PER_DOCUMENT_CHARACTER = 60
_UNCOERCED_TYPES: dict[str, type] = {"ID": str, "String": str, "Boolean": bool}
"""Types whose values need no coercion if they have this Python class."""

JSONVariables: TypeAlias = "dict[str, Any]"
"""The variables of a request, decoded from JSON and not coerced yet."""


class UncoercedVariable(NamedTuple):
    """A variable whose value needs no coercion if it has this class."""

    name: str
    python_class: type
    signature: GraphQLVariableSignature


class PlannedOperation(NamedTuple):
    """The plan of an operation, its coerced variables, and what it costs with them."""

    plan: OperationPlan
    variables: VariableValues
    cost: OperationCost


@dataclass(slots=True)
class CachedOperation:
    """One operation of a document that is valid and within the limits."""

    document: extension.CachedDocument
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDefinitionNode]
    directive_variables: tuple[str, ...]
    """Variables of `@skip` and `@include`."""
    declared_variables: tuple[str, ...]
    """Variables of the document; others that a client may send are ignored."""
    uncoerced: tuple[UncoercedVariable, ...] | None
    """All variables of the operation; None if one of them always needs coercion."""
    cost: OperationCost
    document_bytes: int
    plans: FIFOCache[tuple[bool | None, ...], OperationPlan | None] = field(
        default_factory=lambda: FIFOCache(MAX_VARIANTS)
    )
    """By the values of `directive_variables`; None where the operation is not plannable."""
    costs: FIFOCache[tuple[tuple[str, float | None], ...], OperationCost] = field(
        default_factory=lambda: FIFOCache(MAX_VARIANTS)
    )
    """By the sizes among the variables, where the cost depends on them."""

    @property
    def size(self) -> int:
        """Approximate memory, in bytes."""
        return self.document_bytes + sum(plan.size for plan in self.plans.values() if plan is not None)


class PlanCache:
    """The plans for one schema, by document and operation name."""

    def __init__(self, schema: ErrorMaskingSchema) -> None:
        self._schema = schema
        self._documents = extension.document_cache_of(schema)
        self._operations: LRUCache[tuple[str, str | None], CachedOperation] = LRUCache(
            MAX_BYTES, getsizeof=lambda operation: operation.size
        )

    def __len__(self) -> int:
        return len(self._operations)

    @property
    def size(self) -> float:
        """Approximate memory, in bytes."""
        return self._operations.currsize

    def find(self, document: str, name: str | None, variables: JSONVariables) -> PlannedOperation:
        """The plan of an operation; raises `NotPlannable`.

        A document that is malformed, invalid or over a limit is not cached, and graphql-core reports what is wrong.
        """
        key = (document, name)
        try:
            operation = self._operations[key]
        except KeyError:
            operation = self._read(document, name, variables)
            cost = operation.cost
        else:
            cost = self._cost(operation, name, variables)
        values = self._coerce(operation, variables)
        coerced = values.coerced
        # A variable of this name may be no Boolean here: another operation of the document has its own.
        directives = tuple(
            [
                value if isinstance(value := coerced.get(variable), bool) else None
                for variable in operation.directive_variables
            ]
        )
        try:
            plan = operation.plans[directives]
        except KeyError:
            plan = operation.plans[directives] = self._compile(operation, values)
            self._store(key, operation)
        if plan is None:
            raise NotPlannable
        return PlannedOperation(plan, values, cost)

    def _read(self, document: str, name: str | None, variables: JSONVariables) -> CachedOperation:
        parsed = self._documents.get_or_parse(document)
        check_variables(variables)
        cost = self._documents.check_cost(parsed, variables, name)
        operation = get_operation_ast(parsed.document, name)
        if operation is None or operation.operation is not OperationType.QUERY:
            raise NotPlannable
        if self._documents.validate(parsed):
            raise NotPlannable
        fragments = {
            definition.name.value: definition
            for definition in parsed.document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        names = _VariableNames()
        walk(parsed.document, names)
        return CachedOperation(
            document=parsed,
            operation=operation,
            fragments=fragments,
            directive_variables=tuple(sorted(names.in_directives)),
            declared_variables=tuple(sorted(names.declared)),
            uncoerced=self._uncoerced(operation),
            cost=cost,
            document_bytes=BYTES_PER_DOCUMENT_CHARACTER * len(document),
        )

    def _uncoerced(self, operation: OperationDefinitionNode) -> tuple[UncoercedVariable, ...] | None:
        """The variables of an operation if each is required and of one of `_UNCOERCED_TYPES`; else None."""
        variables = []
        for definition in operation.variable_definitions or ():
            signature = get_variable_signature(self._schema._schema, definition)  # noqa: SLF001 - Strawberry has no other name for it
            if isinstance(signature, GraphQLError) or not isinstance(signature.type, GraphQLNonNull):
                return None
            python_class = _UNCOERCED_TYPES.get(str(signature.type.of_type))
            if python_class is None or definition.default_value:
                return None
            variables.append(UncoercedVariable(signature.name, python_class, signature))
        return tuple(variables)

    def _cost(self, operation: CachedOperation, name: str | None, variables: JSONVariables) -> OperationCost:
        """The cost of an operation, which is computed anew where it depends on the variables, for new sizes in them."""
        if variables:
            check_variables(variables)
        if operation.document.operation_costs is not None:
            return operation.cost
        sizes = tuple(
            (variable, _size(variables[variable])) for variable in operation.declared_variables if variable in variables
        )
        cost = operation.costs.get(sizes)
        if cost is None:
            cost = operation.costs[sizes] = self._documents.check_cost(operation.document, variables, name)
        return cost

    def _coerce(self, operation: CachedOperation, variables: JSONVariables) -> VariableValues:
        definitions = operation.operation.variable_definitions
        if not definitions:
            return NO_VARIABLES
        uncoerced = operation.uncoerced
        if uncoerced and all(variables.get(variable.name).__class__ is variable.python_class for variable in uncoerced):
            sources = {
                variable.name: VariableValueSource(variable.signature, variables[variable.name])
                for variable in uncoerced
            }
            return VariableValues(sources, {name: variables[name] for name in sources})
        values = get_variable_values(self._schema._schema, definitions, variables, max_errors=1)  # noqa: SLF001 - the same
        if not isinstance(values, VariableValues):
            raise NotPlannable
        return values

    def _compile(self, operation: CachedOperation, values: VariableValues) -> OperationPlan | None:
        try:
            if operation.document.uses_introspection:
                return compile_introspection(self._schema, operation.operation, operation.fragments)
            return compile_query(self._schema, operation.operation, operation.fragments, values)
        except (NotPlannable, RequestError, GraphQLError):
            return None

    def _store(self, key: tuple[str, str | None], operation: CachedOperation) -> None:
        """Cache an operation, or measure again one that has a new plan."""
        self._operations.pop(key, None)
        if operation.size > MAX_BYTES:
            return
        self._operations[key] = operation
        while len(self._operations) > MAX_OPERATIONS:
            self._operations.popitem()


def _size(value: object) -> float | None:
    """The part of a variable that a cost can depend on; an absent variable, unlike null, may have a default."""
    if isinstance(value, list):
        return len(value)
    return value if isinstance(value, int | float) else None


class _VariableNames(Visitor):
    """Names of the variables of a document, and of those of directives."""

    def __init__(self) -> None:
        super().__init__()
        self.declared: set[str] = set()
        self.in_directives: set[str] = set()

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: object) -> None:
        self.declared.add(node.variable.name.value)

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self.in_directives.add(argument.value.name.value)
