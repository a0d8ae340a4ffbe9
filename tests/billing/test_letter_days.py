"""When letters are printed and when they arrive."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from graphql_api.billing import letter_days
from graphql_api.enums import Postage


def utc(day: int, hour: int, minute: int = 0, month: int = 6) -> datetime:
    return datetime(2026, month, day, hour, minute)  # noqa: DTZ001 - naive UTC, as the database


@pytest.mark.parametrize(
    ("created_at", "deadline"),
    [
        (utc(1, 16, 29), utc(1, 16, 30)),
        (utc(1, 16, 30), utc(2, 16, 30)),
        (utc(1, 17, 29, month=12), utc(1, 17, 30, month=12)),
        (utc(1, 17, 30, month=12), utc(2, 17, 30, month=12)),
    ],
)
def test_letters_can_be_cancelled_until_half_past_five_in_london(created_at: datetime, deadline: datetime) -> None:
    assert letter_days.print_deadline(created_at) == deadline


@pytest.mark.parametrize(
    ("created_at", "postage", "first", "last"),
    [
        # Monday 1 June 2026.
        (utc(1, 9), Postage.FIRST, (6, 2), (6, 2)),
        (utc(1, 9), Postage.SECOND, (6, 5), (6, 8)),
        (utc(1, 9), Postage.ECONOMY, (6, 5), (6, 10)),
        (utc(1, 9), Postage.EUROPE, (6, 5), (6, 9)),
        (utc(1, 9), Postage.REST_OF_WORLD, (6, 9), (6, 11)),
        # Friday: first class comes on Saturday. Saturday: printed on Monday.
        (utc(5, 9), Postage.FIRST, (6, 6), (6, 6)),
        (utc(6, 9), Postage.FIRST, (6, 9), (6, 9)),
        # Christmas, Boxing Day on a Saturday, and the Monday that stands in for it.
        (utc(24, 9, month=12), Postage.FIRST, (12, 29), (12, 29)),
    ],
)
def test_letters_arrive_after_working_days(
    created_at: datetime, postage: Postage, first: tuple[int, int], last: tuple[int, int]
) -> None:
    assert letter_days.delivery_dates(created_at, postage) == (date(2026, *first), date(2026, *last))


def test_bank_holidays_include_substitute_days() -> None:
    assert sorted(letter_days.bank_holidays(2026)) == [
        date(2026, 1, 1),
        date(2026, 4, 3),
        date(2026, 4, 6),
        date(2026, 5, 4),
        date(2026, 5, 25),
        date(2026, 8, 31),
        date(2026, 12, 25),
        date(2026, 12, 28),
    ]
    # Both days of Christmas at a weekend.
    assert sorted(letter_days.bank_holidays(2027))[-2:] == [date(2027, 12, 27), date(2027, 12, 28)]
    assert date(2024, 3, 29) in letter_days.bank_holidays(2024)
    assert date(2025, 4, 21) in letter_days.bank_holidays(2025)
