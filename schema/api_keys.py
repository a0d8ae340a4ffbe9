"""API keys; the secret is returned only when the key is created."""

import builtins
from datetime import date as date_type
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Self, TypeAlias

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
    times = [revoked_at, lifetime and lifetime.expires_at]
    return min((time for time in times if time is not None), default=None)


def _last_used_at(_id: Any, lifetime: Any) -> datetime | None:
    last_used_at: datetime | None = lifetime and lifetime.last_used_at
    return last_used_at


UsageRange: TypeAlias = Annotated[
    DateRangeInput | None,
    strawberry.argument(description="London days, at most 366; the last seven when left out."),
]


@value_object
class ApiKeyUsageDay:
    """Usage of one key on one day."""

    date: date_type
    """Day in London."""
    requests: int
    """Number of calls."""
    succeeded: int
    """Number of calls without an error."""
    failed: int
    """Number of calls with an error."""
    rate_limited: int
    """Number of calls refused by a rate limit."""
    notifications: int
    """Number of messages accepted."""
    cost: Money
    """Cost of the messages, without regard to the yearly free allowance."""
    mean_response_milliseconds: float | None
    """Mean response time; null without calls."""

    @classmethod
    def of(cls, day: date_type, row: Any | None) -> Self:
        """The usage of a day; zeros without a row."""
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
    """A key with which programs act for one service."""

    id: strawberry.ID
    """UUID of the row."""
    name: str
    """Unique among the service's keys that are not revoked."""
    type: KeyType = column(models.ApiKey.key_type)
    """Type of the key, which decides whom it can send to."""
    service: refs.Service = to_one(loaders.service)
    """Service of the key."""
    prefix: str = computed(models.ApiKey.secret, via=domain.shown_prefix)
    """First eight characters of the secret, which identify the key; the whole is shown once, when it is created."""
    created_by: refs.User | None = to_one(loaders.first_version, loaders.created_by)
    """Who created it; null when the caller may not see them."""
    created_at: datetime
    """When it was created."""
    expires_at: datetime | None = computed(models.ApiKey.expiry_date, via=_expires_at, related=(loaders.lifetime,))
    """When it expires or expired; null for never."""
    revoked_at: datetime | None = column(models.ApiKey.expiry_date)
    """When it was first revoked; null for a key that is not revoked."""
    version: int
    """Number of the version: 1 at first, one more after every change."""
    revoked_by: refs.User | None = to_one(loaders.lifetime, loaders.revoked_by)
    """Who revoked it."""
    last_used_at: datetime | None = computed(models.ApiKey.id, via=_last_used_at, related=(loaders.lifetime,))
    """When it was last used, to within five minutes; null for never."""

    @strawberry.field(description="Calls and messages per day.", metadata=points.weight(10))
    async def usage(self, info: Info, range: UsageRange = None) -> list[ApiKeyUsageDay] | None:
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
            raise BadRequest(f"`range` must have at most {MAX_USAGE_DAYS} days.")
        rows_by_day = await info.context.loaders.batch(loaders.usage, loaders.ApiKeyDays(self.row.id, first, last))
        return [ApiKeyUsageDay.of(day, rows_by_day.get(day)) for day in days]


@input_type
class ApiKeyFilter(Input):
    """Which keys to list; every condition given must hold."""

    types: list[KeyType] | None = None
    """Of any of these types."""
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
    """Type of the key, which decides whom it can send to."""
    expires_at: datetime | None = None
    """When it expires; never when left out."""


@payload
class CreateApiKeyPayload:
    """Result of `createApiKey`."""

    api_key: refs.ApiKey | None
    """The API key."""
    key: str | None
    """The key with its secret, `<name>-<service id>-<secret>` as GOV.UK Notify's clients take it; it cannot be read
    again.
    """


@input_type
class RevokeApiKeyInput(Input):
    """Arguments of `revokeApiKey`."""

    api_key_id: strawberry.ID
    """The key."""


@payload
class RevokeApiKeyPayload:
    """Result of `revokeApiKey`."""

    api_key: refs.ApiKey | None
    """The API key."""


@strawberry.type
class ApiKeyMutations:
    """The fields of Mutation that create and revoke API keys."""

    @mutation
    async def create_api_key(self, info: Info, input: CreateApiKeyInput) -> CreateApiKeyPayload:
        """Create an API key; a service in trial cannot have a live one."""
        context = info.context
        async with context.transaction() as tx:
            key = await domain.create(tx, context.actor, signer=context.signer, **input.values())
        return CreateApiKeyPayload(api_key=await ApiKey.read(context, key.api_key.id), key=key.plaintext)

    @mutation
    async def revoke_api_key(self, info: Info, input: RevokeApiKeyInput) -> RevokeApiKeyPayload:
        """Revoke an API key permanently; a second call changes nothing."""
        async with info.context.transaction() as tx:
            row = await domain.revoke(tx, info.context.actor, **input.values())
        return RevokeApiKeyPayload(api_key=await ApiKey.read(info.context, row.id))
