"""Typography: curly quotes, en dashes, no space before commas and full stops."""

from __future__ import annotations

import re

_SPACED_HYPHEN = re.compile(r"(?<![ \t])[ \t]++[-\u2013\u2014]{1,3}+[ \t]++")
_SPACE_BEFORE_PUNCTUATION = re.compile(r"(?<![ \t])[ \t]++(?=[.,])")
_SITE_NAME = re.compile(r"(?<!\S)(GOV)\.(UK)(?![/?#])", re.IGNORECASE)
_TYPOGRAPHIC_CHARACTER = re.compile(r"[-\u2013\u2014.,\"']")
_QUOTE = re.compile(r"[\"']")
_WHITESPACE = re.compile(r"(\s+)")
_CHARACTERS_BEFORE_OPENING_QUOTE = frozenset(" \t\n\u00a0([{-\u2013\u2014\u2018\u201c/")


def tidy(text: str, preceding: str = "") -> str:
    """Tidy a text without links; `preceding` is the text before it on the line."""
    if not _TYPOGRAPHIC_CHARACTER.search(text):
        return text
    return curl_quotes(_SPACE_BEFORE_PUNCTUATION.sub("", _SPACED_HYPHEN.sub(" \u2013 ", text)), preceding)


def prevent_autolink(text: str) -> str:
    """Insert a zero-width space into GOV.UK, so that mail clients do not make it a link."""
    return _SITE_NAME.sub("\\1.\u200b\\2", text) if "." in text else text


def curl_quotes(text: str, preceding: str = "") -> str:
    """Curl straight quotes, except inside email addresses."""
    if '"' not in text and "'" not in text:
        return text
    curled = []
    for word in _WHITESPACE.split(text):
        if "@" in word or not word:
            curled.append(word)
        else:
            curled.append(_curl_word(word, preceding))
        preceding = word[-1:] or preceding
    return "".join(curled)


def _curl_word(word: str, preceding: str) -> str:
    parts: list[str] = []
    position = 0
    for match in _QUOTE.finditer(word):
        parts.append(word[position : match.start()])
        previous = (parts[-1] or (parts[-2] if len(parts) > 1 else preceding))[-1:]
        opens = not previous or previous in _CHARACTERS_BEFORE_OPENING_QUOTE
        following = word[match.end() : match.end() + 1]
        if match[0] == '"':
            parts.append("\u201c" if opens else "\u201d")
        else:
            # Before a digit it is an apostrophe for what is left out, as in '90s.
            parts.append("\u2018" if opens and following and not following.isdigit() else "\u2019")
        position = match.end()
    return "".join(parts) + word[position:]
