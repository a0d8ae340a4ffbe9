# ruff: noqa: RUF001 - characters that look alike are what these tests are about
"""Emails: markup, HTML and plain text."""

from __future__ import annotations

import re

import nh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.content import emails, markup
from graphql_api.content.messages import render
from graphql_api.content.typography import tidy
from graphql_api.enums import Channel

RULE = "=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-=-="


def html(text: str) -> str:
    """The HTML of a body, without its styles."""
    return re.sub(r' style="[^"]*"', "", emails.html_body(markup.parse(text)))


def plain_text(text: str) -> str:
    return emails.plain_text(markup.parse(text))


@pytest.mark.parametrize(
    ("written", "expected_html", "text"),
    [
        ("a\nb\n\nc", "<p>a<br>b</p>\n<p>c</p>", "a\nb\n\nc"),
        ("a\r\nb\r\rc", "<p>a<br>b</p>\n<p>c</p>", "a\nb\n\nc"),
        ("# Big", "<h2>Big</h2>", f"Big\n{'=' * 65}"),
        ("a\n## Less\nb", "<p>a</p>\n<h3>Less</h3>\n<p>b</p>", f"a\n\n\nLess\n{'-' * 65}\n\nb"),
        ("### Deep", "<p>Deep</p>", "Deep"),
        ("#Tight #", "<h2>Tight</h2>", f"Tight\n{'=' * 65}"),
        ("#", "<p>#</p>", "#"),
        ("* a\n*b\n- c\n• d", "<ul><li>a</li><li>b</li><li>c</li><li>d</li></ul>", "• a\n• b\n• c\n• d"),
        ("* a\n\n* b\n\nc", "<ul><li>a</li><li>b</li></ul>\n<p>c</p>", "• a\n• b\n\nc"),
        ("* a\nmore", "<ul><li>a<br>more</li></ul>", "• a\nmore"),
        ("3. a\n7. b", "<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ("* a\n1. b", "<ul><li>a</li></ul>\n<ol><li>b</li></ol>", "• a\n\n1. b"),
        ("1.5 million", "<p>1.5 million</p>", "1.5 million"),
        ("text\n* not a list", "<p>text<br>* not a list</p>", "text\n* not a list"),
        ("^ a\nb\n\nc", "<blockquote><p>a<br>b</p></blockquote>\n<p>c</p>", "a\nb\n\nc"),
        ("^^^ a", "<blockquote><p>^^ a</p></blockquote>", "^^ a"),
        ("^ * a\n^ * b", "<blockquote><ul><li>a</li><li>b</li></ul></blockquote>", "• a\n• b"),
        ("a\n---\nb", "<p>a</p>\n<hr>\n<p>b</p>", f"a\n\n{RULE}\n\nb"),
        ("--", "<p>--</p>", "--"),
        (
            "[our page](https://a.b/c?d=1&e=2)",
            '<p><a href="https://a.b/c?d=1&amp;e=2">our page</a></p>',
            "our page: https://a.b/c?d=1&e=2",
        ),
        (
            "See https://a.b/c_(d).",
            '<p>See <a href="https://a.b/c_(d">https://a.b/c_(d</a>).</p>',
            "See https://a.b/c_(d).",
        ),
        ("[a](https://x.y/z_(q))!", '<p><a href="https://x.y/z_(q)">a</a>!</p>', "a: https://x.y/z_(q)!"),
        ("[a](mailto:b@c.d)", '<p><a href="mailto:b@c.d">a</a></p>', "a: mailto:b@c.d"),
        ("", "", ""),
        ("\u200b \u00a0", "", ""),
    ],
)
def test_markup_is_rendered_as_html_and_as_plain_text(written: str, expected_html: str, text: str) -> None:
    assert html(written) == expected_html
    assert plain_text(written) == text


@pytest.mark.parametrize(
    "written",
    [
        "**bold**", "__bold__", "_it_", "`code`", "~~out~~", "![a](b.png)", "| a | b |", "<b>a</b>", "[^1]",
        "a[1]: b", "&nbsp;",
        "[a](javascript:alert)", "[a](www.b.c)", "[a](data:text/html,b)", "www.b.c", "https://",
        "a@b.c", "    code",
    ],
)  # fmt: skip
def test_other_syntax_is_shown_as_typed(written: str) -> None:
    assert plain_text(written) == written.strip()
    shown = written.strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert html(written) == f"<p>{shown}</p>"


def test_markup_in_a_value_is_rendered_and_html_is_escaped() -> None:
    rendered = render(
        Channel.EMAIL,
        subject="((a))",
        body="# ((a))\n\n((b))\n\n[x](((c)))",
        personalisation={"a": "<i>", "b": "* 1\n* 2", "c": "https://d.e/?f=<g>"},
    )

    assert rendered.html is not None
    assert "<title>&lt;i&gt;</title>" in rendered.html
    assert re.sub(r' style="[^"]*"', "", rendered.html).split("<main>")[1].split("</main>")[0] == (
        "\n<h2>&lt;i&gt;</h2>\n<ul><li>1</li><li>2</li></ul>\n"
        '<p>[x](<a href="https://d.e/?f=">https://d.e/?f=</a>&lt;g&gt;)</p>\n'
    )


@pytest.mark.parametrize(
    ("typed", "tidied"),
    [
        ('"a" (\'b\') "c', "“a” (‘b’) “c"),
        ("it's O'Neil's '90s", "it’s O’Neil’s ’90s"),
        ("o'neil@a.b's", "o'neil@a.b's"),
        ("a - b -- c — d", "a – b – c – d"),
        ("well-known -5", "well-known -5"),
        ("a , b .", "a, b."),
        ("\"'a'\"", "“‘a’”"),
        ('6"', "6”"),
    ],
)
def test_punctuation_is_tidied(typed: str, tidied: str) -> None:
    assert tidy(typed) == tidied


def test_the_name_of_the_site_does_not_become_a_link() -> None:
    rendered = render(
        Channel.EMAIL, subject="GOV.UK", body="GOV.UK gov.uk/x GOV.UK? www.gov.uk gov.uk", personalisation={}
    )

    assert rendered.subject == "GOV.UK"
    assert rendered.text == "GOV.\u200bUK gov.uk/x GOV.UK? www.gov.uk gov.\u200buk"


def test_links_are_never_tidied() -> None:
    assert html("https://a.b/it's, c") == '<p><a href="https://a.b/it&#x27;s">https://a.b/it\'s</a>, c</p>'
    assert plain_text("[it's](https://a.b/'c)") == "it’s: https://a.b/'c"


def test_the_preheader_is_the_start_of_the_text_on_one_line() -> None:
    body = "# Hello\n\n---\n\n* [page](https://a.b)\n\n^ it's\nhere"

    assert emails.preheader(markup.parse(body)) == "Hello page it’s here"
    assert emails.preheader(markup.parse("word " * 100)) == ("word " * 52)[:256]
    assert len(emails.preheader(markup.parse("x" * 1000))) == 256


def test_html_and_plain_text_have_an_unsubscribe_link() -> None:
    rendered = render(Channel.EMAIL, subject="s", body="b", unsubscribe_url="https://a.b/?c&d")

    assert rendered.html is not None
    assert 'href="https://a.b/?c&amp;d">Unsubscribe from these emails</a>' in rendered.html
    assert rendered.text == f"b\n\n{RULE}\n\nUnsubscribe from these emails: https://a.b/?c&d"
    assert "Unsubscribe" not in (render(Channel.EMAIL, subject="s", body="b").html or "")


@given(st.lists(st.sampled_from([*"#*-•^1.[]()<>&\"' \n\r\tax", "https://", "](", "javascript:", "---"])).map("".join))
def test_a_body_renders_only_permitted_elements(text: str) -> None:
    rendered = emails.html_body(markup.parse(text))
    tags = {"p", "br", "h2", "h3", "hr", "ul", "ol", "li", "blockquote", "a"}
    attributes = {tag: {"style"} for tag in tags} | {"a": {"style", "href"}}
    names = re.compile(r"</?[a-z0-9]+")

    cleaned = nh3.clean(rendered, tags=tags, attributes=attributes, link_rel=None)

    assert names.findall(cleaned) == names.findall(rendered)
    assert all(url.startswith("https://") for url in re.findall(r'href="([^"]*)"', rendered))


@given(st.text())
def test_no_word_of_a_body_is_lost_in_plain_text(text: str) -> None:
    letters = [character for character in text if character.isalpha()]

    assert [character for character in plain_text(text) if character.isalpha()] == letters
