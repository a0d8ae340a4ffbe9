"""Phone numbers that Ofcom reserves for drama, 07700 900000 to 07700 900999; `number` is the last three digits."""

from __future__ import annotations

_TYPED_FORMATS = ("07700900{:03}", "07700 900{:03}", "+447700900{:03}", "07700 900 {:03}")


def normalised(number: int) -> str:
    """The number as messages store it for search."""
    return f"447700900{number:03}"


def e164(number: int) -> str:
    """The number as users' rows store it."""
    return f"+{normalised(number)}"


def typed(number: int) -> str:
    """The number in one of the formats that people type."""
    return _TYPED_FORMATS[number % len(_TYPED_FORMATS)].format(number)
