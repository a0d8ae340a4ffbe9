"""`node` and `nodes`: whichever object has a UUID, as far as the caller sees it."""

import asyncio
from typing import Any

import strawberry

from graphql_api.content.values import uuid_or_none
from graphql_api.errors import BadRequest
from schema.core.access import require_signed_in
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
    """The part of Query that finds objects of any type."""

    @strawberry.field(description="Whichever object has this UUID; null when none has or the caller may not see it.")
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:
        """One object."""
        return await _read_node(info, id)  # type: ignore[no-any-return]

    @strawberry.field(description="The same for up to 100 ids, in the order asked for.")
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
        """Several objects, in two statements and one for each type that occurs."""
        if len(ids) > MAX_NODE_IDS:
            raise BadRequest(f"`nodes` takes {MAX_NODE_IDS} ids at most.")
        return list(await asyncio.gather(*(_read_node(info, one) for one in ids)))


async def _read_node(info: Info, id: str) -> Any:
    require_signed_in(info.context.actor)
    key = uuid_or_none(id)
    if key is None:
        return None
    kinds = [kind for kind in registered_entities().values() if issubclass(kind, Node)]
    index = await info.context.loaders.table_index(tuple(kind.by_id for kind in kinds), key)
    return None if index is None else await kinds[index].read(info.context, key)
