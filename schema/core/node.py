"""`node` and `nodes`: objects of any type by UUID, as the caller sees them."""

import asyncio
from typing import Annotated, Any

import strawberry

from graphql_api.content.values import uuid_or_none
from graphql_api.errors import BadRequest
from schema.core.access import require_signed_in
from schema.core.arguments import Id
from schema.core.entities import interface
from schema.core.info import Info
from schema.core.registry import registered_entities

MAX_NODE_IDS = 100


@interface
class Node:
    """An object with a row of its own, which `node(id:)` finds again."""

    id: strawberry.ID
    """UUID of the row."""


@strawberry.type
class NodeQueries:
    """The fields of Query that find objects of any type."""

    @strawberry.field(description="The object with this UUID; null when there is none or the caller may not see it.")
    async def node(self, info: Info, id: Id) -> Node | None:
        """One object."""
        return await _read_node(info, id)  # type: ignore[no-any-return]

    @strawberry.field(description="The same for up to 100 ids, in the order of the ids.")
    async def nodes(
        self, info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="UUIDs of the objects.")]
    ) -> list[Node | None]:
        """Several objects: one statement finds their types, one per type reads them."""
        if len(ids) > MAX_NODE_IDS:
            raise BadRequest(f"`nodes` takes at most {MAX_NODE_IDS} ids.")
        return list(await asyncio.gather(*(_read_node(info, node_id) for node_id in ids)))


async def _read_node(info: Info, id: str) -> Any:
    require_signed_in(info.context.actor)
    key = uuid_or_none(id)
    if key is None:
        return None
    kinds = [kind for kind in registered_entities().values() if issubclass(kind, Node)]
    index = await info.context.loaders.table_index(tuple(kind.by_id for kind in kinds), key)
    return None if index is None else await kinds[index].read(info.context, key)
