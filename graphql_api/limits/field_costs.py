"""What the schema says of a field that tells what it costs, looked up once."""

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
    """A field: its type without lists, and what it is as far as costs go."""

    named_type: GraphQLNamedType
    weight: int
    """What it weighs beside its objects, in objects."""
    is_composite: bool
    is_connection: bool
    """Whether it is a connection, which takes `first`."""
    is_list_by_ids: bool
    """Whether it is a list by ids."""
    is_connection_rows: bool
    """Whether it is the rows of a connection."""
    counts_input_items: bool
    """Whether the items of its lists are counted: it changes something."""


class FieldCosts:
    """The fields of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        """Begin with none."""
        self.schema = schema
        self._field_costs: dict[tuple[str, str], FieldCost] = {}

    def get(self, parent: Any, name: str) -> FieldCost | None:
        """The shape of a type's field; None where there is no such field, which validation tells."""
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return None
        known = self._field_costs.get((parent.name, name))
        if known is None:
            field = parent.fields.get(name)
            if field is None:
                return None
            known = self._field_costs[parent.name, name] = self._field_cost(parent, name, field)
        return known

    def _field_cost(self, parent: GraphQLNamedType, name: str, field: GraphQLField) -> FieldCost:
        changes = parent is self.schema.mutation_type
        declared = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        metadata = declared.metadata if declared is not None else {}
        kind = get_named_type(field.type)
        return FieldCost(
            named_type=kind,
            weight=metadata.get(WEIGHT_METADATA_KEY, MUTATION_WEIGHT_OBJECTS if changes else 0),
            is_composite=is_composite_type(kind),
            is_connection="first" in field.args,
            is_list_by_ids="ids" in field.args,
            is_connection_rows=name in ROW_FIELDS and not field.args,
            counts_input_items=changes,
        )
