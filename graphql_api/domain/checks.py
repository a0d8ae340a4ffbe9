"""Checks of values that several nouns need; each yields the problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql_api.content.names import has_two_alphanumerics
from graphql_api.content.values import is_storable
from graphql_api.enums import UserErrorCode
from graphql_api.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

MAX_TEXT_CHARACTERS = 255
"""Length of most columns of names and addresses."""


def required_name(value: str | None, *path: str) -> Iterator[Invalid]:
    """A name: not blank, and not too long."""
    if (value or "").strip():
        yield from optional_text(value, *path)
    else:
        yield Invalid("Enter a name.", *path, code=UserErrorCode.REQUIRED)


def public_name(value: str | None, *path: str) -> Iterator[Invalid]:
    """A name that recipients see: also with at least two letters or digits."""
    problems = list(required_name(value, *path))
    yield from problems
    if not problems and not has_two_alphanumerics(value or ""):
        yield Invalid("A name needs at least two letters or digits.", *path, code=UserErrorCode.TOO_SHORT)


def optional_text(value: str | None, *path: str, max_characters: int | None = MAX_TEXT_CHARACTERS) -> Iterator[Invalid]:
    """A text or None: not too long, and without characters that PostgreSQL cannot store."""
    if value is None:
        return
    if max_characters is not None and len(value) > max_characters:
        yield Invalid(f"Enter at most {max_characters} characters.", *path, code=UserErrorCode.TOO_LONG)
    if not is_storable(value):
        yield Invalid("The text has characters that cannot be stored.", *path)


def not_null(value: object, *path: str) -> Iterator[Invalid]:
    """A value that can be changed but not set to null."""
    if value is None:
        yield Invalid("This cannot be null: leave it out, or give a value.", *path, code=UserErrorCode.REQUIRED)


def archived_name(value: str, archived_at: datetime) -> str:
    """The name of an archived row, which frees its former name; `archived_at` is naive UTC."""
    return f"_archived_{archived_at:%Y-%m-%d-%H:%M:%S}_{value}"[:MAX_TEXT_CHARACTERS]
