"""The caller of the operation."""

from typing import Annotated, TypeAlias

import strawberry

from graphql_api import models
from graphql_api.auth.actors import ActorKind
from graphql_api.content.values import uuid_or_none
from graphql_api.enums import ServicePermission
from schema import refs
from schema.core import Info, entity_of
from schema.users import User

ServiceId: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="The service.")]


@strawberry.type(
    description="The caller: a signed-in person or a service's API key, so exactly one of `user` and `apiKey` is set."
)
class Viewer:
    """The caller: a signed-in person or a service's API key, so exactly one of `user` and `apiKey` is set."""

    @strawberry.field(description="The signed-in person; null for a key.")
    async def user(self, info: Info) -> User | None:
        """The person; None for a key."""
        user_id = info.context.actor.user_id
        return None if user_id is None else await User.read(info.context, user_id)

    @strawberry.field(description="The API key; null for a person.")
    async def api_key(self, info: Info) -> refs.ApiKey | None:
        """The key; None for a person."""
        key_id = info.context.actor.api_key_id
        return None if key_id is None else await entity_of(models.ApiKey).read(info.context, key_id)

    @strawberry.field(description="The key's own service; null for a person.")
    async def service(self, info: Info) -> refs.Service | None:
        """The key's service."""
        service_id = info.context.actor.key_service_id
        return None if service_id is None else await entity_of(models.Service).read(info.context, service_id)

    @strawberry.field(description="True for a platform admin.")
    def is_platform_admin(self, info: Info) -> bool:
        """Whether every service is visible to the caller."""
        return info.context.actor.kind is ActorKind.ADMIN

    @strawberry.field(
        description="The person's permissions in one service; empty for a key.",
    )
    def permissions(self, info: Info, service_id: ServiceId) -> list[ServicePermission]:
        """The permissions that mutations would require, in the order of the enum."""
        actor, key = info.context.actor, uuid_or_none(service_id)
        if key is None or actor.kind is ActorKind.KEY:
            return []
        return [permission for permission in ServicePermission if actor.has_permission(permission, key)]


@strawberry.type
class ViewerQueries:
    """The field of Query about the caller."""

    @strawberry.field(description="The caller; null for an anonymous one.")
    def viewer(self, info: Info) -> Viewer | None:
        """The caller."""
        return Viewer() if info.context.actor.signed_in else None
