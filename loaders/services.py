"""Reads of services."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Uuid, and_, any_, bindparam, case, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api.enums import Channel
from graphql_api.models import ApiKey, DailyUsage, Service, ServiceFeature, Template
from loaders.core import (
    AnyOf,
    Contains,
    Equals,
    Filter,
    Switch,
    batch,
    many,
    newest,
    nulls_last,
    one,
    ordered_by,
    page,
    row,
    table_page,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

by_id = row(Service.id)
by_name = ordered_by(Service.name, Service.id)
is_live = and_(Service.active, Service.restricted.is_(False), Service.count_as_live)
status = case((Service.active.is_(False), "archived"), (Service.restricted, "trial"), else_="live")

ORDERS = {
    "name": by_name,
    "created_at": ordered_by(Service.created_at, Service.id),
    "went_live_at": nulls_last(Service.go_live_at, Service.id),
}
FILTERS: dict[str, Filter] = {
    "name_contains": Contains(Service.name),
    "statuses": AnyOf(status),
    "organisation_id": Equals(Service.organisation_id),
    "organisation_types": AnyOf(Service.organisation_type),
    "has_active_go_live_request": Equals(Service.has_active_go_live_request),
}

services = table_page(Service, by_name, orders=ORDERS, filters=FILTERS)
organisation = one(Service.organisation)
created_by = one(Service.created_by)
features = many(Service.features, ordered_by(ServiceFeature.permission))

# Revoked keys are listed for a week.
_ONE_WEEK_AGO = func.timezone("UTC", func.now()) - timedelta(days=7)
api_keys = page(
    Service.api_keys,
    newest(ApiKey),
    filters={
        "types": AnyOf(ApiKey.key_type),
        "include_revoked": Switch(if_false=ApiKey.expiry_date.is_(None)),
    },
    where=or_(ApiKey.expiry_date.is_(None), ApiKey.expiry_date > _ONE_WEEK_AGO),
)

_templates_by_name = ordered_by(Template.name, Template.template_type, Template.id)
templates = page(
    Service.templates,
    _templates_by_name,
    orders={
        "name": _templates_by_name,
        "created_at": ordered_by(Template.created_at, Template.id),
        "updated_at": nulls_last(Template.updated_at, Template.id),
    },
    filters={
        "channels": AnyOf(Template.template_type),
        "name_contains": Contains(Template.name),
        "archived": Switch(if_true=Template.archived.is_(True), if_false=Template.archived.is_(False)),
    },
    where=Template.hidden.is_(False),
)


class DailyLimitUsage(NamedTuple):
    """Messages that a service may send in a day (UTC), and how many it has sent today.

    `international` marks the separate limit on text messages abroad.
    """

    channel: Channel
    international: bool
    messages_per_day: int
    used: int


_LIMITS = {
    "email": (Channel.EMAIL, False, Service.email_message_limit),
    "sms": (Channel.SMS, False, Service.sms_message_limit),
    "letter": (Channel.LETTER, False, Service.letter_message_limit),
    "international_sms": (Channel.SMS, True, Service.international_sms_message_limit),
}
"""Channel, whether it is the limit on messages abroad, and column, by the kind that `DailyUsage` counts."""


@batch(key=lambda service: service.id, default_factory=list)
async def daily_limits(
    connection: AsyncConnection, actor: Actor, keys: Sequence[Any]
) -> Mapping[Any, list[DailyLimitUsage]]:
    """Daily limits of services and today's use: of each channel, then of text messages abroad."""
    del actor
    today = (DailyUsage.service_id == Service.id) & (DailyUsage.day == datetime.now(UTC).date())
    used = select(func.jsonb_object_agg(DailyUsage.kind, DailyUsage.count)).where(today).scalar_subquery()
    rows = await connection.execute(
        select(Service.id, used, *(column for _, _, column in _LIMITS.values())).where(
            Service.id == any_(bindparam("services", type_=ARRAY(Uuid())))
        ),
        {"services": list(keys)},
    )
    return {
        service_id: [
            DailyLimitUsage(channel, international, limit, (counts or {}).get(kind, 0))
            for (kind, (channel, international, _)), limit in zip(_LIMITS.items(), limits, strict=True)
        ]
        for service_id, counts, *limits in rows
    }
