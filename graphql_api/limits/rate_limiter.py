"""Rate limits: a token bucket of points for each caller, in this process or in a Redis that servers share."""

from __future__ import annotations

import time
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network
from typing import TYPE_CHECKING, Self

import structlog

from graphql_api.auth.actors import ActorKind
from graphql_api.database.circuit_breaker import CircuitBreaker
from graphql_api.errors import TooManyRequests
from graphql_api.limits.buckets import (
    SECONDS_PER_MINUTE,
    Bucket,
    MemoryBuckets,
    RedisUnavailable,
    Reservation,
    burst_capacity,
)
from graphql_api.observability import operation_stats

if TYPE_CHECKING:
    from graphql_api.auth.actors import Actor
    from graphql_api.limits.redis_buckets import RedisBuckets
    from graphql_api.settings import Settings

REJECTION_DELAY_SECONDS = 0.1
"""The delay of a `RATE_LIMITED` response, which slows down clients that retry at once."""
REDIS_RETRY_SECONDS = 1.0
"""Seconds before a Redis that failed is used again."""

log = structlog.get_logger(__name__)


class RateLimiter:
    """The buckets of a server."""

    def __init__(self, points_per_minute: int, redis_buckets: RedisBuckets | None = None) -> None:
        """Allow each caller so many points a minute; 0 means no limits."""
        self._points_per_minute = points_per_minute
        self._capacity = burst_capacity(points_per_minute)
        self._memory_buckets = MemoryBuckets()
        self._redis_buckets = redis_buckets
        self._redis_circuit_breaker = CircuitBreaker(REDIS_RETRY_SECONDS)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """A rate limiter by the settings; it connects to Redis at the first call."""
        if settings.redis_url is None:
            return cls(settings.effective_points_per_minute)
        from graphql_api.limits import redis_buckets  # noqa: PLC0415 - its client is slow to import

        return cls(settings.effective_points_per_minute, redis_buckets.connect(settings.redis_url.get_secret_value()))

    def bucket_for(self, actor: Actor) -> Bucket | None:
        """The bucket of a caller: of a service's keys of one type, of a person, or of an anonymous client's address.

        None for callers without limits.
        """
        kind = actor.kind
        if self._points_per_minute <= 0 or kind is ActorKind.SYSTEM:
            return None
        if kind is ActorKind.ANONYMOUS:
            return (
                Bucket(_client_network(actor.client_address), self._points_per_minute, self._capacity)
                if actor.client_address
                else None
            )
        if kind is ActorKind.KEY:
            rate = max(self._points_per_minute, actor.messages_per_minute)
            return Bucket((actor.key_service_id, actor.key_type), rate, burst_capacity(rate))
        return Bucket(actor.user_id, self._points_per_minute, self._capacity)

    def admit(self, actor: Actor) -> None:
        """Raise `TooManyRequests` for a caller without a point left, before the request is parsed.

        Only the buckets of this process are read; a shared Redis is when points are reserved.
        """
        bucket = self.bucket_for(actor)
        if bucket is not None:
            left = self._memory_buckets.take(bucket, 0, time.monotonic())
            if left < 1:
                raise _too_many_requests(bucket, 1 - left)

    def debit(self, bucket: Bucket, points: int) -> None:
        """Take points of this process's bucket, even below zero."""
        self._memory_buckets.debit(bucket, points, time.monotonic())

    async def reserve(self, actor: Actor, points: int) -> Reservation | None:
        """Take the points of an operation before it runs; None for callers without limits.

        An operation that costs more than the bucket's capacity needs a full one, and leaves it below zero. Raises
        `TooManyRequests`, and takes nothing, when there are too few points.
        """
        bucket = self.bucket_for(actor)
        if bucket is None:
            return None
        left = await self._take(bucket, points)
        needed = min(points, bucket.capacity)
        if left + points < needed:
            raise _too_many_requests(bucket, needed - left - points)
        return Reservation(bucket, points, left, time.time())

    async def refund(self, reservation: Reservation | None, points: int) -> None:
        """Return the points that an operation did not use."""
        if reservation is not None and points > 0:
            await self._take(reservation.bucket, -points)

    async def close(self) -> None:
        """Close the connections to Redis."""
        if self._redis_buckets is not None:
            await self._redis_buckets.close()

    async def _take(self, bucket: Bucket, points: int) -> float:
        if self._redis_buckets is not None and not self._redis_circuit_breaker.is_open:
            try:
                return await self._redis_buckets.take(bucket, points)
            except RedisUnavailable as error:
                # Requests neither wait for Redis nor fail without it: meanwhile each process counts by itself.
                self._redis_circuit_breaker.record_failure()
                log.warning("rates are counted in this process alone", kind=type(error.__cause__).__name__)
        return self._memory_buckets.take(bucket, points, time.monotonic())


def _too_many_requests(bucket: Bucket, missing: float) -> TooManyRequests:
    operation_stats.delay_response(time.monotonic() + REJECTION_DELAY_SECONDS)
    return TooManyRequests(missing * SECONDS_PER_MINUTE / bucket.points_per_minute)


@lru_cache(maxsize=1_000)
def _client_network(address: str) -> str:
    """The key of a client's address: an IPv4 address, or the /64 network of an IPv6 one."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv4Address):
        return address
    return str(parsed.ipv4_mapped or ip_network((parsed, 64), strict=False))
