"""The ((placeholders)) of a text, and filling them with values."""

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
"Normalised names of the columns of the recipient in a list; they can be placeholders too."

TRUTHY_VALUES = frozenset({"yes", "y", "true", "t", "1", "include", "show"})

_PLACEHOLDER = re.compile(r"\(\(([^()]++)\)\)")
_WHITESPACE = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
_REMOVE_IGNORED_IN_NAMES = removal_table(ZERO_WIDTH_CHARACTERS + _WHITESPACE + "_-")


class Placeholder(NamedTuple):
    """A placeholder of a template."""

    name: str
    "As first written in the template."
    conditional: bool
    "True for ((name??text)), whose text is shown when the value is truthy."
    conditional_text: str | None
    "The text after the first ??; None for other placeholders."
    in_subject: bool


class PlaceholderOccurrence(NamedTuple):
    """An occurrence of a placeholder in a text."""

    name: str
    key: str
    conditional_text: str | None
    source: str


def normalise(name: str) -> str:
    """The form in which names are compared: lower case, without white space, `_` and `-`."""
    return name.translate(_REMOVE_IGNORED_IN_NAMES).lower()


def is_truthy(value: object) -> bool:
    """Whether a value shows the text of a conditional placeholder."""
    return str(value).lower() in TRUTHY_VALUES


def find(body: str, subject: str | None = None) -> list[Placeholder]:
    """The placeholders of a template, each name once, by first appearance, subject before body."""
    by_key: dict[str, Placeholder] = {}
    for source, in_subject in ((subject or "", True), (body, False)):
        for occurrence in TemplateText(source).occurrences:
            placeholder = Placeholder(
                occurrence.name, occurrence.conditional_text is not None, occurrence.conditional_text, in_subject
            )
            by_key.setdefault(occurrence.key, placeholder)
    return list(by_key.values())


class Personalisation:
    """Values by normalised name; of several values with the same normalised name the last one counts."""

    __slots__ = ("by_key", "names")

    def __init__(self, personalisation: Mapping[str, Any] | None = None) -> None:
        self.by_key: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        for name, value in (personalisation or {}).items():
            key = normalise(name)
            self.by_key[key] = value
            self.names.setdefault(key, name)

    def unused(self, keys: Iterable[str]) -> list[str]:
        """Names, as the caller wrote them, of the values that are not among these normalised names."""
        used = set(keys)
        return [name for key, name in self.names.items() if key not in used]


def list_items(value: list[Any] | tuple[Any, ...]) -> list[str]:
    """The members of a list as text, without blank ones."""
    texts = (str(member).translate(REMOVE_ZERO_WIDTH).strip() for member in value if member is not None)
    return [text for text in texts if text]


def format_inline_list(value: list[Any] | tuple[Any, ...]) -> str:
    """A list as "a, b and c"."""
    *firsts, last = list_items(value) or [""]
    return f"{', '.join(firsts)} and {last}" if firsts else last


def format_bullet_list(value: list[Any] | tuple[Any, ...]) -> str:
    """A list as bullets of markup, which need an empty line before them."""
    texts = list_items(value)
    return "\n\n" + "\n".join(f"* {text}" for text in texts) if texts else ""


class TemplateText:
    """A text split once at its placeholders, to be filled many times."""

    __slots__ = ("names_by_key", "occurrences", "parts")

    def __init__(self, source: str) -> None:
        self.parts: list[str | PlaceholderOccurrence] = []
        self.occurrences: list[PlaceholderOccurrence] = []
        for index, part in enumerate(_PLACEHOLDER.split(source)):
            if index % 2:
                name, mark, conditional_text = part.partition("??")
                occurrence = PlaceholderOccurrence(
                    name, normalise(name), conditional_text if mark else None, f"(({part}))"
                )
                self.occurrences.append(occurrence)
                self.parts.append(occurrence)
            elif part:
                self.parts.append(part)
        self.names_by_key: dict[str, str] = {}
        for occurrence in self.occurrences:
            self.names_by_key.setdefault(occurrence.key, occurrence.name)

    def fill(
        self, by_key: Mapping[str, Any], format_list: Callable[[list[Any] | tuple[Any, ...]], str] = format_inline_list
    ) -> str:
        """The text with values by normalised name; a placeholder without a value stays as written."""
        filled = []
        for part in self.parts:
            if isinstance(part, str):
                filled.append(part)
                continue
            value = by_key.get(part.key)
            if value is None:
                filled.append(part.source)
            elif part.conditional_text is not None:
                filled.append(part.conditional_text if is_truthy(value) else "")
            elif isinstance(value, list | tuple):
                filled.append(format_list(value))
            else:
                filled.append(value if isinstance(value, str) else str(value))
        return "".join(filled)
