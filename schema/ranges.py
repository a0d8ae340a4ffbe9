"""Ranges of London days, for statistics, and of instants, for filters."""

from datetime import date, datetime

import strawberry

from graphql_api.billing import london_days
from graphql_api.errors import BadRequest
from schema.core import Input, input_type, value_object


@value_object
class DateRange:
    """A range of London days."""

    from_: date = strawberry.field(name="from")
    """First day, included."""
    to: date
    """Last day, included."""


@input_type
class DateRangeInput(Input):
    """A range of London days, both ends included."""

    from_: date = strawberry.field(name="from")
    """First day, included."""
    to: date
    """Last day, included."""


@input_type
class DateTimeRangeInput(Input):
    """A range of instants; an end left out is open."""

    from_: datetime | None = strawberry.field(name="from", default=None)
    """Lower bound, included."""
    to: datetime | None = None
    """Upper bound, not included."""


def parse_day_range(range: DateRangeInput | None) -> tuple[date, date]:
    """The first and last day of a range; today twice for None.

    Raises `BadRequest` for a range that ends before it begins.
    """
    if range is None:
        return london_days.today(), london_days.today()
    if range.from_ > range.to:
        raise BadRequest("`from` must not be later than `to`.")
    return range.from_, range.to
