"""Counts of messages over ranges of London days: the nightly facts, and messages of the days after those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Date, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api.billing import bill_lines
from loaders.core import batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor


class ServiceDays(NamedTuple):
    """A service and a range of London days, both ends included."""

    service_id: UUID
    first: date
    last: date


class MessageCount(NamedTuple):
    """Number of messages of a channel in a status, both as stored."""

    channel: str
    status: str
    messages: int


# Facts are made each night for the days before; days without facts are counted from messages.
# Messages of test keys are not counted.
_COUNTS_STATEMENT = text(
    f"""
    WITH requested AS (
        SELECT * FROM unnest(:services, :firsts, :lasts) WITH ORDINALITY AS requested(service_id, first, last, ordinal)
    ), live AS ({bill_lines.first_uncounted_day_sql("ft_notification_status")})
    SELECT ordinal, channel, status, sum(messages)::bigint AS messages
    FROM requested CROSS JOIN live CROSS JOIN LATERAL (
        SELECT fact.notification_type AS channel, fact.notification_status AS status,
            sum(fact.notification_count) AS messages
        FROM ft_notification_status AS fact
        WHERE fact.service_id = requested.service_id AND fact.key_type <> 'test'
            AND fact.bst_date >= requested.first AND fact.bst_date <= requested.last AND fact.bst_date < live.since
        GROUP BY 1, 2
        UNION ALL
        SELECT message.notification_type::text, message.notification_status, count(*)
        FROM notifications_all_time_view AS message
        WHERE message.service_id = requested.service_id AND message.key_type <> 'test'
            AND message.notification_status IS NOT NULL
            AND message.created_at >= {bill_lines.midnight_sql("GREATEST(requested.first, live.since)")}
            AND message.created_at < {bill_lines.midnight_sql("requested.last + 1")}
        GROUP BY 1, 2
    ) AS counted
    GROUP BY ordinal, channel, status
    ORDER BY ordinal, channel, status
    """  # noqa: S608 - made of constants
).bindparams(
    bindparam("services", type_=ARRAY(Uuid())),
    bindparam("firsts", type_=ARRAY(Date())),
    bindparam("lasts", type_=ARRAY(Date())),
)


@batch(default_factory=list, bulk=True)
async def by_status(
    connection: AsyncConnection, actor: Actor, keys: Sequence[ServiceDays]
) -> Mapping[ServiceDays, list[MessageCount]]:
    """Numbers of services' messages by channel and status."""
    del actor
    services, firsts, lasts = zip(*keys, strict=True)
    values: dict[str, Any] = {"services": list(services), "firsts": list(firsts), "lasts": list(lasts)}
    counts: dict[ServiceDays, list[MessageCount]] = {}
    for ordinal, channel, status, messages in await connection.execute(_COUNTS_STATEMENT, values):
        counts.setdefault(keys[ordinal - 1], []).append(MessageCount(channel, status, messages))
    return counts
