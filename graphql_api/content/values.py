"""Checks of personalisation: an object of names and scalars or lists of scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from graphql_api.content.problems import Problem
from graphql_api.enums import UserErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PERSONALISATION_KEYS = 1_000
MAX_LIST_ITEMS = 1_000
MAX_NUMBER = 10**20


def check(value: object) -> list[Problem]:
    """Problems of a personalisation object as decoded from JSON; None is an object without values."""
    if value is None:
        return []
    if not isinstance(value, dict):
        return [Problem(UserErrorCode.INVALID, "Personalisation must be an object of names and values.")]
    if len(value) > MAX_PERSONALISATION_KEYS:
        return [
            Problem(UserErrorCode.TOO_LONG, f"Personalisation can have at most {MAX_PERSONALISATION_KEYS:,} values.")
        ]
    return [problem for name, member in value.items() for problem in _entry_problems(name, member)]


def is_storable(text: str) -> bool:
    """Whether PostgreSQL and JSON can hold a text: no NUL, no unpaired surrogate."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def uuid_or_none(value: str | UUID) -> UUID | None:
    """The UUID that a canonical text names, in either case; None for any other text."""
    if isinstance(value, UUID):
        return value
    try:
        uuid = UUID(value)
    except ValueError:
        return None
    return uuid if str(uuid) == value.lower() else None


def _entry_problems(name: object, value: object) -> Iterator[Problem]:
    if not isinstance(name, str) or not is_storable(name):
        yield Problem(UserErrorCode.INVALID, "A name in the personalisation has characters that cannot be stored.")
    elif isinstance(value, list):
        if len(value) > MAX_LIST_ITEMS:
            message = f"A list of values can have at most {MAX_LIST_ITEMS:,} members."
            yield Problem(UserErrorCode.TOO_LONG, message, (name,))
            return
        for index, member in enumerate(value):
            yield from _scalar_problems(member, (name, str(index)))
    else:
        yield from _scalar_problems(value, (name,))


def _scalar_problems(value: object, path: tuple[str, ...]) -> Iterator[Problem]:
    if isinstance(value, str):
        if not is_storable(value):
            yield Problem(UserErrorCode.INVALID, "A value has characters that cannot be stored.", path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < MAX_NUMBER:  # NaN compares as false
            yield Problem(UserErrorCode.OUT_OF_RANGE, "A number is too large.", path)
    elif value is not None and not isinstance(value, bool):
        yield Problem(UserErrorCode.INVALID, "A value must be text, a number, true, false or a list of these.", path)
