"""What a document selects, collected as graphql-core collects it; what is written of values; what fields are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLList, GraphQLNonNull, GraphQLObjectType, VariableNode, is_abstract_type, is_leaf_type
from graphql import visit as walk
from graphql.execution.collect_fields import FragmentDetails, collect_subfields
from graphql.execution.values import get_argument_values
from graphql.language import Visitor
from strawberry.types.arguments import convert_arguments

from graphql_api.planner.errors import Declined
from graphql_api.planner.steps.codegen import Code, sure
from schema.core import entity_of
from schema.core.connections import Connection
from schema.core.entities import is_entity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import FragmentDefinitionNode, OperationDefinitionNode
    from graphql.execution.values import VariableValues

    from graphql_api.observability.error_masking import ErrorMaskingSchema
    from graphql_api.planner.steps.steps import Request

Details = list[Any]
"""The nodes that one response key was asked for by; their selections are one."""


class Selections:
    """One operation, and the code that is made for it."""

    def __init__(
        self,
        schema: ErrorMaskingSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        self._strawberry = schema
        self._schema = schema._schema  # noqa: SLF001 - Strawberry has no other name for it
        self._operation = operation
        self._fragments = {name: FragmentDetails(one) for name, one in fragments.items()}
        self._variables = variables
        self._code = Code()

    def _grouped(self, collected: Any) -> list[tuple[str, Details]]:
        if collected.new_defer_usages:
            raise Declined
        return list(collected.grouped_field_set.items())

    def _below(self, kind: GraphQLObjectType, details: Details) -> list[tuple[str, Details]]:
        return self._grouped(
            collect_subfields(self._schema, self._fragments, self._variables, self._operation, kind, details)
        )

    def _type_of(self, model: type[Any]) -> Any:
        return self._schema.type_map[entity_of(model).__strawberry_definition__.name]  # type: ignore[attr-defined]

    # Values: what functions answered.

    def _complete(self, kind: Any, details: Details, expression: str) -> str:
        """A value of a type as JSON has it, from an expression that is used once."""
        required = isinstance(kind, GraphQLNonNull)
        inner = kind.of_type if required else kind
        name = self._code.fresh()
        written = self._some(inner, details, name)
        if written == name:
            return f"sure({expression})" if required else expression
        return f"({'fail()' if required else 'None'} if ({name} := {expression}) is None else {written})"

    def _some(self, kind: Any, details: Details, name: str) -> str:
        """A value that is there, by its name."""
        if isinstance(kind, GraphQLList):
            item = self._code.fresh()
            return f"[{self._complete(kind.of_type, details, item)} for {item} in {name}]"
        if is_leaf_type(kind):
            return self._code.leaf(kind, name)
        if is_abstract_type(kind):
            writers = {
                _class(one): self._code.function("v", self._object(one, details, "v"))
                for one in self._schema.get_possible_types(kind)
            }
            return f"{self._code.constant(writers)}[{name}.__class__]({name})"
        return self._object(kind, details, name)

    def _object(self, kind: GraphQLObjectType, details: Details, name: str) -> str:
        if is_entity(_class(kind)) or issubclass(_class(kind), Connection):
            raise Declined
        parts = []
        for key, below in self._below(kind, details):
            asked = below[0].node.name.value
            if asked == "__typename":
                parts.append(f"{key!r}: {kind.name!r}")
                continue
            definition = kind.fields[asked]
            field = definition.extensions["strawberry-definition"]
            if field.base_resolver is not None:
                raise Declined
            parts.append(f"{key!r}: {self._complete(definition.type, below, f'{name}.{field.python_name}')}")
        return "{" + ", ".join(parts) + "}"

    # Arguments.

    def _arguments(self, definition: Any, node: Any) -> Callable[[Request], dict[str, Any]]:
        """What a field was asked with, by Python's names: found out now where no variable has a say."""
        if has_variables(node):
            only = node.arguments[0].value if len(definition.args) == 1 else None
            if isinstance(only, VariableNode) and str(next(iter(definition.args.values())).type) == "ID!":
                (argument,), name = definition.args, only.name.value
                return lambda request: {argument: sure(request.variables.coerced.get(name))}
            return lambda request: self._given(definition, node, request.variables)
        fixed = self._given(definition, node, self._variables)
        return lambda _: fixed

    def _given(self, definition: Any, node: Any, variables: VariableValues) -> dict[str, Any]:
        field = definition.extensions["strawberry-definition"]
        given = get_argument_values(definition, node, variables)
        converter = self._strawberry.schema_converter
        return convert_arguments(given, field.arguments, converter.scalar_registry, self._strawberry.config)


def _class(kind: GraphQLObjectType) -> type[Any]:
    origin: type[Any] = kind.extensions["strawberry-definition"].origin
    return origin


class _Variables(Visitor):
    found = False

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        del node
        self.found = True


def has_variables(node: Any) -> bool:
    """Whether variables have a say in a field's arguments."""
    visitor = _Variables()
    for argument in node.arguments or ():
        walk(argument, visitor)
    return visitor.found
