"""Runs of time: London days for figures, instants for filters."""

from datetime import date, datetime

import strawberry

from schema.core import Input, input_type, value_object


@value_object
class DateRange:
    """A run of London days."""

    from_: date = strawberry.field(name="from")
    """First day, included."""
    to: date
    """Last day, included."""


@input_type
class DateRangeInput(Input):
    """A run of London days, both ends included."""

    from_: date = strawberry.field(name="from")
    """First day, included."""
    to: date
    """Last day, included."""


@input_type
class DateTimeRangeInput(Input):
    """A stretch of time; an end left out is open."""

    from_: datetime | None = strawberry.field(name="from", default=None)
    """Lower bound, included."""
    to: datetime | None = None
    """Upper bound, not included."""
