"""Days in London, and financial years, which start on 1 April, in terms of the database's naive UTC timestamps."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

LONDON_ZONE = ZoneInfo("Europe/London")
_APRIL = 4


def today() -> date:
    """The current day in London."""
    return datetime.now(LONDON_ZONE).date()


def midnight(day: date) -> datetime:
    """The instant at which a day begins in London, as naive UTC."""
    return datetime.combine(day, time(), LONDON_ZONE).astimezone(UTC).replace(tzinfo=None)


def london_day(moment: datetime) -> date:
    """The London day of an instant in naive UTC."""
    return moment.replace(tzinfo=UTC).astimezone(LONDON_ZONE).date()


def financial_year(day: date) -> int:
    """The financial year of a day, by the calendar year in which it starts."""
    return day.year if day.month >= _APRIL else day.year - 1
