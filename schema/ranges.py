"""Runs of time: London days for figures, instants for filters."""

from datetime import date, datetime

import strawberry

from graphql_api.billing import london_days
from graphql_api.errors import BadRequest
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


def parse_day_range(range: DateRangeInput | None) -> tuple[date, date]:
    """The first and last day asked for; today where nothing is."""
    if range is None:
        return london_days.today(), london_days.today()
    if range.from_ > range.to:
        raise BadRequest("A range of days ends on the day it begins, or later.")
    return range.from_, range.to
