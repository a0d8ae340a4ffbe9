"""The scalars DateTime, Date, Decimal and JSON; they refuse values that the database cannot hold."""

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from graphql_api.content.values import is_storable
from graphql_api.errors import BadRequest

JSON = NewType("JSON", object)

MIN_DATETIME, MAX_DATETIME = datetime(1900, 1, 1), datetime(9000, 1, 1)  # noqa: DTZ001 - naive UTC, as the database
MAX_JSON_DEPTH = 16
_HOUR_MINUTE_PATTERN = r"([01]\d|2[0-3]):[0-5]\d"
_DATETIME_PATTERN = re.compile(
    rf"\d{{4}}-\d\d-\d\d[Tt ]{_HOUR_MINUTE_PATTERN}(:[0-5]\d(\.\d{{1,9}})?)?([Zz]|[+-]{_HOUR_MINUTE_PATTERN})", re.ASCII
)
_DATE_PATTERN = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DECIMAL_PATTERN = re.compile(r"-?\d{1,20}(\.\d{1,20})?", re.ASCII)


def _serialize_datetime(value: datetime) -> str:
    return value.isoformat() + "Z"


def _parse_datetime(value: Any) -> datetime:
    if not isinstance(value, str) or not _DATETIME_PATTERN.fullmatch(value):
        raise BadRequest("A DateTime must be in ISO 8601 format with an offset from UTC, such as 2026-04-01T09:30:00Z.")
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise BadRequest("The date or time does not exist.") from error
    if not MIN_DATETIME <= moment <= MAX_DATETIME:
        raise BadRequest("The year is out of range.")
    return moment


def _parse_date(value: Any) -> date:
    if not isinstance(value, str) or not _DATE_PATTERN.fullmatch(value):
        raise BadRequest("A Date must be in the format YYYY-MM-DD.")
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise BadRequest("The date does not exist.") from error
    if not MIN_DATETIME.date() <= day <= MAX_DATETIME.date():
        raise BadRequest("The year is out of range.")
    return day


def _parse_decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not _DECIMAL_PATTERN.fullmatch(str(value)):
        raise BadRequest("A Decimal must be digits with an optional decimal point, such as 0.0240.")
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise BadRequest("The value is not a decimal number.") from error


def _parse_json(value: Any) -> Any:
    _check_json(value, 0)
    return value


def _check_json(value: Any, depth: int) -> None:
    if depth > MAX_JSON_DEPTH:
        raise BadRequest(f"JSON values must be nested at most {MAX_JSON_DEPTH} levels deep.")
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise BadRequest("JSON numbers must be finite.")
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key)
            _check_json(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_json(item, depth + 1)


def check_text(value: str) -> None:
    """Raise `BadRequest` for text that PostgreSQL cannot hold: with NUL or lone surrogates."""
    if not is_storable(value):
        raise BadRequest("Text must not contain NUL or an unpaired surrogate.")


SCALARS: dict[object, ScalarDefinition] = {
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value, used where the keys are the caller's own, as in personalisation.",
        serialize=lambda value: value,
        parse_value=_parse_json,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="Instant in UTC, ISO 8601.",
        serialize=_serialize_datetime,
        parse_value=_parse_datetime,
    ),
    date: strawberry.scalar(
        name="Date",
        description="Calendar day, YYYY-MM-DD; a London day wherever it bounds a statistic or a bill.",
        serialize=date.isoformat,
        parse_value=_parse_date,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description="Exact decimal number, carried as a string.",
        serialize=str,
        parse_value=_parse_decimal,
    ),
}
