"""Phone numbers: parsing, permissions and rates."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.enums import UserErrorCode
from graphql_api.recipients.errors import RecipientError
from graphql_api.recipients.phone_numbers import PhoneNumber, normalise, parse
from graphql_api.recipients.sms_rates import NUMERIC_SENDER_CALLING_CODES, SMS_RATE_MULTIPLIERS
from tests import cpu_time


def error_code(value: str, *, international: bool = True, landlines: bool = True) -> UserErrorCode:
    with pytest.raises(RecipientError) as raised:
        parse(value, international=international, landlines=landlines)
    assert value not in raised.value.message or not value
    return raised.value.code


@pytest.mark.parametrize(
    "typed",
    [
        "07900900123", "07900 900 123", "(07900) 900-123", " 07900900123\n", "07900\u00a0900\u200b123", "7900900123",
        "447900900123", "+447900900123", "+44 7900 900123", "+44 (0)7900 900123", "+4407900900123", "00447900900123",
        "0044 (0)7900 900123", "0+447900900123", "+07900900123", "00007900900123",
        "0000007900900123", "0+44(0)7900900123",
    ],
)  # fmt: skip
def test_a_uk_mobile_number_is_parsed_in_many_formats(typed: str) -> None:
    assert parse(typed) == PhoneNumber(
        "447900900123", international=False, calling_code="44", multiplier=1, country="GB"
    )


@pytest.mark.parametrize("typed", ["07700900000", "+447700900999", "07700 900 123", "0+447700900123"])
def test_numbers_reserved_for_drama_are_valid(typed: str) -> None:
    number = parse(typed)

    assert number.normalised.startswith("447700900")
    assert (number.international, number.calling_code, number.multiplier) == (False, "44", 1)


def test_numbers_next_to_the_reserved_ones_are_invalid() -> None:
    assert error_code("07700901000") is UserErrorCode.PHONE_INVALID


@pytest.mark.parametrize(
    ("typed", "normalised", "code", "multiplier", "country"),
    [
        ("+33 6 12 34 56 78", "33612345678", "33", 2, "FR"),
        ("0033612345678", "33612345678", "33", 2, "FR"),
        ("33612345678", "33612345678", "33", 2, "FR"),
        ("+1 202-555-0123", "12025550123", "1", 1, "US"),
        ("12025550123", "12025550123", "1", 1, "US"),
        ("+1 876 555 1234", "18765551234", "1876", 3, "JM"),
        ("+49 1512 3456789", "4915123456789", "49", 4, "DE"),
        ("+353 85 012 3456", "353850123456", "353", 3, "IE"),
    ],
)
def test_international_numbers_need_permission_and_have_a_rate(
    typed: str, normalised: str, code: str, multiplier: int, country: str
) -> None:
    assert parse(typed, international=True) == PhoneNumber(
        normalised, international=True, calling_code=code, multiplier=multiplier, country=country
    )
    assert error_code(typed, international=False) is UserErrorCode.INTERNATIONAL_NOT_ALLOWED


@pytest.mark.parametrize(("typed", "country"), [("07797 721234", "JE"), ("07781 123456", "GG"), ("07624 412345", "IM")])
def test_numbers_of_crown_dependencies_need_no_permission_but_have_international_rates(
    typed: str, country: str
) -> None:
    number = parse(typed)

    assert (number.international, number.calling_code, number.country) == (True, "44", country)


@pytest.mark.parametrize("typed", ["020 7946 0000", "0300 123 4567", "01624 612345"])
def test_landlines_need_permission(typed: str) -> None:
    assert parse(typed, landlines=True).calling_code == "44"
    assert error_code(typed, landlines=False) is UserErrorCode.LANDLINE_NOT_ALLOWED


def test_personal_numbers_are_valid() -> None:
    assert parse("07012 345678").normalised == "447012345678"


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", UserErrorCode.PHONE_TOO_SHORT),
        ("+", UserErrorCode.PHONE_TOO_SHORT),
        ("999", UserErrorCode.PHONE_TOO_SHORT),
        ("0790090012", UserErrorCode.PHONE_TOO_SHORT),
        ("079009001234", UserErrorCode.PHONE_TOO_LONG),
        ("+4479009001234", UserErrorCode.PHONE_TOO_LONG),
        ("0" * 251, UserErrorCode.PHONE_TOO_LONG),
        ("07900a00123", UserErrorCode.PHONE_UNKNOWN_CHARACTER),
        ("07900900123 ext 4", UserErrorCode.PHONE_UNKNOWN_CHARACTER),
        ("07900.900.123", UserErrorCode.PHONE_UNKNOWN_CHARACTER),
        ("0\u0667900900123", UserErrorCode.PHONE_UNKNOWN_CHARACTER),
        ("07900\0900123", UserErrorCode.PHONE_UNKNOWN_CHARACTER),
        ("0906 123 4567", UserErrorCode.PHONE_NOT_UK_MOBILE),
        ("0800 111 1111", UserErrorCode.PHONE_NOT_UK_MOBILE),
        ("+999 123 4567", UserErrorCode.UNSUPPORTED_COUNTRY),
        ("+247 40123", UserErrorCode.UNSUPPORTED_COUNTRY),
        ("06000 123456", UserErrorCode.PHONE_INVALID),
        ("+33 0 00 00 00 00", UserErrorCode.PHONE_INVALID),
    ],
)
def test_an_invalid_number_is_refused_with_its_reason(typed: str, code: UserErrorCode) -> None:
    assert error_code(typed) is code


def test_search_normalises_as_storage_does() -> None:
    assert normalise("07900 900123") == "447900900123"
    assert normalise("+33 6 12 34 56 78") == "33612345678"
    assert normalise("0900123") == "900123"
    assert normalise("Zoë") == ""


def attempt(typed: str) -> PhoneNumber | RecipientError:
    try:
        return parse(typed, international=True, landlines=True)
    except RecipientError as raised:
        return raised


@given(st.text(alphabet="0123456789+()- \u200b", max_size=20))
def test_parsing_the_stored_form_gives_the_same_number(typed: str) -> None:
    number = attempt(typed)

    if isinstance(number, PhoneNumber):
        assert number.normalised.isdigit()
        assert attempt(f"+{number.normalised}") == number


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(typed: str) -> None:
    number = attempt(typed)

    if isinstance(number, PhoneNumber):
        assert number.normalised.isascii()
    else:
        assert number.code.startswith(("PHONE_", "UNSUPPORTED_"))


def test_the_rate_table_is_complete() -> None:
    assert len(SMS_RATE_MULTIPLIERS) == 220
    assert set(SMS_RATE_MULTIPLIERS.values()) == {1, 2, 3, 4}
    assert NUMERIC_SENDER_CALLING_CODES.issubset(SMS_RATE_MULTIPLIERS)
    assert parse("+1 202 555 0123", international=True).needs_numeric_sender
    assert not parse("07900900123").needs_numeric_sender


def test_plain_uk_numbers_are_read_five_times_as_fast_as_the_library_parses_them() -> None:
    numbers = [f"07900{index:06d}" for index in range(1_000)]

    cost = cpu_time.ratio(
        lambda: [parse(number) for number in numbers],
        beside=lambda: [phonenumbers.parse(number, "GB") for number in numbers],
        enough=0.2,
    )

    assert cost <= 0.2
    assert [parse(number).normalised for number in numbers] == [f"447900{index:06d}" for index in range(1_000)]
