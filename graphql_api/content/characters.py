"""Characters that are pasted into a text without being seen, and tables that remove them."""

from __future__ import annotations

ZERO_WIDTH_CHARACTERS = "\u180e\u200b\u200c\u200d\u2060\ufeff"


def removal_table(characters: str) -> dict[int, None]:
    """A table with which `str.translate` removes these characters."""
    return dict.fromkeys(map(ord, characters))


REMOVE_ZERO_WIDTH = removal_table(ZERO_WIDTH_CHARACTERS)
