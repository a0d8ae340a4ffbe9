"""Token buckets in Redis, for several processes: one atomic script, which uses Redis' clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from graphql_api.limits.buckets import RedisUnavailable

if TYPE_CHECKING:
    from graphql_api.limits.buckets import Bucket

REDIS_TIMEOUT_SECONDS = 0.1
"""The timeout of a call."""
REDIS_KEY_PREFIX = "notify-graphql:points:"

_TAKE_SCRIPT = """
local level = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local rate, capacity, points = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local tokens = capacity
if level[1] then
    tokens = math.min(capacity, tonumber(level[1]) + math.max(0, now - tonumber(level[2])) * rate / 60)
end
local left = math.min(tokens - points, capacity)
if tokens >= math.min(points, capacity) then
    redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', left), 'at', string.format('%.6f', now))
    redis.call('PEXPIRE', KEYS[1], math.ceil((capacity - left) * 60000 / rate) + 1000)
end
return string.format('%.6f', left)
"""


class RedisBuckets:
    """Buckets that all processes share; those that are full again expire."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take_script = redis.register_script(_TAKE_SCRIPT)

    async def take(self, bucket: Bucket, points: int) -> float:
        """As `MemoryBuckets.take`, within `REDIS_TIMEOUT_SECONDS`; raises `RedisUnavailable`."""
        key = REDIS_KEY_PREFIX + (":".join(map(str, bucket.key)) if isinstance(bucket.key, tuple) else str(bucket.key))
        arguments: list[Any] = [bucket.points_per_minute, bucket.capacity, points]
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_SECONDS):
                return float(await self._take_script(keys=[key], args=arguments))
        except (RedisError, OSError, TimeoutError) as error:
            raise RedisUnavailable from error

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()


def connect(url: str) -> RedisBuckets:
    """Buckets in the Redis of a URL; it connects at the first call."""
    no_retries = Retry(NoBackoff(), 0)
    return RedisBuckets(
        Redis.from_url(
            url, retry=no_retries, socket_timeout=REDIS_TIMEOUT_SECONDS, socket_connect_timeout=REDIS_TIMEOUT_SECONDS
        )
    )
