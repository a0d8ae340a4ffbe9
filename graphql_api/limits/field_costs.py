"""The properties of a schema's fields that determine their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type, is_composite_type
from strawberry.schema.schema_converter import GraphQLCoreConverter

from graphql_api.limits.points import MUTATION_WEIGHT_OBJECTS, WEIGHT_METADATA_KEY

if TYPE_CHECKING:
    from graphql import GraphQLField, GraphQLNamedType, GraphQLSchema

ROW_FIELDS = frozenset({"edges", "nodes"})
"""Fields of a connection that hold the rows of its page."""
PAGE_FIELDS = ROW_FIELDS | {"pageInfo"}
"""Fields of a connection that read its page; `totalCount` alone does not."""


class FieldCost(NamedTuple):
    """The properties of one field; `named_type` is its type without lists and non-null."""

    named_type: GraphQLNamedType
    weight: int
    """Its cost beside its objects, in objects."""
    is_composite: bool
    is_connection: bool
    """Whether it takes `first`."""
    is_list_by_ids: bool
    """Whether it takes `ids`."""
    is_connection_rows: bool
    """Whether it holds the rows of a connection."""
    counts_input_items: bool
    """Whether the items of its input lists are counted: it is a mutation."""


class FieldCosts:
    """The `FieldCost`s of one schema, computed once each."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self._field_costs: dict[tuple[str, str], FieldCost] = {}

    def get(self, parent: Any, name: str) -> FieldCost | None:
        """The cost of a type's field; None when there is no such field, which validation reports."""
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return None
        cost = self._field_costs.get((parent.name, name))
        if cost is None:
            field = parent.fields.get(name)
            if field is None:
                return None
            cost = self._field_costs[parent.name, name] = self._field_cost(parent, name, field)
        return cost

    def _field_cost(self, parent: GraphQLNamedType, name: str, field: GraphQLField) -> FieldCost:
        is_mutation = parent is self.schema.mutation_type
        definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        metadata = definition.metadata if definition is not None else {}
        named_type = get_named_type(field.type)
        return FieldCost(
            named_type=named_type,
            weight=metadata.get(WEIGHT_METADATA_KEY, MUTATION_WEIGHT_OBJECTS if is_mutation else 0),
            is_composite=is_composite_type(named_type),
            is_connection="first" in field.args,
            is_list_by_ids="ids" in field.args,
            is_connection_rows=name in ROW_FIELDS and not field.args,
            counts_input_items=is_mutation,
        )
