"""Email addresses: parsing and normalising."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.enums import UserErrorCode
from graphql_api.recipients.email_addresses import normalise, parse
from graphql_api.recipients.errors import RecipientError

LABEL = "x" * 63


@pytest.mark.parametrize(
    ("typed", "normalised"),
    [
        ("alice@example.gov.uk", "alice@example.gov.uk"),
        ("Alice.O'Neil+tag@Example.GOV.uk", "alice.o'neil+tag@example.gov.uk"),
        (" a@b.co\n", "a@b.co"),
        ("a\u200b@\ufeffb.co\u00a0", "a@b.co"),
        ("!#$%&'*+/=?^_`{|}~-@b.co", "!#$%&'*+/=?^_`{|}~-@b.co"),
        ("a@1.2.co", "a@1.2.co"),
        ("a@b--c.co", "a@b--c.co"),
        ("a@例え.テスト", "a@例え.テスト"),
        ("a@xn--r8jz45g.xn--zckzah", "a@xn--r8jz45g.xn--zckzah"),
        (f"a@{LABEL}.co", f"a@{LABEL}.co"),
        (f"{'a' * 300}@{'b' * 16}.co", f"{'a' * 300}@{'b' * 16}.co"),
    ],
)
def test_an_address_is_parsed_and_normalised(typed: str, normalised: str) -> None:
    assert parse(typed) == normalised
    assert normalise(typed) == normalised


@pytest.mark.parametrize(
    "typed",
    [
        "", "a", "@", "a@", "@b.co", "a@b", "a b@c.co", "a@b c.co", '"a"@b.co', "a;b@c.co", "a,b@c.co", "a@b@c.co",
        "é@b.co", ".a@b.co", "a.@b.co", "a..b@c.co", "a@.co", "a@b..co", "a@b.co.", "a@-b.co", "a@b-.co", "a@b_c.co",
        "a@b---c.co",
        "a@b.c", "a@b.c1", "a@b.123", "a@[127.0.0.1]", "<a@b.co>", "a@b.co\0", "a\n@b.co",
        f"a@{LABEL}x.co", f"a@{'.'.join([LABEL] * 4)}.co", f"{'a' * 301}@{'b' * 16}.co", "a@\ud800.co",
    ],
)  # fmt: skip
def test_an_invalid_address_is_refused(typed: str) -> None:
    with pytest.raises(RecipientError) as raised:
        parse(typed)

    assert raised.value.code is UserErrorCode.EMAIL_INVALID
    assert raised.value.message == "This is not an email address."


@given(st.emails())
def test_parsing_is_idempotent(typed: str) -> None:
    try:
        address = parse(typed)
    except RecipientError:
        return
    assert parse(address) == address
    assert address == normalise(typed)
