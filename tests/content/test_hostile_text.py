"""Hostile texts take time in proportion to their length."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from graphql_api.content import markup, sms, typography
from graphql_api.content.emails import html_body, plain_text
from graphql_api.content.placeholders import TemplateText, find
from graphql_api.recipients import countries, email_addresses, phone_numbers, postal_addresses
from graphql_api.recipients.errors import RecipientError
from tests import cpu_time

SIZE = 50_000
UNITS = [
    "(", "((", "((a", "((a??", "))((", "a", " ", "  .", " .", " ,x", "\n", "\n ", " - ", "-", "--- ",
    "[", "[a](", "[a](http://", "[a](http://(", "[a](http://((a)", "http://", "http://a.", "http://.",
    "*", "* ", "* a\n", "* a\n\n", "1.", "1. a\n", "1", "^", "^ ", "^ a\n", "#", "# ", "# a #", "# a\n",
    "'", '"', "'a", "@", "a@", "a.", "a-", "a@a.", "a@-", "GOV.UK", " GOV.UK", "ŵ", "e\u0301", "👍", "\u200b", "€",
    "0", "+", "+44", "()", "bfpo ", "no fixed ", "\t", "\r", "\u2028",
]  # fmt: skip


def _recipient(read: Callable[[str], object]) -> Callable[[str], object]:
    def attempt(value: str) -> None:
        with suppress(RecipientError):
            read(value)

    return attempt


RULES: dict[str, Callable[[str], object]] = {
    "placeholders": lambda value: (find(value), TemplateText(value).fill({"a": "x"})),
    "text message": lambda value: sms.measure(value, "Service"),
    "markup": markup.parse,
    "page": lambda value: html_body(markup.parse(value[: SIZE // 2])),
    "plain text": lambda value: plain_text(markup.parse(value[: SIZE // 2])),
    "typography": typography.tidy,
    "phone number": _recipient(phone_numbers.parse),
    "email address": _recipient(email_addresses.parse),
    "postal address": _recipient(lambda value: postal_addresses.parse(["a", "b", value])),
    "lines of an address": _recipient(lambda value: postal_addresses.parse(value.replace(" ", "\n"))),
    "country": countries.normalise,
}
COST = 40.0
"""Yardsticks for `SIZE` characters; work that grows with the square of the length costs hundreds."""


@pytest.mark.parametrize("rule", RULES)
def test_no_text_is_slow(rule: str) -> None:
    slow_units = {}
    for unit in UNITS:
        for attack in ((unit * SIZE)[:SIZE], (unit * SIZE)[:SIZE] + "\0", "x" + (unit * SIZE)[:SIZE]):
            cost = cpu_time.ratio(partial(RULES[rule], attack), enough=COST)
            if cost > COST:
                slow_units[unit] = cost

    assert slow_units == {}
