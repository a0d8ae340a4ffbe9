"""What makes a noun's types out of its declarations: knows Strawberry and the loaders, and no noun."""

from schema.core.access import require_signed_in
from schema.core.connections import Connection, Edge, PageInfo
from schema.core.entities import entity, interface, query_fields
from schema.core.fields import batched, by_id, column, computed, connection, to_many, to_one, to_union
from schema.core.info import Info
from schema.core.inputs import Input, input_type, one_of_input
from schema.core.mutations import make_mutation, payload_type
from schema.core.node import Node, NodeQueries
from schema.core.registry import Entity, entity_from_row, entity_of, registered_entities
from schema.core.scalars import JSON, SCALARS
from schema.core.types import value_object

__all__ = [
    "JSON",
    "SCALARS",
    "Connection",
    "Edge",
    "Entity",
    "Info",
    "Input",
    "Node",
    "NodeQueries",
    "PageInfo",
    "batched",
    "by_id",
    "column",
    "computed",
    "connection",
    "entity",
    "entity_from_row",
    "entity_of",
    "input_type",
    "interface",
    "make_mutation",
    "one_of_input",
    "payload_type",
    "query_fields",
    "registered_entities",
    "require_signed_in",
    "to_many",
    "to_one",
    "to_union",
    "value_object",
]
