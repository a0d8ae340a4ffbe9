"""Emails: markup as an HTML document, as plain text, and as the preheader that mail clients show beside the subject."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from graphql_api.content import markup
from graphql_api.content.typography import prevent_autolink, tidy

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BODY_BYTES = 2_000_000
"Maximum size of a body with its values, in UTF-8."
MAX_PREHEADER_CHARACTERS = 256
TEXT_RULE_CHARACTERS = 65
"Width of rules in plain text."

_FONT = "font-family: Helvetica, Arial, sans-serif; font-size: 19px; line-height: 1.35; color: #0b0c0c;"
_PARAGRAPH = f'<p style="margin: 0 0 20px; {_FONT}">'
_HEADINGS = {
    1: ("h2", "margin: 0 0 15px; padding: 10px 0 0; font-size: 27px; line-height: 1.3; font-weight: bold;"),
    2: ("h3", "margin: 0 0 15px; padding: 10px 0 0; font-size: 19px; line-height: 1.3; font-weight: bold;"),
}
_LINK = "color: #1d70b8; word-wrap: break-word;"
_PAGE_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="format-detection" content="telephone=no">
<title>{title}</title>
</head>
<body style="margin: 0; padding: 0; background: #ffffff; {font}">
<div style="display: none; max-height: 0; overflow: hidden;">{preheader}</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
<tr><td align="center" style="padding: 20px 10px;">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width: 580px;">
<tr><td align="left">
<main>
{body}
</main>
{footer}</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""
_FOOTER_TEMPLATE = """<footer>
<hr style="border: 0; height: 1px; background: #b1b4b6; margin: 30px 0;">
<p style="margin: 0 0 20px; {font}"><a style="{link}" href="{url}">Unsubscribe from these emails</a></p>
</footer>
"""


def html_page(subject: str, blocks: list[markup.Block], unsubscribe_url: str | None = None) -> str:
    """The HTML document of an email."""
    footer = _FOOTER_TEMPLATE.format(font=_FONT, link=_LINK, url=escape(unsubscribe_url)) if unsubscribe_url else ""
    return _PAGE_TEMPLATE.format(
        title=escape(subject), font=_FONT, preheader=escape(preheader(blocks)), body=html_body(blocks), footer=footer
    )


def html_body(blocks: list[markup.Block]) -> str:
    """The HTML of a body."""
    return "\n".join(_html_block(block) for block in blocks)


def plain_text(blocks: list[markup.Block], unsubscribe_url: str | None = None) -> str:
    """The plain text of a body, with underlined headings and the URLs of links."""
    parts = [part for block in blocks for part in _text_block(block)]
    if unsubscribe_url:
        parts += [_text_rule(), f"Unsubscribe from these emails: {unsubscribe_url}"]
    return "\n\n".join(parts).strip()


def preheader(blocks: list[markup.Block]) -> str:
    """The beginning of a body on one line, without rules and the URLs of links."""
    words: list[str] = []
    length = 0
    for line in _lines(blocks):
        line_words = _line_text(line, urls=False).split()
        words += line_words
        length += sum(map(len, line_words)) + len(line_words)
        if length > MAX_PREHEADER_CHARACTERS:
            break
    return " ".join(words)[:MAX_PREHEADER_CHARACTERS]


def _lines(blocks: Iterable[markup.Block]) -> Iterable[markup.Line]:
    for block in blocks:
        match block:
            case markup.Paragraph(lines):
                yield from lines
            case markup.Heading(_, line):
                yield line
            case markup.BulletList(items) | markup.NumberedList(items):
                for item in items:
                    yield from item
            case markup.InsetText(inner):
                yield from _lines(inner)
            case markup.HorizontalRule():
                pass


def _line_text(line: markup.Line, *, urls: bool = True) -> str:
    parts = []
    preceding = ""
    for segment in line:
        if segment.url is None:
            parts.append(prevent_autolink(tidy(segment.text, preceding)))
        elif segment.text == segment.url:
            parts.append(segment.url)
        else:
            label = prevent_autolink(tidy(segment.text, preceding))
            parts.append(f"{label}: {segment.url}" if urls else label)
        preceding = segment.text[-1:]
    return "".join(parts)


def _line_html(line: markup.Line) -> str:
    parts = []
    preceding = ""
    for segment in line:
        if segment.url is None:
            parts.append(escape(prevent_autolink(tidy(segment.text, preceding)), quote=False))
        else:
            label = segment.text if segment.text == segment.url else prevent_autolink(tidy(segment.text, preceding))
            parts.append(f'<a style="{_LINK}" href="{escape(segment.url)}">{escape(label, quote=False)}</a>')
        preceding = segment.text[-1:]
    return "".join(parts)


def _lines_html(lines: list[markup.Line]) -> str:
    return "<br>".join(map(_line_html, lines))


def _html_block(block: markup.Block) -> str:
    match block:
        case markup.Paragraph(lines):
            return f"{_PARAGRAPH}{_lines_html(lines)}</p>"
        case markup.Heading(level, line):
            tag, style = _HEADINGS[level]
            return f'<{tag} style="{style}">{_line_html(line)}</{tag}>'
        case markup.HorizontalRule():
            return '<hr style="border: 0; height: 1px; background: #b1b4b6; margin: 30px 0;">'
        case markup.BulletList(items):
            return _html_list("ul", items)
        case markup.NumberedList(items):
            return _html_list("ol", items)
        case markup.InsetText(blocks):
            style = "margin: 0 0 20px; padding: 15px 0 1px 15px; border-left: 10px solid #b1b4b6;"
            return f'<blockquote style="{style}">{html_body(blocks)}</blockquote>'


def _html_list(tag: str, items: list[list[markup.Line]]) -> str:
    rows = "".join(f'<li style="margin: 5px 0; padding: 0 0 0 5px; {_FONT}">{_lines_html(item)}</li>' for item in items)
    return f'<{tag} style="margin: 0 0 20px 20px; padding: 0;">{rows}</{tag}>'


def _text_rule() -> str:
    return ("=-" * TEXT_RULE_CHARACTERS)[:TEXT_RULE_CHARACTERS]


def _text_block(block: markup.Block) -> Iterable[str]:
    match block:
        case markup.Paragraph(lines):
            yield "\n".join(map(_line_text, lines))
        case markup.Heading(level, line):
            yield f"\n{_line_text(line)}\n{('=' if level == 1 else '-') * TEXT_RULE_CHARACTERS}"
        case markup.HorizontalRule():
            yield _text_rule()
        case markup.BulletList(items):
            yield "\n".join(f"• {_item_text(item)}" for item in items)
        case markup.NumberedList(items):
            yield "\n".join(f"{number}. {_item_text(item)}" for number, item in enumerate(items, 1))
        case markup.InsetText(blocks):
            for inner in blocks:
                yield from _text_block(inner)


def _item_text(lines: list[markup.Line]) -> str:
    return "\n".join(map(_line_text, lines))
