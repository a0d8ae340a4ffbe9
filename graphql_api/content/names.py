"""Names as parts of email addresses and API keys."""

from __future__ import annotations

import re
import unicodedata

_SPACES = re.compile(r"\s+")
_DOTS = re.compile(r"\.{2,}")


def slug(name: str, separator: str = "") -> str:
    """A name as lower-case letters without accents and digits, with `separator` for each run of white space."""
    bare = "".join(
        character for character in unicodedata.normalize("NFD", name) if unicodedata.category(character) != "Mn"
    )
    return "".join(
        character.lower()
        for character in _SPACES.sub(separator, bare.strip())
        if character.isalnum() or character == separator
    )


def local_part(name: str) -> str:
    """A name as the local part of an email address: a slug with dots.

    It is also the form in which names of services must be unique.
    """
    return _DOTS.sub(".", slug(name, ".")).strip(".")


def api_key_prefix(name: str) -> str:
    """A name as the first part of an API key: a slug with underscores."""
    return slug(name, "_").strip("_")


def has_two_alphanumerics(name: str) -> bool:
    """Whether a name has at least two letters or digits, so that its slug is not empty."""
    return sum(character.isalnum() for character in name) > 1
