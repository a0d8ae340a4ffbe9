"""The ((placeholders)) of a text: finding them, and filling them with values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql_api.content.characters import REMOVE_ZERO_WIDTH, ZERO_WIDTH_CHARACTERS, removal_table
from graphql_api.enums import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ADDRESS_COLUMNS = (*(f"addressline{number}" for number in range(1, 8)), "postcode")
RECIPIENT_COLUMNS = {
    Channel.SMS: ("phonenumber",),
    Channel.EMAIL: ("emailaddress",),
    Channel.LETTER: ADDRESS_COLUMNS,
}
"Normalised names under which the values of a list's row say whom it is for; they can be placeholders too."

TRUTHY_VALUES = frozenset({"yes", "y", "true", "t", "1", "include", "show"})

_PLACEHOLDER = re.compile(r"\(\(([^()]++)\)\)")
_WHITESPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_REMOVE_IGNORED_IN_NAMES = removal_table(ZERO_WIDTH_CHARACTERS + _WHITESPACE + "_-")


class Placeholder(NamedTuple):
    """A gap in a template, as its author sees it."""

    name: str
    "As first spelled in the template."
    conditional: bool
    "True for ((name??text)), whose text appears when the value means yes."
    conditional_text: str | None
    "What stands after the first ??; null for a plain one."
    in_subject: bool


class PlaceholderOccurrence(NamedTuple):
    """One place in a text that a value fills."""

    name: str
    key: str
    conditional_text: str | None
    source: str


def normalise(name: str) -> str:
    """Give the form in which names are compared: lower case, without white space, `_` and `-`."""
    return name.translate(_REMOVE_IGNORED_IN_NAMES).lower()


def is_truthy(value: object) -> bool:
    """Tell whether a value switches a conditional on."""
    return str(value).lower() in TRUTHY_VALUES


def find(body: str, subject: str | None = None) -> list[Placeholder]:
    """List the placeholders of a template, each name once, by first appearance, subject before body."""
    found: dict[str, Placeholder] = {}
    for source, in_subject in ((subject or "", True), (body, False)):
        for gap in TemplateText(source).occurrences:
            placeholder = Placeholder(gap.name, gap.conditional_text is not None, gap.conditional_text, in_subject)
            found.setdefault(gap.key, placeholder)
    return list(found.values())


class Personalisation:
    """Values by name, whatever the case, spaces, hyphens and underscores of the name; the last of one name wins."""

    __slots__ = ("by_key", "names")

    def __init__(self, personalisation: Mapping[str, Any] | None = None) -> None:
        """Take a personalisation object as the caller sent it."""
        self.by_key: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        for name, value in (personalisation or {}).items():
            key = normalise(name)
            self.by_key[key] = value
            self.names.setdefault(key, name)

    def unused(self, keys: Iterable[str]) -> list[str]:
        """Name the values that none of these normalised names asks for, as the caller spelled them."""
        wanted = set(keys)
        return [name for key, name in self.names.items() if key not in wanted]


def list_items(value: list[Any] | tuple[Any, ...]) -> list[str]:
    """Give the members of a list value as text, blank ones dropped."""
    texts = (str(member).translate(REMOVE_ZERO_WIDTH).strip() for member in value if member is not None)
    return [text for text in texts if text]


def format_inline_list(value: list[Any] | tuple[Any, ...]) -> str:
    """Write a list as "a, b and c"."""
    *firsts, last = list_items(value) or [""]
    return f"{', '.join(firsts)} and {last}" if firsts else last


def format_bullet_list(value: list[Any] | tuple[Any, ...]) -> str:
    """Write a list as bullets of email markup, which need an empty line before them."""
    texts = list_items(value)
    return "\n\n" + "\n".join(f"* {text}" for text in texts) if texts else ""


class TemplateText:
    """A text cut once at its placeholders, to be filled many times."""

    __slots__ = ("names_by_key", "occurrences", "parts")

    def __init__(self, source: str) -> None:
        """Cut a text."""
        self.parts: list[str | PlaceholderOccurrence] = []
        self.occurrences: list[PlaceholderOccurrence] = []
        for index, part in enumerate(_PLACEHOLDER.split(source)):
            if index % 2:
                name, mark, conditional_text = part.partition("??")
                gap = PlaceholderOccurrence(name, normalise(name), conditional_text if mark else None, f"(({part}))")
                self.occurrences.append(gap)
                self.parts.append(gap)
            elif part:
                self.parts.append(part)
        self.names_by_key: dict[str, str] = {}
        for gap in self.occurrences:
            self.names_by_key.setdefault(gap.key, gap.name)

    def fill(
        self, by_key: Mapping[str, Any], format_list: Callable[[list[Any] | tuple[Any, ...]], str] = format_inline_list
    ) -> str:
        """Put in values by normalised name; where there is none the placeholder stays as it is written."""
        filled = []
        for piece in self.parts:
            if isinstance(piece, str):
                filled.append(piece)
                continue
            value = by_key.get(piece.key)
            if value is None:
                filled.append(piece.source)
            elif piece.conditional_text is not None:
                filled.append(piece.conditional_text if is_truthy(value) else "")
            elif isinstance(value, list | tuple):
                filled.append(format_list(value))
            else:
                filled.append(value if isinstance(value, str) else str(value))
        return "".join(filled)
