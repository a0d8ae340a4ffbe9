"""Members of a service, their permissions, and the managers that a service must keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import any_, bindparam, delete, exists, select
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.domain import email_domains
from graphql_api.domain.service_states import require_active
from graphql_api.enums import ServicePermission, UserErrorCode, UserState
from graphql_api.errors import Forbidden, IllegalState, Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

REQUIRED_MANAGER_PERMISSION = ServicePermission.MANAGE_SETTINGS
"""Permission of the managers, of whom a service needs one or two with a government address."""


async def add_or_update(
    tx: AsyncSession, actor: Actor, *, service_id: UUID, user_id: UUID, permissions: Collection[ServicePermission]
) -> models.ServiceMembership:
    """Add a user to a service, or replace a member's permissions.

    A new member must be one whom the caller manages in another service. Raises `Forbidden`, `IllegalState`, `Invalid`.
    """
    service = await visibility.find_visible(tx, actor, models.Service, service_id, "service_id", lock=True)
    actor.require(ServicePermission.MANAGE_USERS, service_id, "service_id")
    require_active(service)
    user = await visibility.find_visible(tx, actor, models.User, user_id, "user_id")
    new_permissions = set(permissions)
    _forbid_self_escalation(actor, service_id, user_id, new_permissions)
    if user.state != UserState.ACTIVE:
        message = "Only people who can sign in can be members."
        raise IllegalState(message, "user_id", current=user.state.upper(), allowed=[UserState.ACTIVE.name])
    permission_row = models.ServiceMemberPermission
    membership = await _membership(tx, service_id, user_id)
    if membership is None:
        await _require_manages_elsewhere(tx, actor, user_id)
        membership = models.ServiceMembership(user_id=user_id, service_id=service_id)
        tx.add(membership)
        before: set[str] = set()
    else:
        if REQUIRED_MANAGER_PERMISSION not in new_permissions:
            await _require_remaining_managers(tx, service, user_id)
        before = set(
            await tx.scalars(
                select(permission_row.permission).where(
                    permission_row.service_id == service_id, permission_row.user_id == user_id
                )
            )
        )
    await tx.execute(
        delete(permission_row).where(
            permission_row.service_id == service_id,
            permission_row.user_id == user_id,
            permission_row.permission.not_in([permission.value for permission in new_permissions]),
        )
    )
    tx.add_all(
        permission_row(service_id=service_id, user_id=user_id, permission=permission.value)
        for permission in ServicePermission
        if permission in new_permissions and permission.value not in before
    )
    await tx.flush()
    return membership


async def remove(tx: AsyncSession, actor: Actor, *, service_id: UUID, user_id: UUID) -> models.Service:
    """Remove a member; a member may remove themselves."""
    service = await visibility.find_visible(tx, actor, models.Service, service_id, "service_id", lock=True)
    if actor.user_id != user_id:
        actor.require(ServicePermission.MANAGE_USERS, service_id, "service_id")
    require_active(service)
    membership = await _membership(tx, service_id, user_id)
    if membership is None:
        raise NotFound(user_id, "user_id")
    await _require_remaining_member(tx, service_id, user_id)
    await _require_remaining_managers(tx, service, user_id)
    for table in (models.FolderPermission, models.ServiceMemberPermission):
        await tx.execute(delete(table).where(table.service_id == service_id, table.user_id == user_id))
    await tx.delete(membership)
    await tx.flush()
    return service


async def can_manage(tx: AsyncSession, actor: Actor, user_id: UUID) -> bool:
    """Whether the caller manages a service of which the user is a member."""
    member = models.ServiceMembership
    managed = bindparam("managed", actor.service_ids(ServicePermission.MANAGE_USERS), ARRAY(member.service_id.type))
    return bool(await tx.scalar(select(exists().where(member.user_id == user_id, member.service_id == any_(managed)))))


async def _require_manages_elsewhere(tx: AsyncSession, actor: Actor, user_id: UUID) -> None:
    """Raise `Forbidden` for a user whom the caller sees but does not manage.

    A manager reads and changes how their members sign in, and any user can create a service: without this check, users
    could become managers of every user whom they see.
    """
    if actor.platform_wide or await can_manage(tx, actor, user_id):
        return
    message = "You can only add people whose team you manage elsewhere: others have to be invited."
    raise Forbidden(ServicePermission.MANAGE_USERS.name, message)


def _forbid_self_escalation(
    actor: Actor, service_id: UUID, user_id: UUID, permissions: Collection[ServicePermission]
) -> None:
    """Raise `Forbidden` if callers give themselves a permission that they lack; platform admins may."""
    if user_id != actor.user_id or actor.platform_wide:
        return
    for permission in ServicePermission:
        if permission in permissions and not actor.has_permission(permission, service_id):
            raise Forbidden(permission.name, "You cannot give yourself a permission that you do not have.")


async def _membership(tx: AsyncSession, service_id: UUID, user_id: UUID) -> models.ServiceMembership | None:
    return await tx.get(models.ServiceMembership, (user_id, service_id))


async def _require_remaining_member(tx: AsyncSession, service_id: UUID, leaving_user_id: UUID) -> None:
    """Raise `Invalid` if no active member would remain."""
    member, user = models.ServiceMembership, models.User
    others = exists().where(
        member.service_id == service_id,
        member.user_id != leaving_user_id,
        user.id == member.user_id,
        user.state == UserState.ACTIVE.value,
    )
    if not await tx.scalar(select(others)):
        message = "A service needs at least one member: add another before this one leaves."
        raise Invalid(message, "user_id", code=UserErrorCode.LAST_ADMINISTRATOR)


async def _require_remaining_managers(tx: AsyncSession, service: models.Service, leaving_user_id: UUID) -> None:
    """Raise `Invalid` if too few managers with a government address would remain without this user.

    One must remain, two once the service is live or has asked to go live. Users who are not such managers can leave.
    """
    member, permission_row, user = models.ServiceMembership, models.ServiceMemberPermission, models.User
    managers = await tx.execute(
        select(user.id, user.email_address)
        .join(member, member.user_id == user.id)
        .join(permission_row, (permission_row.user_id == user.id) & (permission_row.service_id == member.service_id))
        .where(
            member.service_id == service.id,
            permission_row.permission == REQUIRED_MANAGER_PERMISSION.value,
            user.state == UserState.ACTIVE.value,
        )
    )
    addresses = {row.id: row.email_address for row in managers}
    if leaving_user_id not in addresses:
        return
    government_addresses = await email_domains.filter_government_addresses(tx, addresses.values())
    remaining = [
        user_id
        for user_id, address in addresses.items()
        if user_id != leaving_user_id and address in government_addresses
    ]
    required_count = 1 if service.restricted and not service.has_active_go_live_request else 2
    if addresses[leaving_user_id] in government_addresses and len(remaining) < required_count:
        people = "one person" if required_count == 1 else "two people"
        message = f"The service needs {people} with a government email address who can change its settings."
        raise Invalid(message, "user_id", code=UserErrorCode.LAST_ADMINISTRATOR)
