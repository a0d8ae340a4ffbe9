"""Checks that many nouns need of a text, each answering what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql_api.content.names import has_two_letters
from graphql_api.content.values import is_storable
from graphql_api.enums import UserErrorCode
from graphql_api.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

LONGEST = 255
"""Characters of most names and addresses."""


def label(value: str | None, *path: str) -> Iterator[Invalid]:
    """A name: there, and not too long."""
    if (value or "").strip():
        yield from text(value, *path)
    else:
        yield Invalid("Enter a name.", *path, code=UserErrorCode.REQUIRED)


def name(value: str | None, *path: str) -> Iterator[Invalid]:
    """A name of something that the public sees: a name, with two letters or digits."""
    problems = list(label(value, *path))
    yield from problems
    if not problems and not has_two_letters(value or ""):
        yield Invalid("A name needs at least two letters or digits.", *path, code=UserErrorCode.TOO_SHORT)


def text(value: str | None, *path: str, longest: int | None = LONGEST) -> Iterator[Invalid]:
    """A text that may be missing: not too long, and nothing in it that the database cannot hold."""
    if value is None:
        return
    if longest is not None and len(value) > longest:
        yield Invalid(f"Enter at most {longest} characters.", *path, code=UserErrorCode.TOO_LONG)
    if not is_storable(value):
        yield Invalid("The text has characters that cannot be stored.", *path)


def given(value: object, *path: str) -> Iterator[Invalid]:
    """A value that can be changed but not cleared."""
    if value is None:
        yield Invalid("This cannot be cleared: leave it out, or give a value.", *path, code=UserErrorCode.REQUIRED)


def archived_name(value: str, at: datetime) -> str:
    """The name of what was archived, which frees the name it had; `at` is naive UTC."""
    return f"_archived_{at:%Y-%m-%d-%H:%M:%S}_{value}"[:LONGEST]
