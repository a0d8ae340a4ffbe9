"""Token buckets in the memory of one process, and the types that `redis_buckets` shares."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

if TYPE_CHECKING:
    from collections.abc import Hashable


SECONDS_PER_MINUTE = 60
MAX_BUCKETS = 100_000
"""Buckets in memory; the least recently used are dropped, and are full when they are needed again."""
MAX_BURST_POINTS = 1_000


def burst_capacity(rate_per_minute: int) -> int:
    """Points that a full bucket holds: a third of its rate a minute and one, at most `MAX_BURST_POINTS`.

    The buckets of `domain.sending_limits` hold as many sends, so that points never limit a key below its sends.
    """
    return min(-(-max(rate_per_minute, 0) // 3) + 1, MAX_BURST_POINTS)


class RedisUnavailable(Exception):
    """Redis failed, or did not respond in time."""


class Bucket(NamedTuple):
    """A token bucket: its key, its refill rate, and its size in points."""

    key: Hashable
    points_per_minute: int
    capacity: int


class Reservation(NamedTuple):
    """The points that an operation reserved, and those that were left in its bucket."""

    bucket: Bucket
    points: int
    remaining: float
    reserved_at: float
    """Unix time in seconds."""

    @property
    def full_at(self) -> datetime:
        """When the bucket will be full again, as naive UTC."""
        missing = self.bucket.capacity - self.remaining
        seconds = missing * SECONDS_PER_MINUTE / self.bucket.points_per_minute
        return datetime.fromtimestamp(self.reserved_at + seconds, UTC).replace(tzinfo=None)


class MemoryBuckets:
    """Buckets in the memory of one process."""

    def __init__(self) -> None:
        self._levels: LRUCache[Hashable, tuple[float, float]] = LRUCache(MAX_BUCKETS)

    def __len__(self) -> int:
        return len(self._levels)

    def debit(self, bucket: Bucket, points: int, now: float) -> None:
        """Take points even below zero, down to the negative capacity."""
        left = self.take(bucket, 0, now)
        self._levels[bucket.key] = max(left - points, -float(bucket.capacity)), now

    def take(self, bucket: Bucket, points: int, now: float) -> float:
        """Take points, or return them if negative; the result is the level of the bucket afterwards.

        With too few points nothing is taken, and the result is the level as it would be. More points than the capacity
        are taken from a full bucket. `now` is in seconds of a monotonic clock.
        """
        level = self._levels.get(bucket.key)
        tokens = float(bucket.capacity)
        if level is not None:
            tokens = min(tokens, level[0] + (now - level[1]) * bucket.points_per_minute / SECONDS_PER_MINUTE)
        left = min(tokens - points, float(bucket.capacity))
        if tokens >= min(points, bucket.capacity):
            self._levels[bucket.key] = left, now
        return left
