"""The markup of emails and letters, parsed in one pass over its lines without backtracking, in linear time."""

from __future__ import annotations

import re
from typing import NamedTuple

from graphql_api.content.characters import ZERO_WIDTH_CHARACTERS

_LINE_ENDS = re.compile(r"\r\n?|\n")
_TRIMMED_LINE_CHARACTERS = " \t\u00a0\u202f" + ZERO_WIDTH_CHARACTERS
_RULE = re.compile(r"-{3,}+")
_HEADING = re.compile(r"(#{1,6}+)[ \t]*+([^ \t#].*)")
_BULLET = re.compile(r"([*•-])(?!\1)[ \t]*+(.+)")
_NUMBER = re.compile(r"[0-9]{1,9}+\.(?![0-9])[ \t]*+(.+)")
_LINK = re.compile(
    r"\[([^\[\]\n]++)\]\(((?:https?://(?=\w|\(\()|mailto:|tel:)(?:[^\s()<>\"]|\((?:[^\s()<>\"]|\([^\s()<>\"]*+\))*+\))++)\)"
    r"|(https?://(?=\w|\(\()[^\s<>\"]++)",
    re.IGNORECASE,
)
_TRAILING_URL_PUNCTUATION = ".,:;!?\"')]"
_MAX_HEADING_LEVEL = 2


class Segment(NamedTuple):
    """A part of a line; with a URL it is a link."""

    text: str
    url: str | None = None


Line = list[Segment]


class Paragraph(NamedTuple):
    """Lines with line breaks between them."""

    lines: list[Line]


class Heading(NamedTuple):
    """A heading of level 1 (h2) or 2 (h3); the subject is h1."""

    level: int
    line: Line


class HorizontalRule(NamedTuple):
    """A horizontal rule."""


class BulletList(NamedTuple):
    """A list with bullets; an item is a paragraph."""

    items: list[list[Line]]


class NumberedList(NamedTuple):
    """A list with numbers from 1; an item is a paragraph."""

    items: list[list[Line]]


class InsetText(NamedTuple):
    """Inset blocks."""

    blocks: list[Block]


Block = Paragraph | Heading | HorizontalRule | BulletList | NumberedList | InsetText


def parse(text: str) -> list[Block]:
    """Parse a text whose placeholders are filled."""
    lines = [line.strip(_TRIMMED_LINE_CHARACTERS) for line in _LINE_ENDS.split(text.replace("\u2028", ""))]
    return _parse_blocks(lines, insets=True)


def split_links(line: str) -> Line:
    """Split a line at its links."""
    segments: Line = []
    position = 0
    for match in _LINK.finditer(line):
        text, url, bare = match.groups()
        end = match.end()
        if bare:
            url = text = bare.rstrip(_TRAILING_URL_PUNCTUATION)
            end -= len(bare) - len(url)
        if match.start() > position:
            segments.append(Segment(line[position : match.start()]))
        segments.append(Segment(text, url))
        position = end
    if position < len(line):
        segments.append(Segment(line[position:]))
    return segments


def _parse_blocks(lines: list[str], *, insets: bool) -> list[Block]:
    blocks: list[Block] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        if not line:
            index += 1
        elif _RULE.fullmatch(line):
            blocks.append(HorizontalRule())
            index += 1
        elif heading := _HEADING.fullmatch(line):
            level, content = len(heading[1]), split_links(heading[2].rstrip("# \t") or heading[2])
            blocks.append(Heading(level, content) if level <= _MAX_HEADING_LEVEL else Paragraph([content]))
            index += 1
        elif insets and line.startswith("^"):
            index, inner = _parse_inset(lines, index)
            blocks.append(InsetText(_parse_blocks(inner, insets=False)))
        elif _BULLET.fullmatch(line):
            index, items = _parse_items(lines, index, _BULLET)
            blocks.append(BulletList(items))
        elif _NUMBER.fullmatch(line):
            index, items = _parse_items(lines, index, _NUMBER)
            blocks.append(NumberedList(items))
        else:
            start = index
            while index < len(lines) and lines[index] and (index == start or not _interrupts_paragraph(lines[index])):
                index += 1
            blocks.append(Paragraph([split_links(line) for line in lines[start:index]]))
    return blocks


def _interrupts_paragraph(line: str) -> bool:
    return line.startswith("^") or bool(_RULE.fullmatch(line) or _HEADING.fullmatch(line))


def _parse_inset(lines: list[str], index: int) -> tuple[int, list[str]]:
    inner = []
    while (
        index < len(lines)
        and lines[index]
        and (lines[index].startswith("^") or not _interrupts_paragraph(lines[index]))
    ):
        inner.append(lines[index].removeprefix("^").strip(_TRIMMED_LINE_CHARACTERS))
        index += 1
    return index, inner


def _parse_items(lines: list[str], index: int, marker: re.Pattern[str]) -> tuple[int, list[list[Line]]]:
    other_marker = _NUMBER if marker is _BULLET else _BULLET
    items: list[list[Line]] = []
    while index < len(lines):
        line = lines[index]
        item = None if _RULE.fullmatch(line) else marker.fullmatch(line)
        if item:
            items.append([split_links(item[item.lastindex or 0])])
            index += 1
        elif line and not _interrupts_paragraph(line) and not other_marker.fullmatch(line):
            items[-1].append(split_links(line))
            index += 1
        elif line:
            break
        else:
            following = index
            while following < len(lines) and not lines[following]:
                following += 1
            index = following
            if following == len(lines) or _RULE.fullmatch(lines[following]) or not marker.fullmatch(lines[following]):
                break
    return index, items
