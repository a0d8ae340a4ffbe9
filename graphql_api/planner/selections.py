"""An operation as graphql-core reads it: which fields an object is selected with, and which arguments they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    TypeNameMetaFieldDef,
    VariableNode,
    get_named_type,
)
from graphql import visit as walk
from graphql.execution.collect_fields import (
    CollectedFields,
    FieldDetailsList,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues, get_argument_values
from graphql.language import Visitor
from strawberry.types.arguments import convert_arguments
from strawberry.types.base import get_object_definition

from graphql_api.planner.errors import NotPlannable, non_null
from schema.core import entity_of

if TYPE_CHECKING:
    from graphql import FieldNode, FragmentDefinitionNode, OperationDefinitionNode
    from strawberry.types.field import StrawberryField

    from graphql_api.models.base import Model
    from graphql_api.observability.error_masking import ErrorMaskingSchema

T = TypeVar("T")
ArgumentReader: TypeAlias = Callable[[VariableValues], T]
"""A function of the request's variables."""


@dataclass(frozen=True, slots=True)
class SelectedField:
    """A field of an object, under one response key."""

    response_key: str
    name: str
    definition: GraphQLField
    nodes: FieldDetailsList
    """Every place of the document that selects it; their selections are merged, their arguments are equal."""

    @property
    def type(self) -> GraphQLOutputType:
        """Its type."""
        return self.definition.type

    @property
    def object_type(self) -> GraphQLObjectType:
        """Its type without lists and non-null; raises `NotPlannable` where that is not an object type."""
        return as_object_type(get_named_type(self.definition.type))

    @property
    def strawberry(self) -> StrawberryField:
        """Its definition in Python."""
        field: StrawberryField = self.definition.extensions["strawberry-definition"]
        return field

    @property
    def node(self) -> FieldNode:
        """Its first place in the document, from which the arguments are read."""
        return self.nodes[0].node

    @property
    def has_variables(self) -> bool:
        """Whether an argument contains a variable."""
        visitor = _VariableFinder()
        for argument in self.node.arguments or ():
            walk(argument, visitor)
        return visitor.has_variable


class Selections:
    """One operation, for the values of the variables that `@skip` and `@include` use."""

    def __init__(
        self,
        schema: ErrorMaskingSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: VariableValues,
    ) -> None:
        self.schema = schema._schema  # noqa: SLF001 - Strawberry has no other name for it
        self.variables = variables
        self._strawberry = schema
        self._operation = operation
        self._fragments = {name: FragmentDetails(fragment) for name, fragment in fragments.items()}

    @property
    def query_type(self) -> GraphQLObjectType:
        """The type of the root."""
        return as_object_type(self.schema.query_type)

    def root_fields(self) -> list[SelectedField]:
        """The selected fields of the query type."""
        return _selected_fields(self.query_type, self._collected_root())

    def root_field_names(self) -> set[str]:
        """The names of the selected root fields, those of introspection included."""
        return {nodes[0].node.name.value for nodes in self._collected_root().grouped_field_set.values()}

    def _collected_root(self) -> CollectedFields:
        return collect_fields(self.schema, self._fragments, self.variables, self.query_type, self._operation)

    def fields(self, kind: GraphQLObjectType, nodes: FieldDetailsList) -> list[SelectedField]:
        """The selected fields of an object of this type, which is what the nodes select."""
        collected = collect_subfields(self.schema, self._fragments, self.variables, self._operation, kind, nodes)
        return _selected_fields(kind, collected)

    def entity_type(self, model: type[Model]) -> GraphQLObjectType:
        """The object type of a model's rows."""
        return as_object_type(self.schema.type_map[get_object_definition(entity_of(model), strict=True).name])

    def argument_reader(self, field: SelectedField) -> ArgumentReader[Mapping[str, object]]:
        """A reader of a field's arguments by their Python names; arguments without variables are read once, here."""
        if not field.has_variables:
            constant = self._read_arguments(field, self.variables)
            return lambda _: constant
        arguments = field.definition.args
        if len(arguments) == 1:
            ((name, argument),) = arguments.items()
            value = (field.node.arguments or ())[0].value
            if isinstance(value, VariableNode) and str(argument.type) == "ID!":
                variable = value.name.value
                return lambda variables: {name: non_null(variables.coerced.get(variable))}
        return lambda variables: self._read_arguments(field, variables)

    def _read_arguments(self, field: SelectedField, variables: VariableValues) -> Mapping[str, object]:
        values = get_argument_values(field.definition, field.node, variables)
        registry = self._strawberry.schema_converter.scalar_registry
        return convert_arguments(values, field.strawberry.arguments, registry, self._strawberry.config)


def _selected_fields(kind: GraphQLObjectType, collected: CollectedFields) -> list[SelectedField]:
    if collected.new_defer_usages:
        raise NotPlannable
    fields = []
    for response_key, nodes in collected.grouped_field_set.items():
        name = nodes[0].node.name.value
        definition = TypeNameMetaFieldDef if name == "__typename" else kind.fields.get(name)
        if definition is None:
            raise NotPlannable
        fields.append(SelectedField(response_key, name, definition, nodes))
    return fields


def as_object_type(kind: object) -> GraphQLObjectType:
    """The type; raises `NotPlannable` where it is not an object type."""
    if not isinstance(kind, GraphQLObjectType):
        raise NotPlannable
    return kind


@lru_cache(maxsize=256)
def enum_names(kind: GraphQLEnumType) -> dict[object, str]:
    """The names of an enum's values, by the values in Python."""
    return {value.value: name for name, value in kind.values.items()}


class _VariableFinder(Visitor):
    has_variable = False

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        del node
        self.has_variable = True
