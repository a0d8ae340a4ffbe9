"""Whoever asks, as they see themselves."""

import strawberry

from graphql_api import models
from graphql_api.auth.actors import ActorKind
from graphql_api.content.values import uuid_or_none
from graphql_api.enums import ServicePermission
from schema import refs
from schema.core import Info, entity_of
from schema.users import User


@strawberry.type(
    description="The caller: a signed-in person or a service's API key, so exactly one of `user` and `apiKey` is set."
)
class Viewer:
    """The caller: a signed-in person or a service's API key, so exactly one of `user` and `apiKey` is set."""

    @strawberry.field(description="The person.")
    async def user(self, info: Info) -> User | None:
        """The person; none for a key."""
        user_id = info.context.actor.user_id
        return None if user_id is None else await User.read(info.context, user_id)

    @strawberry.field(description="The key.")
    async def api_key(self, info: Info) -> refs.ApiKey | None:
        """The key; none for a person."""
        key_id = info.context.actor.api_key_id
        return None if key_id is None else await entity_of(models.ApiKey).read(info.context, key_id)

    @strawberry.field(description="The key's own service; null for a person.")
    async def service(self, info: Info) -> refs.Service | None:
        """The key's service."""
        service_id = info.context.actor.key_service_id
        return None if service_id is None else await entity_of(models.Service).read(info.context, service_id)

    @strawberry.field(description="True for a person who looks after the whole platform.")
    def is_platform_admin(self, info: Info) -> bool:
        """Whether every service is visible to the caller."""
        return info.context.actor.kind is ActorKind.ADMIN

    @strawberry.field(
        description="What the person may do in one service; empty for a key, whose scopes say it.",
    )
    def permissions(self, info: Info, service_id: strawberry.ID) -> list[ServicePermission]:
        """What rules of writing would allow, in the order of the vocabulary."""
        actor, key = info.context.actor, uuid_or_none(service_id)
        if key is None or actor.kind is ActorKind.KEY:
            return []
        return [permission for permission in ServicePermission if actor.has_permission(permission, key)]


@strawberry.type
class ViewerQueries:
    """The part of Query that tells who asks."""

    @strawberry.field(description="The caller; null when nobody is signed in.")
    def viewer(self, info: Info) -> Viewer | None:
        """The caller."""
        return Viewer() if info.context.actor.signed_in else None
