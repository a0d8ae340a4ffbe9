"""API keys: what GraphQL says of them; the key itself is told once."""

import builtins
from datetime import date as date_type
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

import strawberry

from graphql_api import models
from graphql_api.billing import london_days
from graphql_api.domain import api_keys as domain
from graphql_api.enums import KeyType
from graphql_api.errors import BadRequest
from graphql_api.limits import points
from loaders import api_keys as loaders
from schema import refs
from schema.core import Entity, Info, Input, Node, column, computed, entity, input_type, to_one, value_object
from schema.money import Money
from schema.mutations import mutation, payload
from schema.ranges import DateRangeInput, parse_day_range

DEFAULT_USAGE_DAYS = 7
MAX_USAGE_DAYS = 366


def _expires_at(revoked_at: datetime | None, lifetime: Any) -> datetime | None:
    moments = [revoked_at, lifetime and lifetime.expires_at]
    return min((moment for moment in moments if moment is not None), default=None)


def _last_used_at(_id: Any, lifetime: Any) -> datetime | None:
    used: datetime | None = lifetime and lifetime.last_used_at
    return used


@value_object
class ApiKeyUsageDay:
    """What one key did on one day."""

    date: date_type
    """London day."""
    requests: int
    """Calls made."""
    succeeded: int
    """Calls answered without an error."""
    failed: int
    """Calls refused or failed."""
    rate_limited: int
    """Calls refused for coming too fast."""
    notifications: int
    """Messages accepted."""
    cost: Money
    """Cost of those messages at the full rate."""
    mean_response_milliseconds: float | None
    """Mean time to answer; null without calls."""

    @classmethod
    def of(cls, day: date_type, row: Any | None) -> Self:
        """The figures of a day; nothing happened where there is no row."""
        return cls(
            date=day,
            requests=row.requests if row else 0,
            succeeded=row.succeeded if row else 0,
            failed=row.failed if row else 0,
            rate_limited=row.rate_limited if row else 0,
            notifications=row.notifications if row else 0,
            cost=Money.pounds(row.cost if row else Decimal(0)),
            mean_response_milliseconds=row.total_ms / row.requests if row and row.requests else None,
        )


@entity(models.ApiKey)
class ApiKey(Entity, Node):
    """A key with which programs call for one service."""

    id: strawberry.ID
    """UUID of the row."""
    name: str
    """Unique among the service's keys that are not revoked."""
    type: KeyType = column(models.ApiKey.key_type)
    """Whom it may send to."""
    service: refs.Service = to_one(loaders.service)
    """The service."""
    prefix: str = computed(models.ApiKey.secret, via=domain.shown_prefix)
    """First eight characters of the secret, to tell keys apart; the rest is shown once, when the key is made."""
    created_by: refs.User | None = to_one(loaders.first_version, loaders.created_by)
    """Who made it."""
    created_at: datetime
    """When it was made."""
    expires_at: datetime | None = computed(models.ApiKey.expiry_date, via=_expires_at, related=(loaders.lifetime,))
    """When it stops or stopped working; null for never."""
    revoked_at: datetime | None = column(models.ApiKey.expiry_date)
    """When it was revoked; a second call does not move it."""
    version: int
    """Starts at 1, raised by one on every change."""
    revoked_by: refs.User | None = to_one(loaders.lifetime, loaders.revoked_by)
    """Who revoked it."""
    last_used_at: datetime | None = computed(models.ApiKey.id, via=_last_used_at, related=(loaders.lifetime,))
    """When it last called, to the nearest five minutes; null for never."""

    @strawberry.field(
        description="Calls and messages per day, the last seven days when left out.", metadata=points.weight(10)
    )
    async def usage(self, info: Info, range: DateRangeInput | None = None) -> list[ApiKeyUsageDay] | None:
        """Every day of the range, the earliest first."""
        if range is None:
            last = london_days.today()
            first = last - timedelta(days=DEFAULT_USAGE_DAYS - 1)
        else:
            first, last = parse_day_range(range)
        days = [
            first + timedelta(days=number) for number in builtins.range(min((last - first).days, MAX_USAGE_DAYS) + 1)
        ]
        if len(days) > MAX_USAGE_DAYS:
            raise BadRequest(f"Ask for {MAX_USAGE_DAYS} days at most.")
        found = await info.context.loaders.batch(loaders.usage, loaders.ApiKeyDays(self.row.id, first, last))
        return [ApiKeyUsageDay.of(day, found.get(day)) for day in days]


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
        return CreateApiKeyPayload(api_key=await ApiKey.read(context, key.api_key.id), key=key.plaintext)

    @mutation
    async def revoke_api_key(self, info: Info, input: RevokeApiKeyInput) -> RevokeApiKeyPayload:
        """Stop an API key for good; a second call changes nothing."""
        async with info.context.transaction() as tx:
            row = await domain.revoke(tx, info.context.actor, **input.values())
        return RevokeApiKeyPayload(api_key=await ApiKey.read(info.context, row.id))
