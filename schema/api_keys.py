"""API keys: what GraphQL says of them; the key itself is told once."""

from datetime import datetime
from typing import Any

import strawberry

from graphql_api import models
from graphql_api.domain import api_keys as domain
from graphql_api.enums import KeyType
from loaders import api_keys as loaders
from schema import refs
from schema.core import (
    Entity,
    Info,
    Input,
    Node,
    column,
    computed,
    entity,
    input_type,
    mutation,
    one,
    payload,
)


def _ends(revoked_at: datetime | None, lifetime: Any) -> datetime | None:
    moments = [revoked_at, lifetime and lifetime.expires_at]
    return min((moment for moment in moments if moment is not None), default=None)


@entity(models.ApiKey)
class ApiKey(Entity, Node):
    """A key with which programs call for one service."""

    id: strawberry.ID
    """UUID of the row."""
    name: str
    """Unique among the service's keys that are not revoked."""
    type: KeyType = column(models.ApiKey.key_type)
    """Whom it may send to."""
    service: refs.Service = one(loaders.service)
    """The service."""
    prefix: str = computed(models.ApiKey.secret, via=domain.prefix_of)
    """First eight characters of the secret, to tell keys apart; the rest is shown once, when the key is made."""
    created_by: refs.User | None = one(loaders.first_version, loaders.created_by)
    """Who made it."""
    created_at: datetime
    """When it was made."""
    expires_at: datetime | None = computed(models.ApiKey.expiry_date, via=_ends, along=(loaders.lifetime,))
    """When it stops or stopped working; null for never."""
    revoked_at: datetime | None = column(models.ApiKey.expiry_date)
    """When it was revoked; a second call does not move it."""
    version: int
    """Starts at 1, raised by one on every change."""
    revoked_by: refs.User | None = one(loaders.lifetime, loaders.revoked_by)
    """Who revoked it."""


@input_type
class ApiKeyFilter(Input):
    """Which keys to list; every condition given must hold."""

    types: list[KeyType] | None = None
    """Any of these."""
    include_revoked: bool | None = True
    """False leaves out keys revoked in the last seven days."""


@input_type
class CreateApiKeyInput(Input):
    """Arguments of `createApiKey`."""

    service_id: strawberry.ID
    """The service."""
    name: str
    """Unique among the service's keys that are not revoked."""
    type: KeyType
    """Whom it may send to."""
    expires_at: datetime | None = None
    """When it stops working; never when left out."""


@payload
class CreateApiKeyPayload:
    """Answer of `createApiKey`."""

    api_key: refs.ApiKey | None
    """The key's record."""
    key: str | None
    """The key itself, `<name>-<service id>-<secret>` as GOV.UK Notify's clients take it; this is the only time
    it can be read.
    """


@input_type
class RevokeApiKeyInput(Input):
    """Arguments of `revokeApiKey`."""

    api_key_id: strawberry.ID
    """The key."""


@payload
class RevokeApiKeyPayload:
    """Answer of `revokeApiKey`."""

    api_key: refs.ApiKey | None
    """The key's record."""


@strawberry.type
class ApiKeyMutations:
    """The part of Mutation that makes and stops API keys."""

    @mutation
    async def create_api_key(self, info: Info, input: CreateApiKeyInput) -> CreateApiKeyPayload:
        """Make an API key; a service in trial may not have a live one."""
        context = info.context
        async with context.transaction() as tx:
            key = await domain.create(tx, context.actor, signer=context.signer, **input.values())
        return CreateApiKeyPayload(api_key=await ApiKey.read(context, key.row.id), key=key.text)

    @mutation
    async def revoke_api_key(self, info: Info, input: RevokeApiKeyInput) -> RevokeApiKeyPayload:
        """Stop an API key for good; a second call changes nothing."""
        async with info.context.transaction() as tx:
            row = await domain.revoke(tx, info.context.actor, **input.values())
        return RevokeApiKeyPayload(api_key=await ApiKey.read(info.context, row.id))
