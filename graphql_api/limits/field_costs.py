"""What the schema says of a field that tells what it costs, looked up once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type, is_composite_type
from strawberry.schema.schema_converter import GraphQLCoreConverter

from graphql_api.limits.points import MUTATION, WEIGHT

if TYPE_CHECKING:
    from graphql import GraphQLField, GraphQLNamedType, GraphQLSchema

ROWS = frozenset({"edges", "nodes"})


class Shape(NamedTuple):
    """A field: its type without lists, and what it is as far as costs go."""

    kind: GraphQLNamedType
    weight: int
    """What it weighs beside its objects, in objects."""
    composite: bool
    pages: bool
    """Whether it is a connection, which takes `first`."""
    ids: bool
    """Whether it is a list by ids."""
    rows: bool
    """Whether it is the rows of a connection."""
    items: bool
    """Whether the items of its lists are counted: it changes something."""


class Shapes:
    """The fields of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        """Begin with none."""
        self.schema = schema
        self._known: dict[tuple[str, str], Shape] = {}

    def of(self, parent: Any, name: str) -> Shape | None:
        """The shape of a type's field; None where there is no such field, which validation tells."""
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            return None
        known = self._known.get((parent.name, name))
        if known is None:
            field = parent.fields.get(name)
            if field is None:
                return None
            known = self._known[parent.name, name] = self._read(parent, name, field)
        return known

    def _read(self, parent: GraphQLNamedType, name: str, field: GraphQLField) -> Shape:
        changes = parent is self.schema.mutation_type
        declared = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        metadata = declared.metadata if declared is not None else {}
        kind = get_named_type(field.type)
        return Shape(
            kind=kind,
            weight=metadata.get(WEIGHT, MUTATION if changes else 0),
            composite=is_composite_type(kind),
            pages="first" in field.args,
            ids="ids" in field.args,
            rows=name in ROWS and not field.args,
            items=changes,
        )
