"""Text messages: normalisation, encoding, and the number of fragments."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from graphql_api.content.characters import REMOVE_ZERO_WIDTH, ZERO_WIDTH_CHARACTERS
from graphql_api.enums import SmsEncoding

MAX_CHARACTERS = 918
"Maximum length of a text message without its prefix: six fragments of 153."
GSM7_SINGLE_FRAGMENT_SEPTETS, GSM7_CONCATENATED_FRAGMENT_SEPTETS = 160, 153
UCS2_SINGLE_FRAGMENT_CODE_UNITS, UCS2_CONCATENATED_FRAGMENT_CODE_UNITS = 70, 67

GSM7_BASIC_CHARACTERS = frozenset(
    "@£$¥èéùìòÇ\nØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"The GSM 7-bit default alphabet, without carriage return and escape."
GSM7_EXTENSION_CHARACTERS = frozenset("^{}\\[~]|€")
"The GSM 7-bit extension table; each character takes two septets."
WELSH_UCS2_CHARACTERS = frozenset("ÀÁÂÄÈÉÊËÌÍÎÏÒÓÔÖÙÚÛÜẀẂẄŴỲÝŸŶàáâäèéêëìíîïòóôöùúûüẁẃẅŵỳýÿŷ") - GSM7_BASIC_CHARACTERS
"Letters of Welsh outside the GSM 7-bit alphabet; any of them makes the message UCS-2."

_GSM7_CHARACTERS = GSM7_BASIC_CHARACTERS | GSM7_EXTENSION_CHARACTERS
_SUPPORTED_CHARACTERS = _GSM7_CHARACTERS | WELSH_UCS2_CHARACTERS
_REPLACEMENTS = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032`\u00b4", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys(ZERO_WIDTH_CHARACTERS + "\u00ad\u2028\u2029", ""),
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
_TWO_SEPTET_CHARACTER = re.compile(f"[{re.escape(''.join(sorted(GSM7_EXTENSION_CHARACTERS)))}]")
_ALREADY_TIDY = re.compile(r"[!-~]++(?:[ \n][!-~]++)*+")


def _replacement_for(character: str) -> str:
    if character in _SUPPORTED_CHARACTERS:
        return character
    if character in _REPLACEMENTS:
        return _REPLACEMENTS[character]
    if unicodedata.category(character).startswith("M"):
        return ""
    base = unicodedata.normalize("NFD", character)[0]
    return base if base in _GSM7_CHARACTERS else "?"


class _ReplacementTable(dict[int, str]):
    """A table for `str.translate`, filled on use."""

    def __missing__(self, code: int) -> str:
        replacement = _replacement_for(chr(code))
        if code < 0x2100:  # noqa: PLR2004 - bounds the table: symbols, ideographs and emoji are not stored
            self[code] = replacement
        return replacement


_REPLACEMENT_TABLE = _ReplacementTable()


class ReplacedCharacter(NamedTuple):
    """A character outside the alphabet, and its replacement."""

    original: str
    replacement: str


class SmsCount(NamedTuple):
    """Length, encoding and fragments of a text message."""

    character_count: int
    "Without the prefix; characters of the extension table count once."
    character_limit: int
    encoding: SmsEncoding
    fragment_count: int
    "Of the message with its prefix."
    replaced_characters: tuple[ReplacedCharacter, ...] = ()


def tidy(text: str) -> str:
    """Collapse spaces, keep at most one empty line, trim, and remove spaces before full stops and commas."""
    if text.isascii():
        if _ALREADY_TIDY.fullmatch(text) and " ." not in text and " ," not in text:
            return text
    else:
        text = unicodedata.normalize("NFC", text.translate(REMOVE_ZERO_WIDTH))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return _SPACES_BEFORE_PUNCTUATION.sub("", _MANY_NEWLINES.sub("\n\n", "\n".join(lines))).strip()


def replace_unsupported(text: str) -> str:
    """Replace characters outside the alphabet by the nearest plain ones, or `?`."""
    return text if _SUPPORTED_CHARACTERS.issuperset(text) else text.translate(_REPLACEMENT_TABLE)


def find_replaced_characters(text: str) -> tuple[ReplacedCharacter, ...]:
    """The visible characters that `replace_unsupported` changes, each once, by first appearance."""
    if _SUPPORTED_CHARACTERS.issuperset(text):
        return ()
    pairs = (ReplacedCharacter(character, _REPLACEMENT_TABLE[ord(character)]) for character in dict.fromkeys(text))
    return tuple(pair for pair in pairs if pair.replacement and pair.replacement != pair.original)


def add_prefix(content: str, prefix: str | None) -> str:
    """Put the service's name before a content that is tidied and in the alphabet."""
    if not prefix:
        return content
    space = "" if content[:1] in {"", ".", ","} else " "
    return f"{_format_prefix(prefix)}{space}{content}"


@lru_cache(maxsize=64)
def _format_prefix(prefix: str) -> str:
    return replace_unsupported(tidy(f"{prefix.strip()}:"))


def count_fragments(sent: str) -> tuple[SmsEncoding, int]:
    """Encoding and number of fragments of a text that is tidied and in the alphabet."""
    length = len(sent)
    if not sent.isascii() and not WELSH_UCS2_CHARACTERS.isdisjoint(sent):
        return SmsEncoding.UCS2, 1 if length <= UCS2_SINGLE_FRAGMENT_CODE_UNITS else -(
            -length // UCS2_CONCATENATED_FRAGMENT_CODE_UNITS
        )
    length += len(_TWO_SEPTET_CHARACTER.findall(sent))
    return SmsEncoding.GSM7, 1 if length <= GSM7_SINGLE_FRAGMENT_SEPTETS else -(
        -length // GSM7_CONCATENATED_FRAGMENT_SEPTETS
    )


def count(text: str, prefix: str | None = None) -> SmsCount:
    """Count a text message as it would be sent; placeholders without values count as written."""
    return measure(text, prefix)[1]


def measure(text: str, prefix: str | None = None) -> tuple[str, SmsCount]:
    """A text message as it would be sent, with its prefix, and its count."""
    tidied = tidy(text)
    content = replace_unsupported(tidied)
    replaced_characters = () if content is tidied else find_replaced_characters(tidied)
    sent = add_prefix(content, prefix)
    encoding, fragment_count = count_fragments(sent)
    return sent, SmsCount(len(content), MAX_CHARACTERS, encoding, fragment_count, replaced_characters)
