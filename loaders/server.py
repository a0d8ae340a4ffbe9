"""Reads of the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import column, select, table

from loaders.core import batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.actors import Actor

_VERSION = table("graphql_api_version", column("version_num"))


@batch(key=lambda _: 0)
async def revision(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, str | None]:
    """The latest migration applied."""
    del actor
    found = await connection.scalar(select(_VERSION.c.version_num))
    return dict.fromkeys(keys, found)
