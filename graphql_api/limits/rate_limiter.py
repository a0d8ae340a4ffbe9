"""How fast a caller may ask: a bucket of points for each, here or in a Redis that servers share."""

from __future__ import annotations

import time
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING, Self

import structlog

from graphql_api.auth.actors import Kind
from graphql_api.domain.sending_limits import burst
from graphql_api.errors import TooManyRequests
from graphql_api.limits.buckets import MINUTE, Away, Bucket, Buckets, Standing
from graphql_api.observability import operation_stats

if TYPE_CHECKING:
    from graphql_api.auth.actors import Actor
    from graphql_api.limits.redis_buckets import SharedBuckets
    from graphql_api.settings import Settings

HELD = 0.1
"""Seconds after which a caller is told to ask less often: one who asks on and on would have an answer at once."""
AWAY_FOR = 1.0
"""Seconds for which a Redis that did not answer is left alone."""
log = structlog.get_logger(__name__)


class Rates:
    """The buckets of a server."""

    def __init__(self, rate: int, shared: SharedBuckets | None = None) -> None:
        """Let every caller spend so many points a minute; a rate of 0 lifts all limits."""
        self._rate = rate
        self._capacity = burst(rate)
        self._here = Buckets()
        self._shared = shared
        self._away_until = 0.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """By the settings; their Redis is looked for at the first call."""
        if settings.redis_url is None:
            return cls(settings.points_rate)
        from graphql_api.limits import redis_buckets  # noqa: PLC0415 - its client takes a while to load

        return cls(settings.points_rate, redis_buckets.connect(settings.redis_url.get_secret_value()))

    def bucket_of(self, actor: Actor) -> Bucket | None:
        """A service's keys of a type share one, each person has one, and so has each address of people unknown.

        None for those who are not counted.
        """
        kind = actor.kind
        if self._rate <= 0 or kind is Kind.SYSTEM:
            return None
        if kind is Kind.ANONYMOUS:
            return Bucket(_network(actor.address), self._rate, self._capacity) if actor.address else None
        if kind is Kind.KEY:
            rate = max(self._rate, actor.rate)
            return Bucket((actor.key_service_id, actor.key_type), rate, burst(rate))
        return Bucket(actor.user_id, self._rate, self._capacity)

    def admit(self, actor: Actor) -> None:
        """Raise `TooManyRequests` for whoever has no point left, before anything that they ask is read.

        As far as is known here: what a shared Redis knows is asked when they reserve.
        """
        bucket = self.bucket_of(actor)
        if bucket is not None:
            left = self._here.take(bucket, 0, time.monotonic())
            if left < 1:
                raise _too_many(bucket, 1 - left)

    def owe(self, bucket: Bucket, points: int) -> None:
        """Take points here, whether they are there or not."""
        self._here.owe(bucket, points, time.monotonic())

    async def reserve(self, actor: Actor, points: int) -> Standing | None:
        """Take points before an operation runs; None for those who are not counted.

        What costs more than a bucket holds is let through when it is full, and paid off afterwards. Raises
        `TooManyRequests`, and takes nothing, where there is too little.
        """
        bucket = self.bucket_of(actor)
        if bucket is None:
            return None
        here = self._shared is None
        left = self._here.take(bucket, points, time.monotonic()) if here else await self._take(bucket, points)
        needed = min(points, bucket.capacity)
        if left + points < needed:
            raise _too_many(bucket, needed - left - points)
        return Standing(bucket, points, left, time.time())

    async def refund(self, standing: Standing | None, points: int) -> None:
        """Give back what an operation did not use."""
        if standing is not None and points > 0:
            await self._take(standing.bucket, -points)

    async def close(self) -> None:
        """Let Redis go."""
        if self._shared is not None:
            await self._shared.close()

    async def _take(self, bucket: Bucket, points: int) -> float:
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                return await self._shared.take(bucket, points)
            except Away as error:
                # Nobody waits for Redis, nor is refused for want of it: until it is back each process counts alone.
                self._away_until = time.monotonic() + AWAY_FOR
                log.warning("rates are counted in this process alone", kind=type(error.__cause__).__name__)
        return self._here.take(bucket, points, time.monotonic())


def _too_many(bucket: Bucket, missing: float) -> TooManyRequests:
    operation_stats.hold(time.monotonic() + HELD)
    return TooManyRequests(missing * MINUTE / bucket.rate)


@lru_cache(maxsize=1_000)
def _network(address: str) -> str:
    """Where somebody asks from: an address, or the 64 bits of one that tell whose it is, where it has more."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return address
    return str(found.ipv4_mapped or ip_network((found, 64), strict=False))
