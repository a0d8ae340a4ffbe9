"""Reads of services."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, or_, select

from graphql_api.models import ApiKey, DailyUsage, Service, ServiceFeature, Template
from loaders.core import (
    AnyOf,
    Contains,
    Equals,
    Filter,
    Switch,
    batch,
    by,
    last_if_null,
    many,
    newest,
    one,
    page,
    pages,
    row,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.actors import Actor

by_id = row(Service.id)
by_name = by(Service.name, Service.id)
status = case((Service.active.is_(False), "archived"), (Service.restricted, "trial"), else_="live")

ORDERS = {
    "name": by_name,
    "created_at": by(Service.created_at, Service.id),
    "went_live_at": last_if_null(Service.go_live_at, Service.id),
}
FILTERS: dict[str, Filter] = {
    "name_contains": Contains(Service.name),
    "statuses": AnyOf(status),
    "organisation_id": Equals(Service.organisation_id),
    "organisation_types": AnyOf(Service.organisation_type),
    "has_active_go_live_request": Equals(Service.has_active_go_live_request),
}

services = pages(Service, by_name, orders=ORDERS, filters=FILTERS)
organisation = one(Service.organisation)
created_by = one(Service.created_by)
features = many(Service.features, by(ServiceFeature.permission))

# Keys that were revoked are listed for a week.
_A_WEEK_AGO = func.timezone("UTC", func.now()) - timedelta(days=7)
api_keys = page(
    Service.api_keys,
    newest(ApiKey),
    filters={
        "types": AnyOf(ApiKey.key_type),
        "include_revoked": Switch(no=ApiKey.expiry_date.is_(None)),
    },
    where=or_(ApiKey.expiry_date.is_(None), ApiKey.expiry_date > _A_WEEK_AGO),
)

_templates_by_name = by(Template.name, Template.template_type, Template.id)
templates = page(
    Service.templates,
    _templates_by_name,
    orders={
        "name": _templates_by_name,
        "created_at": by(Template.created_at, Template.id),
        "updated_at": last_if_null(Template.updated_at, Template.id),
    },
    filters={
        "channels": AnyOf(Template.template_type),
        "name_contains": Contains(Template.name),
        "archived": Switch(yes=Template.archived.is_(True), no=Template.archived.is_(False)),
    },
    where=Template.hidden.is_(False),
)


@batch(key=lambda service: service.id, missing=dict)
async def used_today(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, dict[str, int]]:
    """What services have sent today (UTC), by kind; a kind without any is left out."""
    del actor
    found = await connection.execute(
        select(DailyUsage.service_id, DailyUsage.kind, DailyUsage.count).where(
            DailyUsage.service_id.in_(keys), DailyUsage.day == datetime.now(UTC).date()
        )
    )
    used: dict[Any, dict[str, int]] = {}
    for service_id, kind, count in found.tuples():
        used.setdefault(service_id, {})[kind] = count
    return used
