"""The operation that is asked: what it costs, and what its caller may still spend."""

import math
from datetime import datetime

import strawberry

from schema.core import Info, value_object


@value_object
class RateLimit:
    """The caller's points: an operation reserves what it could cost, and is given back what it did not use."""

    limit: int
    """Points that come back within a minute."""
    capacity: int
    """Points that can be spent at once."""
    cost: int
    """Points that this operation has reserved."""
    remaining: int
    """Points that were left then; below zero after an operation that costs more than `capacity`."""
    reset_at: datetime
    """When all will have come back, if nothing more is asked."""


@strawberry.type
class OperationQueries:
    """The part of Query that tells of the operation itself."""

    @strawberry.field(description="What the caller may still ask for; null for whoever is not limited.")
    def rate_limit(self, info: Info) -> RateLimit | None:
        """As it stood when the operation was charged."""
        standing = info.context.reservation
        if standing is None:
            return None
        return RateLimit(
            limit=standing.bucket.points_per_minute,
            capacity=standing.bucket.capacity,
            cost=standing.points,
            remaining=math.floor(standing.remaining),
            reset_at=standing.full_at,
        )
