"""Members of services and their permissions."""

import strawberry

import loaders.members
from graphql_api import models
from graphql_api.domain import members
from graphql_api.enums import ServicePermission
from schema import refs
from schema.core import Entity, Info, Input, batched, entity, entity_of, input_type, to_one
from schema.mutations import mutation, payload


@entity(models.ServiceMembership)
class ServiceMembership(Entity):
    """A person's membership of a service."""

    service: refs.Service = to_one(loaders.members.service)
    """The service."""
    user: refs.User = to_one(loaders.members.user)
    """The person."""
    permissions: list[ServicePermission] = batched(loaders.members.permissions)
    """Permissions in the service."""


@input_type
class ServiceMemberFilter(Input):
    """Which members to list; every condition given must hold."""

    has_permissions: list[ServicePermission] | None = None
    """Having all of these permissions."""


@input_type
class SetServiceMemberInput(Input):
    """Arguments of `setServiceMember`."""

    service_id: strawberry.ID
    """The service."""
    user_id: strawberry.ID
    """The person."""
    permissions: list[ServicePermission]
    """New permissions, which replace the old ones."""


@payload
class SetServiceMemberPayload:
    """Result of `setServiceMember`."""

    membership: ServiceMembership | None
    """The membership."""


@input_type
class RemoveServiceMemberInput(Input):
    """Arguments of `removeServiceMember`."""

    service_id: strawberry.ID
    """The service."""
    user_id: strawberry.ID
    """The person."""


@payload
class RemoveServiceMemberPayload:
    """Result of `removeServiceMember`."""

    service: refs.Service | None
    """The service."""
    removed_user_id: strawberry.ID | None
    """The person who was removed."""


@strawberry.type
class MemberMutations:
    """The fields of Mutation that change memberships."""

    @mutation
    async def set_service_member(self, info: Info, input: SetServiceMemberInput) -> SetServiceMemberPayload:
        """Add a person to a service, or change their permissions in it."""
        context = info.context
        async with context.transaction() as tx:
            membership = await members.add_or_update(tx, context.actor, **input.values())
        return SetServiceMemberPayload(membership=ServiceMembership.of(membership))

    @mutation
    async def remove_service_member(self, info: Info, input: RemoveServiceMemberInput) -> RemoveServiceMemberPayload:
        """Remove a person from a service; members may remove themselves."""
        context = info.context
        async with context.transaction() as tx:
            service = await members.remove(tx, context.actor, **input.values())
        return RemoveServiceMemberPayload(
            service=await entity_of(models.Service).read(context, service.id), removed_user_id=input.user_id
        )
