"""Buckets of points in the memory of one process, and what every kind of bucket shares."""

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
