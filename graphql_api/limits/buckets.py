"""Buckets of points in the memory of one process, and what every kind of bucket shares."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable


MINUTE = 60


MOST = 100_000
"""Buckets that are kept here; of more, those are forgotten that were used longest ago, and are full again."""


class Away(Exception):
    """Redis does not answer."""


class Bucket(NamedTuple):
    """Whose it is, what flows in within a minute, and what it holds."""

    key: Hashable
    rate: int
    capacity: int


class Standing(NamedTuple):
    """What an operation was charged, and what its caller had left then."""

    bucket: Bucket
    cost: int
    remaining: float
    at: float
    """When that was, in seconds since 1970."""

    @property
    def full_at(self) -> datetime:
        """When all will be there again, naive UTC."""
        missing = self.bucket.capacity - self.remaining
        at = datetime.fromtimestamp(self.at + missing * MINUTE / self.bucket.rate, UTC)
        return at.replace(tzinfo=None)


class Buckets:
    """Buckets in the memory of one process."""

    def __init__(self) -> None:
        """Begin with all full."""
        self._kept: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept."""
        return len(self._kept)

    def owe(self, bucket: Bucket, points: int, now: float) -> None:
        """Take points that may not be there, up to as many as a bucket holds."""
        left = self.take(bucket, 0, now)
        self._kept[bucket.key] = max(left - points, -float(bucket.capacity)), now

    def take(self, bucket: Bucket, points: int, now: float) -> float:
        """Take points where there are enough, or give some back; what is left, or would be if it had been enough."""
        kept = self._kept.get(bucket.key)
        tokens = float(bucket.capacity)
        if kept is not None:
            tokens = min(tokens, kept[0] + (now - kept[1]) * bucket.rate / MINUTE)
        left = min(tokens - points, float(bucket.capacity))
        if tokens >= min(points, bucket.capacity):
            self._kept[bucket.key] = left, now
            self._kept.move_to_end(bucket.key)
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return left
