"""What makes a noun's types out of its declarations: knows Strawberry and the loaders, and no noun."""

from schema.core.connections import Connection, Edge, PageInfo
from schema.core.entities import Entity, entities, entity, entity_of, interface, of, root
from schema.core.fields import column, computed, edge, either, found, lookup, many, one
from schema.core.info import Info
from schema.core.inputs import Input, input_type, one_of
from schema.core.mutations import mutation, payload, sending
from schema.core.node import Node, NodeQueries
from schema.core.scalars import JSON, SCALARS
from schema.core.types import plain

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
    "column",
    "computed",
    "edge",
    "either",
    "entities",
    "entity",
    "entity_of",
    "found",
    "input_type",
    "interface",
    "lookup",
    "many",
    "mutation",
    "of",
    "one",
    "one_of",
    "payload",
    "plain",
    "root",
    "sending",
]
