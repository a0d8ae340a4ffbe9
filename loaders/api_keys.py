"""Reads of API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Date, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api.auth import visibility
from graphql_api.models import ApiKey, ApiKeyHistory, ApiKeyLifetime, ApiKeyUsage
from loaders.core import One, batch, one, row, visible_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

by_id = row(ApiKey.id)
service = one(ApiKey.service)
# In api_keys, Notify overwrites the creator with the person who revokes the key; the first version has the creator.
first_version = One(("id",), row(ApiKeyHistory.id, ApiKeyHistory.version, inherits_visibility=True), key_suffix=(1,))
created_by = one(ApiKey.created_by)
lifetime = one(ApiKey.lifetime)
revoked_by = one(ApiKeyLifetime.revoked_by)


class ApiKeyDays(NamedTuple):
    """A key and a range of London days, both ends included."""

    api_key_id: UUID
    first: date
    last: date


_REQUESTED_DAYS = (
    func.unnest(
        bindparam("keys", type_=ARRAY(Uuid())),
        bindparam("firsts", type_=ARRAY(Date())),
        bindparam("lasts", type_=ARRAY(Date())),
    )
    .table_valued("api_key_id", "first", "last", with_ordinality="place")
    .render_derived(name="requested")
)
_USAGE_STATEMENT = (
    select(
        _REQUESTED_DAYS.c.place,
        ApiKeyUsage.day,
        ApiKeyUsage.requests,
        ApiKeyUsage.succeeded,
        ApiKeyUsage.failed,
        ApiKeyUsage.rate_limited,
        ApiKeyUsage.notifications,
        ApiKeyUsage.cost,
        ApiKeyUsage.total_ms,
    )
    .join(_REQUESTED_DAYS, ApiKeyUsage.api_key_id == _REQUESTED_DAYS.c.api_key_id)
    .where(ApiKeyUsage.day.between(_REQUESTED_DAYS.c.first, _REQUESTED_DAYS.c.last))
)


@batch(default_factory=dict, bulk=True)
async def usage(
    connection: AsyncConnection, actor: Actor, keys: Sequence[ApiKeyDays]
) -> Mapping[ApiKeyDays, dict[date, Any]]:
    """Usage of keys by day; days without calls are left out."""
    statement = visible_rows(_USAGE_STATEMENT, ApiKeyUsage, visibility.visibility_scope(actor))
    ids, firsts, lasts = zip(*keys, strict=True)
    values = {"keys": list(ids), "firsts": list(firsts), "lasts": list(lasts)}
    usage_by_day: dict[ApiKeyDays, dict[date, Any]] = {}
    for row_ in await connection.execute(statement, visibility.bind_values(actor) | values):
        usage_by_day.setdefault(keys[row_.place - 1], {})[row_.day] = row_
    return usage_by_day
