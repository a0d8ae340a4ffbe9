"""Reads of the server itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import column, func, select, table

from graphql_api.models import Organisation, Service
from loaders.core import batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

_VERSION = table("graphql_api_version", column("version_num"))


@batch(key=lambda _: 0)
async def revision(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, str | None]:
    """The latest migration applied."""
    del actor
    found = await connection.scalar(select(_VERSION.c.version_num))
    return dict.fromkeys(keys, found)


_LIVE_SERVICES = select(func.count()).where(Service.active, ~Service.restricted, Service.count_as_live)
_ORGANISATIONS = select(func.count()).where(Organisation.active)


@batch(key=lambda _: 0)
async def live_services(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, int]:
    """How many services are live and count as that, which anybody may know."""
    del actor
    return dict.fromkeys(keys, await connection.scalar(_LIVE_SERVICES) or 0)


@batch(key=lambda _: 0)
async def organisations(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, int]:
    """How many organisations are active, which anybody may know."""
    del actor
    return dict.fromkeys(keys, await connection.scalar(_ORGANISATIONS) or 0)
