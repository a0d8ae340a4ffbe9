"""Buckets of points in the memory of one process, and what every kind of bucket shares."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from cachetools import LRUCache

if TYPE_CHECKING:
    from collections.abc import Hashable


SECONDS_PER_MINUTE = 60


MAX_BUCKETS = 100_000
"""Buckets that are kept here; of more, those are forgotten that were used longest ago, and are full again."""


class RedisUnavailable(Exception):
    """Redis does not answer."""


class Bucket(NamedTuple):
    """Whose it is, what flows in within a minute, and what it holds."""

    key: Hashable
    points_per_minute: int
    capacity: int


class Reservation(NamedTuple):
    """What an operation was charged, and what its caller had left then."""

    bucket: Bucket
    points: int
    remaining: float
    reserved_at: float
    """When that was, in seconds since 1970."""

    @property
    def full_at(self) -> datetime:
        """When all will be there again, naive UTC."""
        missing = self.bucket.capacity - self.remaining
        at = datetime.fromtimestamp(
            self.reserved_at + missing * SECONDS_PER_MINUTE / self.bucket.points_per_minute, UTC
        )
        return at.replace(tzinfo=None)


class MemoryBuckets:
    """Buckets in the memory of one process."""

    def __init__(self) -> None:
        """Begin with all full."""
        self._levels: LRUCache[Hashable, tuple[float, float]] = LRUCache(MAX_BUCKETS)

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._levels)

    def debit(self, bucket: Bucket, points: int, now: float) -> None:
        """Take points that may not be there, up to as many as a bucket holds."""
        left = self.take(bucket, 0, now)
        self._levels[bucket.key] = max(left - points, -float(bucket.capacity)), now

    def take(self, bucket: Bucket, points: int, now: float) -> float:
        """Take points where there are enough, or give some back; what is left, or would be if it had been enough."""
        kept = self._levels.get(bucket.key)
        tokens = float(bucket.capacity)
        if kept is not None:
            tokens = min(tokens, kept[0] + (now - kept[1]) * bucket.points_per_minute / SECONDS_PER_MINUTE)
        left = min(tokens - points, float(bucket.capacity))
        if tokens >= min(points, bucket.capacity):
            self._levels[bucket.key] = left, now
        return left
