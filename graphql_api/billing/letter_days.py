"""Days on which letters are printed and delivered: working days of England and Wales, by London time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from graphql_api.billing import london_days
from graphql_api.enums import Postage

PRINT_DEADLINE_TIME = time(17, 30)
"""London time of the daily print run."""

TRANSIT_WORKING_DAYS = {
    Postage.FIRST: (0, 0),
    Postage.SECOND: (3, 4),
    Postage.ECONOMY: (3, 6),
    Postage.EUROPE: (3, 5),
    Postage.REST_OF_WORLD: (5, 7),
}
"""Whole working days between printing and delivery, at least and at most."""

_FIXED_HOLIDAYS = ((1, 1), (12, 25), (12, 26))
_SATURDAY, _SUNDAY = 5, 6
_DAY = timedelta(days=1)


def print_day(created_at: datetime) -> date:
    """The day of a letter's print run: its own, or the next after the deadline; `created_at` is naive UTC."""
    local = created_at.replace(tzinfo=UTC).astimezone(london_days.LONDON_ZONE)
    return local.date() if local.time() < PRINT_DEADLINE_TIME else local.date() + _DAY


def print_deadline(created_at: datetime) -> datetime:
    """The time after which a letter cannot be cancelled, as naive UTC."""
    deadline = datetime.combine(print_day(created_at), PRINT_DEADLINE_TIME, london_days.LONDON_ZONE)
    return deadline.astimezone(UTC).replace(tzinfo=None)


def delivery_dates(created_at: datetime, postage: Postage) -> tuple[date, date]:
    """The first and the last day on which a letter should be delivered; `created_at` is naive UTC."""
    printed = print_day(created_at)
    if not _is_working_day(printed):
        printed = _add_working_days(printed, 1)
    if postage is Postage.FIRST:
        # First class is delivered on Saturdays too.
        arrives = printed + _DAY
        while arrives.weekday() == _SUNDAY or _is_holiday(arrives):
            arrives += _DAY
        return arrives, arrives
    soonest, latest = TRANSIT_WORKING_DAYS[postage]
    return _add_working_days(printed, soonest + 1), _add_working_days(printed, latest + 1)


def _add_working_days(day: date, working_days: int) -> date:
    while working_days:
        day += _DAY
        working_days -= _is_working_day(day)
    return day


def _is_holiday(day: date) -> bool:
    """Whether no post is delivered: on bank holidays, and on fixed holidays that have a substitute day."""
    return (day.month, day.day) in _FIXED_HOLIDAYS or day in bank_holidays(day.year)


def _is_working_day(day: date) -> bool:
    return day.weekday() < _SATURDAY and day not in bank_holidays(day.year)


@lru_cache(maxsize=32)
def bank_holidays(year: int) -> frozenset[date]:
    """Yearly bank holidays of England and Wales, with the substitute days of those on weekends."""
    easter = _easter_sunday(year)
    days = {
        easter - 2 * _DAY,
        easter + _DAY,
        _first_monday_from(date(year, 5, 1)),
        _first_monday_from(date(year, 5, 25)),
        _first_monday_from(date(year, 8, 25)),
    }
    for fixed in _FIXED_HOLIDAYS:
        day = date(year, *fixed)
        while day.weekday() >= _SATURDAY or day in days:
            day += _DAY
        days.add(day)
    return frozenset(days)


def _first_monday_from(day: date) -> date:
    """The first Monday on or after a day."""
    return day + timedelta(days=-day.weekday() % 7)


def _easter_sunday(year: int) -> date:
    """Easter Sunday, by the anonymous Gregorian algorithm."""
    golden, century = year % 19, year // 100
    moon = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    moon -= (moon // 28) * (1 - (moon // 28) * (29 // (moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    offset = moon - weekday
    month = 3 + (offset + 40) // 44
    return date(year, month, offset + 28 - 31 * (month // 4))
