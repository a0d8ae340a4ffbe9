"""Names made plain, where an address or a key has to be built from one."""

from __future__ import annotations

import re
import unicodedata

_SPACES = re.compile(r"\s+")
_DOTS = re.compile(r"\.{2,}")


def local_part(name: str) -> str:
    """A name as the local part of an email address: lower-case letters without accents and digits, spaces as dots.

    By this form, too, two services may not be called the same.
    """
    return _DOTS.sub(".", _plain(name, ".")).strip(".")


def label(name: str) -> str:
    """A name as the first part of an API key's text: as `local_part`, with underscores."""
    return _plain(name, "_").strip("_")


def has_two_letters(name: str) -> bool:
    """Whether a name has two letters or digits, so that something is left of it once it is made plain."""
    return sum(character.isalnum() for character in name) > 1


def _plain(name: str, space: str) -> str:
    bare = "".join(one for one in unicodedata.normalize("NFD", name) if unicodedata.category(one) != "Mn")
    return "".join(one.lower() for one in _SPACES.sub(space, bare.strip()) if one.isalnum() or one == space)
