"""Reads of memberships of services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, any_, bindparam, column, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api.enums import ServicePermission
from graphql_api.models import Service, ServiceMemberPermission, ServiceMembership, User
from loaders.core import CustomFilter, batch, one, ordered_by, page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

service = one(ServiceMembership.service, inherits_visibility=True)
user = one(ServiceMembership.user, inherits_visibility=True)


def _has_all_permissions(name: str) -> ColumnElement[bool]:
    """The member has every permission of an array without duplicates."""
    held = ServiceMemberPermission
    required: Any = bindparam(name, type_=ARRAY(held.permission.type))
    count = (
        select(func.count())
        .select_from(held)
        .where(
            held.user_id == ServiceMembership.user_id,
            held.service_id == ServiceMembership.service_id,
            held.permission == any_(required),
        )
        .correlate(ServiceMembership)
        .scalar_subquery()
    )
    result: ColumnElement[bool] = count == func.cardinality(required)
    return result


of_service = page(
    Service.memberships,
    ordered_by(ServiceMembership.user_id),
    filters={
        "has_permissions": CustomFilter(
            _has_all_permissions, lambda permissions: sorted({permission.value for permission in permissions})
        )
    },
    where=ServiceMembership.user_id.in_(select(User.id).where(User.state == "active").correlate(None)),
)


@batch(key=lambda membership: (membership.user_id, membership.service_id), default_factory=list)
async def permissions(
    connection: AsyncConnection, actor: Actor, keys: Sequence[tuple[UUID, UUID]]
) -> Mapping[tuple[UUID, UUID], list[ServicePermission]]:
    """Permissions of members, in the order of the enum; visible with the membership."""
    del actor
    held = ServiceMemberPermission
    members = (
        func.unnest(
            bindparam("users", type_=ARRAY(held.user_id.type)), bindparam("services", type_=ARRAY(held.service_id.type))
        )
        .table_valued(column("user_id", held.user_id.type), column("service_id", held.service_id.type), name="member")
        .render_derived()
    )
    rows = await connection.execute(
        select(held.user_id, held.service_id, held.permission).where(
            tuple_(held.user_id, held.service_id).in_(select(*members.c))
        ),
        {"users": [user_id for user_id, _ in keys], "services": [service_id for _, service_id in keys]},
    )
    stored_by_key: dict[Any, set[str]] = {}
    for user_id, service_id, value in rows:
        stored_by_key.setdefault((user_id, service_id), set()).add(value)
    return {
        key: [permission for permission in ServicePermission if permission.value in stored]
        for key, stored in stored_by_key.items()
    }
