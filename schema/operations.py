"""The cost of the operation, and the points that the caller has left."""

import math
from datetime import datetime

import strawberry

from schema.core import Info, value_object


@value_object
class RateLimit:
    """The caller's points: an operation reserves its highest cost, and gets back what it did not use."""

    limit: int
    """Points that are refilled per minute."""
    capacity: int
    """Points that can be spent at once."""
    cost: int
    """Points that this operation reserved."""
    remaining: int
    """Points left after the reservation; below zero after an operation that costs more than `capacity`."""
    reset_at: datetime
    """When all points will be refilled, without further operations."""


@strawberry.type
class OperationQueries:
    """The fields of Query about the operation itself."""

    @strawberry.field(description="The caller's rate limit and points; null for a caller without a limit.")
    def rate_limit(self, info: Info) -> RateLimit | None:
        """The points after the operation's reservation."""
        reservation = info.context.reservation
        if reservation is None:
            return None
        return RateLimit(
            limit=reservation.bucket.points_per_minute,
            capacity=reservation.bucket.capacity,
            cost=reservation.points,
            remaining=math.floor(reservation.remaining),
            reset_at=reservation.full_at,
        )
