"""Scalars refuse values that the database cannot hold, and write standard formats."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from graphql_api.errors import BadRequest
from schema.core import JSON, SCALARS


def read(kind: object, value: Any) -> Any:
    """The parsed value of a scalar."""
    parse = SCALARS[kind].parse_value
    assert parse is not None
    return parse(value)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-04-01T09:30:00Z", datetime(2026, 4, 1, 9, 30)),  # noqa: DTZ001 - naive UTC, as the database
        ("2026-04-01T09:30:00+01:00", datetime(2026, 4, 1, 8, 30)),  # noqa: DTZ001
        ("2026-04-01T09:30:00.123456Z", datetime(2026, 4, 1, 9, 30, 0, 123456)),  # noqa: DTZ001
        ("2026-04-01T09:30-05:00", datetime(2026, 4, 1, 14, 30)),  # noqa: DTZ001
    ],
)
def test_an_instant_is_kept_in_utc(sent: str, stored: datetime) -> None:
    assert read(datetime, sent) == stored


@pytest.mark.parametrize(
    "sent",
    [
        "2026-04-01T09:30:00",
        "2026-04-01",
        "2026-02-30T00:00:00Z",
        "2026-04-01T24:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "٢٠٢٦-04-01T09:30:00Z",
        1,
        None,
        [],
    ],
    ids=repr,
)
def test_a_malformed_datetime_is_refused(sent: Any) -> None:
    with pytest.raises(BadRequest):
        read(datetime, sent)


def test_an_instant_is_written_with_its_zone() -> None:
    written = SCALARS[datetime].serialize

    assert written is not None
    assert written(datetime(2026, 4, 1, 9, 30, 0, 5)) == "2026-04-01T09:30:00.000005Z"  # noqa: DTZ001


def test_a_day_is_a_day() -> None:
    assert read(date, "2026-10-25") == date(2026, 10, 25)


@pytest.mark.parametrize("sent", ["2026-02-30", "26-1-1", "2026-10-25T00:00:00Z", 20261025, "0001-01-01"], ids=repr)
def test_a_malformed_date_is_refused(sent: Any) -> None:
    with pytest.raises(BadRequest):
        read(date, sent)


@pytest.mark.parametrize("sent", ["0.0240", "12", "-3.5"])
def test_a_decimal_keeps_its_digits(sent: str) -> None:
    assert str(read(Decimal, sent)) == sent


@pytest.mark.parametrize("sent", ["NaN", "sNaN", "Infinity", "1E+999999999", "١٢", "", "1,5", True, "1" * 21], ids=repr)
def test_a_malformed_decimal_is_refused(sent: Any) -> None:
    with pytest.raises(BadRequest):
        read(Decimal, sent)


def nested(depth: int) -> Any:
    """Nested lists of this depth."""
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


def test_json_is_taken_as_it_is() -> None:
    value = {"name": "Zoë 🎉", "days": ["Monday", 1, 2.5, None, True], "deep": nested(14)}

    assert read(JSON, value) == value


@pytest.mark.parametrize(
    "sent",
    [{"a": "x\0y"}, {"a\0": 1}, {"a": "\ud800"}, {"a": float("inf")}, {"a": float("nan")}, nested(17)],
    ids=["NUL", "NUL in a key", "half a pair", "infinity", "NaN", "too deep"],
)
def test_json_that_cannot_be_stored_is_refused(sent: Any) -> None:
    with pytest.raises(BadRequest):
        read(JSON, sent)
