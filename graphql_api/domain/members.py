"""Members of a service: who they are, what they may do there, and who must remain."""

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
"""What those can do of whom a service needs some with a government address."""


async def add_or_update(
    tx: AsyncSession, actor: Actor, *, service_id: UUID, user_id: UUID, permissions: Collection[ServicePermission]
) -> models.ServiceMembership:
    """Add a person to a service, or replace what they may do there.

    Whoever is added without being asked is somebody whom the caller manages already, in another team.
    """
    service = await visibility.find_visible(tx, actor, models.Service, service_id, "service_id", lock=True)
    actor.require(ServicePermission.MANAGE_USERS, service_id, "service_id")
    require_active(service)
    user = await visibility.find_visible(tx, actor, models.User, user_id, "user_id")
    wanted = set(permissions)
    _forbid_self_escalation(actor, service_id, user_id, wanted)
    if user.state != UserState.ACTIVE:
        message = "Only people who can sign in can be members."
        raise IllegalState(message, "user_id", current=user.state.upper(), allowed=[UserState.ACTIVE.name])
    held = models.ServiceMemberPermission
    membership = await _membership(tx, service_id, user_id)
    if membership is None:
        await _require_manages_elsewhere(tx, actor, user_id)
        membership = models.ServiceMembership(user_id=user_id, service_id=service_id)
        tx.add(membership)
        before: set[str] = set()
    else:
        if REQUIRED_MANAGER_PERMISSION not in wanted:
            await _require_remaining_managers(tx, service, user_id)
        before = set(
            await tx.scalars(select(held.permission).where(held.service_id == service_id, held.user_id == user_id))
        )
    await tx.execute(
        delete(held).where(
            held.service_id == service_id,
            held.user_id == user_id,
            held.permission.not_in([one.value for one in wanted]),
        )
    )
    tx.add_all(
        held(service_id=service_id, user_id=user_id, permission=one.value)
        for one in ServicePermission
        if one in wanted and one.value not in before
    )
    await tx.flush()
    return membership


async def remove(tx: AsyncSession, actor: Actor, *, service_id: UUID, user_id: UUID) -> models.Service:
    """Take a person out of a service; members may take themselves out."""
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
    """Whether the caller manages a team that the person is in."""
    member = models.ServiceMembership
    managed = bindparam("managed", actor.service_ids(ServicePermission.MANAGE_USERS), ARRAY(member.service_id.type))
    found = await tx.scalar(select(exists().where(member.user_id == user_id, member.service_id == any_(managed))))
    return bool(found)


async def _require_manages_elsewhere(tx: AsyncSession, actor: Actor, user_id: UUID) -> None:
    """Refuse to take in somebody whom the caller only sees.

    Whoever manages somebody reads and changes how they sign in. Anybody can begin a service and manage it: if they
    could put a colleague into it unasked, everyone would manage everyone whom they see.
    """
    if actor.platform_wide or await can_manage(tx, actor, user_id):
        return
    message = "You can only add people whose team you manage elsewhere: others have to be invited."
    raise Forbidden(ServicePermission.MANAGE_USERS.name, message)


def _forbid_self_escalation(
    actor: Actor, service_id: UUID, user_id: UUID, permissions: Collection[ServicePermission]
) -> None:
    """Nobody gives themselves more than they have; platform admins may join any service."""
    if user_id != actor.user_id or actor.platform_wide:
        return
    for permission in ServicePermission:
        if permission in permissions and not actor.has_permission(permission, service_id):
            raise Forbidden(permission.name, "You cannot give yourself a permission that you do not have.")


async def _membership(tx: AsyncSession, service_id: UUID, user_id: UUID) -> models.ServiceMembership | None:
    return await tx.get(models.ServiceMembership, (user_id, service_id))


async def _require_remaining_member(tx: AsyncSession, service_id: UUID, leaving_user_id: UUID) -> None:
    """Refuse when no active member would be left."""
    member, user = models.ServiceMembership, models.User
    others = exists().where(
        member.service_id == service_id,
        member.user_id != leaving_user_id,
        user.id == member.user_id,
        user.state == UserState.ACTIVE.value,
    )
    if not await tx.scalar(select(others)):
        message = "A service needs at least one member: add somebody else before this one leaves."
        raise Invalid(message, "user_id", code=UserErrorCode.LAST_ADMINISTRATOR)


async def _require_remaining_managers(tx: AsyncSession, service: models.Service, leaving_user_id: UUID) -> None:
    """Refuse when one of the last people goes, or loses the permission, who can change settings.

    One with a government address must remain, two once the service is live or has asked to be. Whoever is not one of
    them can always go.
    """
    member, held, user = models.ServiceMembership, models.ServiceMemberPermission, models.User
    managers = await tx.execute(
        select(user.id, user.email_address)
        .join(member, member.user_id == user.id)
        .join(held, (held.user_id == user.id) & (held.service_id == member.service_id))
        .where(
            member.service_id == service.id,
            held.permission == REQUIRED_MANAGER_PERMISSION.value,
            user.state == UserState.ACTIVE.value,
        )
    )
    addresses = {row.id: row.email_address for row in managers}
    if leaving_user_id not in addresses:
        return
    government = await email_domains.filter_government_addresses(tx, addresses.values())
    remaining = [one for one, address in addresses.items() if one != leaving_user_id and address in government]
    needed = 1 if service.restricted and not service.has_active_go_live_request else 2
    if addresses[leaving_user_id] in government and len(remaining) < needed:
        people = "one person" if needed == 1 else "two people"
        message = f"The service needs {people} with a government email address who can change its settings."
        raise Invalid(message, "user_id", code=UserErrorCode.LAST_ADMINISTRATOR)
