"""Reads of organisations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Uuid, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api.models import Organisation, OrganisationDomain, OrganisationFeature, Service
from loaders.core import AnyOf, Contains, Equals, Switch, batch, many, one, ordered_by, page, row, table_page
from loaders.core.orders import true_first
from loaders.services import FILTERS, ORDERS, is_live
from loaders.services import by_name as by_service_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

by_id = row(Organisation.id)
by_name = ordered_by(Organisation.name, Organisation.id)

organisations = table_page(
    Organisation,
    by_name,
    orders={"name": by_name, "created_at": ordered_by(Organisation.created_at, Organisation.id)},
    filters={
        "name_contains": Contains(Organisation.name),
        "types": AnyOf(Organisation.organisation_type),
        "active": Equals(Organisation.active),
        "agreement_signed": Switch(
            if_true=Organisation.agreement_signed.is_(True), if_false=Organisation.agreement_signed.is_not(True)
        ),
    },
)
services = page(
    Organisation.services, true_first(Service.active, Service.name, Service.id), orders=ORDERS, filters=FILTERS
)
live_services = page(Organisation.services, by_service_name, where=is_live)
domains = many(Organisation.domains, ordered_by(OrganisationDomain.domain))
features = many(Organisation.features, ordered_by(OrganisationFeature.permission))
agreement_signed_by = one(Organisation.agreement_signed_by)


@batch(key=lambda organisation: organisation.id, default_factory=lambda: 0, bulk=True)
async def live_service_count(connection: AsyncConnection, actor: Actor, keys: Sequence[Any]) -> Mapping[Any, int]:
    """Number of live services that count as live, including those that the caller cannot see."""
    del actor
    rows = await connection.execute(
        select(Service.organisation_id, func.count())
        .where(
            Service.organisation_id == any_(bindparam("organisations", type_=ARRAY(Uuid()))),
            is_live,
        )
        .group_by(Service.organisation_id),
        {"organisations": list(keys)},
    )
    return dict(rows.all())
