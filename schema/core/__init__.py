"""GraphQL types made from declarations: entities, connections, inputs, mutations.

Imports Strawberry and `loaders.core`, and no noun.

    fields        declarations of fields: column, computed, to_one, to_many, connection, batched ...
    entities      `entity`: a GraphQL type of a model's columns and of declared fields
    registry      the entity of each model
    resolvers     how graphql-core resolves a declared field; `access`: who may read it
    connections   Relay connections over keyset pages; `arguments`: their arguments
    node          `node(id:)` and `nodes(ids:)`
    inputs        input objects as arguments of the domain; mutations: domain errors as `userErrors`
    types         object types that are values; descriptions: docstrings as descriptions; scalars
    info          the type of a resolver's `info`
"""

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
