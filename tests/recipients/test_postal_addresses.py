"""Postal addresses: parsing and postage."""

from __future__ import annotations

import pytest

from graphql_api.enums import Postage, UserErrorCode
from graphql_api.recipients.countries import COUNTRIES
from graphql_api.recipients.errors import RecipientError
from graphql_api.recipients.postal_addresses import PostalAddress, parse


def error_code(address: str, *, international: bool = False) -> UserErrorCode:
    with pytest.raises(RecipientError) as raised:
        parse(address, international=international)
    return raised.value.code


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("A Name\n1 High Street\nsw1a1aa", ("A Name", "1 High Street", "SW1A 1AA")),
        (" A  Name ,\r\n\n1 High Street , Town\nSW1A  1AA,", ("A Name", "1 High Street, Town", "SW1A 1AA")),
        ("A\nB\nE1 8QS\nEngland\nUnited Kingdom", ("A", "B", "E1 8QS")),
        ("A\nB\nJE2 3AB\nJersey", ("A", "B", "JE2 3AB")),
        ("A\nB\nBFPO 12", ("A", "B", "BFPO 12")),
        ("A\nB\nBF1 2AA\nBFPO c/o 12\nUK", ("A", "B", "BF1 2AA", "BFPO 12")),
        ("1\n2\n3\n4\n5\n6\nSW1A 1AA", ("1", "2", "3", "4", "5", "6", "SW1A 1AA")),
    ],
)
def test_the_sender_chooses_the_postage_of_an_address_in_the_uk(typed: str, lines: tuple[str, ...]) -> None:
    address = parse(typed)

    assert (address.lines, address.international) == (lines, False)
    assert [address.resolve_postage(requested) for requested in (Postage.FIRST, Postage.SECOND, Postage.ECONOMY)] == [
        Postage.FIRST,
        Postage.SECOND,
        Postage.ECONOMY,
    ]
    with pytest.raises(RecipientError) as raised:
        address.resolve_postage(Postage.EUROPE)
    assert raised.value.code is UserErrorCode.POSTAGE_NOT_ALLOWED


@pytest.mark.parametrize(
    ("typed", "country", "postage"),
    [
        ("france", "France", Postage.EUROPE),
        ("Deutschland", "Germany", Postage.EUROPE),
        ("Republic of Ireland", "Ireland", Postage.EUROPE),
        ("the netherlands", "Netherlands", Postage.EUROPE),
        ("U.S.A.", "United States", Postage.REST_OF_WORLD),
        ("Cote d'Ivoire", "Ivory Coast", Postage.REST_OF_WORLD),
        ("Saint Lucia", "St Lucia", Postage.REST_OF_WORLD),
        ("Trinidad & Tobago", "Trinidad and Tobago", Postage.REST_OF_WORLD),
    ],
)
def test_an_international_address_needs_permission_and_has_one_postage(
    typed: str, country: str, postage: Postage
) -> None:
    address = parse(f"A\nB\n{typed}", international=True)

    assert address == PostalAddress(("A", "B", country), None, country, postage)
    assert address.resolve_postage(Postage.SECOND) is postage
    assert error_code(f"A\nB\n{typed}") is UserErrorCode.ADDRESS_LAST_LINE_NOT_POSTCODE_OR_COUNTRY


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", UserErrorCode.ADDRESS_TOO_FEW_LINES),
        ("A\nSW1A 1AA", UserErrorCode.ADDRESS_TOO_FEW_LINES),
        ("1\n2\n3\n4\n5\n6\n7\nSW1A 1AA", UserErrorCode.ADDRESS_TOO_MANY_LINES),
        ("A\nB\nC", UserErrorCode.ADDRESS_LAST_LINE_NOT_POSTCODE_OR_COUNTRY),
        ("A\nB\nSW1A 1CA", UserErrorCode.ADDRESS_LAST_LINE_NOT_POSTCODE_OR_COUNTRY),
        ("A\nB\nXX1 1AA", UserErrorCode.ADDRESS_LAST_LINE_NOT_POSTCODE_OR_COUNTRY),
        ("A\nB\nFrance\nBFPO 1", UserErrorCode.ADDRESS_LAST_LINE_NOT_POSTCODE_OR_COUNTRY),
        ("A\n--\nSW1A 1AA", UserErrorCode.ADDRESS_INVALID_CHARACTERS),
        ("A\nNFA\nSW1A 1AA", UserErrorCode.ADDRESS_NO_FIXED_ABODE),
        ("A\nOf no fixed abode\nSW1A 1AA", UserErrorCode.ADDRESS_NO_FIXED_ABODE),
    ],
)
def test_an_invalid_address_is_refused_with_its_reason(typed: str, code: UserErrorCode) -> None:
    assert error_code(typed, international=True) is code


@pytest.mark.parametrize("character", list('@()=[]"\\/,<>~'))
def test_no_line_begins_with_a_forbidden_character(character: str) -> None:
    assert error_code(f"A\n{character}B\nSW1A 1AA") is UserErrorCode.ADDRESS_INVALID_CHARACTERS
    assert parse(f"A\nB{character}C\nSW1A 1AA").lines[1].startswith("B")


def test_an_address_has_the_forms_that_messages_store() -> None:
    address = parse(["A Name", "1 High Street", "sw1a 1aa"])

    assert address.normalised == "aname1highstreetsw1a1aa"
    assert address.personalisation == {
        "address_line_1": "A Name",
        "address_line_2": "1 High Street",
        "address_line_3": "SW1A 1AA",
    }


def test_countries_are_known_by_many_names() -> None:
    assert len({country for country, _ in COUNTRIES.values()}) == 251
