"""Reads about the server: its migration, and public counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import column, func, select, table

from graphql_api.models import Organisation, Service
from loaders.core import batch
from loaders.services import is_live

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

_VERSION_TABLE = table("graphql_api_version", column("version_num"))


@batch(key=lambda _: 0)
async def revision(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, str | None]:
    """Revision of the latest migration applied."""
    del actor
    latest = await connection.scalar(select(_VERSION_TABLE.c.version_num))
    return dict.fromkeys(keys, latest)


_LIVE_SERVICE_COUNT = select(func.count()).select_from(Service).where(is_live)
_ORGANISATION_COUNT = select(func.count()).where(Organisation.active)


@batch(key=lambda _: 0)
async def live_service_count(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, int]:
    """Number of live services that count as live; public."""
    del actor
    return dict.fromkeys(keys, await connection.scalar(_LIVE_SERVICE_COUNT) or 0)


@batch(key=lambda _: 0)
async def organisation_count(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, int]:
    """Number of active organisations; public."""
    del actor
    return dict.fromkeys(keys, await connection.scalar(_ORGANISATION_COUNT) or 0)
