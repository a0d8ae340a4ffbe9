"""What a text message looks like on a phone, in which alphabet it goes and how many fragments it costs."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from graphql_api.content.placeholders import ZERO_WIDTH
from graphql_api.enums import SmsEncoding

CHARACTER_LIMIT = 918
"Characters a text message may have without its prefix: six fragments of 153."
ONE_7_BIT, PART_7_BIT = 160, 153
"Places in a message of one 7-bit fragment, and in each fragment of a longer one."
ONE_16_BIT, PART_16_BIT = 70, 67

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"The GSM 7-bit alphabet; carriage return and escape, which nobody can type, are left out."
EXTENSION = frozenset("^{}\\[~]|€")
"Characters that take two places of the 7-bit alphabet."
WELSH = frozenset("ÀÁÂÄÈÉÊËÌÍÎÏÒÓÔÖÙÚÛÜẀẂẄŴỲÝŸŶàáâäèéêëìíîïòóôöùúûüẁẃẅŵỳýÿŷ") - BASIC
"Letters of Welsh outside the 7-bit alphabet: one of them makes the whole message 16-bit."

_SEVEN_BIT = BASIC | EXTENSION
_KEPT = _SEVEN_BIT | WELSH
_PLAIN_FORMS = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032`\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys(ZERO_WIDTH + "\u00ad\u2028\u2029", ""),
    "\u2026": "...",
    "\u2022": "-",
    "Đ": "D",
    "đ": "d",
    "Ħ": "H",
    "ħ": "h",
    "\u0131": "i",
    "Ł": "L",
    "ł": "l",
    "Ŧ": "T",
    "ŧ": "t",
}
_SPACES_BEFORE_PUNCTUATION = re.compile(r" +(?=[.,])")
_MANY_NEWLINES = re.compile(r"\n{3,}")
_WITHOUT_WIDTH = dict.fromkeys(map(ord, ZERO_WIDTH))
_TWO_PLACES = re.compile(f"[{re.escape(''.join(sorted(EXTENSION)))}]")
_TIDY = re.compile(r"[!-~]++(?:[ \n][!-~]++)*+")


def _plain_form(character: str) -> str:
    if character in _KEPT:
        return character
    if character in _PLAIN_FORMS:
        return _PLAIN_FORMS[character]
    if unicodedata.category(character).startswith("M"):
        return ""
    base = unicodedata.normalize("NFD", character)[0]
    return base if base in _SEVEN_BIT else "?"


class _PlainForms(dict[int, str]):
    """A table for `str.translate` that learns as it goes, up to the letters in common use."""

    def __missing__(self, code: int) -> str:
        form = _plain_form(chr(code))
        if code < 0x2100:  # noqa: PLR2004 - bounds the table: above it are signs, ideographs and emoji
            self[code] = form
        return form


_FORMS = _PlainForms()


class ReplacedCharacter(NamedTuple):
    """A character outside the alphabet, and what stands in for it."""

    original: str
    replacement: str


class SmsCount(NamedTuple):
    """How long a text message is."""

    character_count: int
    "Without the prefix; extension characters count once."
    character_limit: int
    encoding: SmsEncoding
    fragment_count: int
    "With the prefix."
    replaced_characters: tuple[ReplacedCharacter, ...] = ()


def tidy(text: str) -> str:
    """Collapse spaces, keep at most one empty line, trim, and take away spaces before full stops and commas."""
    if text.isascii():
        if _TIDY.fullmatch(text) and " ." not in text and " ," not in text:
            return text
    else:
        text = unicodedata.normalize("NFC", text.translate(_WITHOUT_WIDTH))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return _SPACES_BEFORE_PUNCTUATION.sub("", _MANY_NEWLINES.sub("\n\n", "\n".join(lines))).strip()


def downgrade(text: str) -> str:
    """Swap what the alphabet lacks for the nearest plain character, `?` if there is none."""
    return text if _KEPT.issuperset(text) else text.translate(_FORMS)


def replaced(text: str) -> tuple[ReplacedCharacter, ...]:
    """List the visible characters that `downgrade` changes, each once, by first appearance."""
    if _KEPT.issuperset(text):
        return ()
    forms = ((character, _FORMS[ord(character)]) for character in dict.fromkeys(text))
    return tuple(ReplacedCharacter(character, form) for character, form in forms if form and form != character)


def with_prefix(content: str, prefix: str | None) -> str:
    """Put the service's name in front of a content already tidied and downgraded."""
    if not prefix:
        return content
    space = "" if content[:1] in {"", ".", ","} else " "
    return f"{_prefix(prefix)}{space}{content}"


@lru_cache(maxsize=64)
def _prefix(prefix: str) -> str:
    return downgrade(tidy(f"{prefix.strip()}:"))


def fragments(sent: str) -> tuple[SmsEncoding, int]:
    """Tell the alphabet of a text already tidied and downgraded, and the fragments it takes."""
    length = len(sent)
    if not sent.isascii() and not WELSH.isdisjoint(sent):
        return SmsEncoding.UCS2, 1 if length <= ONE_16_BIT else -(-length // PART_16_BIT)
    length += len(_TWO_PLACES.findall(sent))
    return SmsEncoding.GSM7, 1 if length <= ONE_7_BIT else -(-length // PART_7_BIT)


def count(text: str, prefix: str | None = None) -> SmsCount:
    """Count a text message as it would be sent; placeholders left in it count as they are written."""
    return measure(text, prefix)[1]


def measure(text: str, prefix: str | None = None) -> tuple[str, SmsCount]:
    """Give the text of a message as it would be sent, prefix included, and its count."""
    tidied = tidy(text)
    content = downgrade(tidied)
    replaced_characters = () if content is tidied else replaced(tidied)
    sent = with_prefix(content, prefix)
    encoding, fragment_count = fragments(sent)
    return sent, SmsCount(len(content), CHARACTER_LIMIT, encoding, fragment_count, replaced_characters)
