"""Phone numbers: parsing, the form in which they are compared, and the rate of a text message."""

from __future__ import annotations

import re
import string
from typing import NamedTuple

import phonenumbers
from phonenumbers import PhoneNumberType, ValidationResult

from graphql_api.content.characters import ZERO_WIDTH_CHARACTERS, removal_table
from graphql_api.enums import UserErrorCode
from graphql_api.recipients.errors import RecipientError
from graphql_api.recipients.sms_rates import NUMERIC_SENDER_CALLING_CODES, SMS_RATE_MULTIPLIERS

UK_CALLING_CODE = "44"


def _uk_mobile_pattern() -> str:
    metadata = phonenumbers.PhoneMetadata.metadata_for_region("GB")
    if metadata is None or metadata.mobile is None:
        message = "phonenumbers has no metadata for the United Kingdom"
        raise RuntimeError(message)
    return str(metadata.mobile.national_number_pattern)


_UK_MOBILE = re.compile(rf"(?:0|\+?44|0044)((?:{_uk_mobile_pattern()})|7700900[0-9]{{3}})", re.ASCII)
_DOMESTIC_PREFIX = re.compile(r"0[1-9]")
_UK_MOBILE_DIGITS = 10
_DRAMA_NUMBERS = range(7_700_900_000, 7_700_901_000)
_ALLOWED_CHARACTERS = frozenset(string.digits + string.whitespace + ZERO_WIDTH_CHARACTERS + "\u00a0\u202f()-+")
_REMOVE_INVISIBLE = removal_table(ZERO_WIDTH_CHARACTERS + "\u00a0\u202f" + string.whitespace)
_MAX_TYPED_CHARACTERS = 250

_LANDLINE_TYPES = frozenset({PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.UAN})
_ACCEPTED_TYPES = _LANDLINE_TYPES | {PhoneNumberType.MOBILE, PhoneNumberType.PERSONAL_NUMBER}

_ERROR_MESSAGES = {
    UserErrorCode.PHONE_INVALID: "This is not a phone number that exists.",
    UserErrorCode.PHONE_TOO_SHORT: "This phone number has too few digits.",
    UserErrorCode.PHONE_TOO_LONG: "This phone number has too many digits.",
    UserErrorCode.PHONE_NOT_UK_MOBILE: "This is not a UK mobile number.",
    UserErrorCode.PHONE_UNKNOWN_CHARACTER: "A phone number can only have digits, spaces and the characters ( ) - +.",
    UserErrorCode.UNSUPPORTED_COUNTRY: "Text messages cannot be sent to this country.",
    UserErrorCode.INTERNATIONAL_NOT_ALLOWED: "This service cannot send text messages to other countries.",
    UserErrorCode.LANDLINE_NOT_ALLOWED: "This service cannot send text messages to UK landlines.",
}
_ERROR_CODES = {
    ValidationResult.TOO_SHORT: UserErrorCode.PHONE_TOO_SHORT,
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: UserErrorCode.PHONE_TOO_SHORT,
    ValidationResult.TOO_LONG: UserErrorCode.PHONE_TOO_LONG,
    ValidationResult.INVALID_COUNTRY_CODE: UserErrorCode.UNSUPPORTED_COUNTRY,
}


class PhoneNumber(NamedTuple):
    """A number that can receive text messages."""

    normalised: str
    "Digits with the country code and no plus, for example 447900900123."
    international: bool
    "Whether it is priced as international, as Jersey, Guernsey and the Isle of Man are."
    calling_code: str
    "As in the rate table: 44, 33, 1876 ..."
    multiplier: int
    "Rate of a fragment, in UK fragments."
    country: str | None
    "Two letters; None for numbers without a country, such as those reserved for drama."

    @property
    def needs_numeric_sender(self) -> bool:
        """Whether networks reject alphanumeric senders."""
        return self.calling_code in NUMERIC_SENDER_CALLING_CODES


def parse(value: str, *, international: bool = False, landlines: bool = False) -> PhoneNumber:
    """Parse a number, for a service with or without permission for international numbers and UK landlines.

    Raises `RecipientError`.
    """
    uk_mobile = _UK_MOBILE.fullmatch(value) or _UK_MOBILE.fullmatch(value.translate(_REMOVE_INVISIBLE))
    if uk_mobile:
        digits = uk_mobile[1]
        return PhoneNumber(
            UK_CALLING_CODE + digits, False, UK_CALLING_CODE, 1, None if digits.startswith("7700900") else "GB"
        )
    return _require_allowed(_parse_leniently(value), international=international, landlines=landlines)


def normalise(value: str) -> str:
    """The form in which numbers are stored and searched; of other text only the digits.

    Never raises, so that searches can use a part of a number.
    """
    try:
        return parse(value, international=True, landlines=True).normalised
    except RecipientError:
        return "".join(character for character in value if character in string.digits).lstrip("0")


def _recipient_error(code: UserErrorCode) -> RecipientError:
    return RecipientError(code, _ERROR_MESSAGES[code])


def _parse_leniently(value: str) -> phonenumbers.PhoneNumber:
    if not _ALLOWED_CHARACTERS.issuperset(value):
        raise _recipient_error(UserErrorCode.PHONE_UNKNOWN_CHARACTER)
    if len(value) > _MAX_TYPED_CHARACTERS:
        raise _recipient_error(UserErrorCode.PHONE_TOO_LONG)
    digits = value.translate(_REMOVE_INVISIBLE)
    if not digits.strip("()-+"):
        raise _recipient_error(UserErrorCode.PHONE_TOO_SHORT)
    try:
        return _parse_valid(digits)
    except RecipientError as error:
        if _DOMESTIC_PREFIX.match(digits):
            raise
        # Accept a zero before the plus, several leading zeros, and a plus without a country code.
        try:
            return _parse_valid(digits.replace("+", "").lstrip("0"))
        except RecipientError:
            raise error from None


def _parse_valid(digits: str) -> phonenumbers.PhoneNumber:
    try:
        number = phonenumbers.parse(digits, "GB")
    except phonenumbers.NumberParseException as error:
        raise _recipient_error(_parse_error_code(error)) from None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != ValidationResult.IS_POSSIBLE:
        # Spreadsheets drop the plus of international numbers.
        number = _parse_with_plus(digits) or number
        reason = phonenumbers.is_possible_number_with_reason(number)
    if reason != ValidationResult.IS_POSSIBLE:
        raise _recipient_error(_ERROR_CODES.get(reason, UserErrorCode.PHONE_INVALID))
    if _calling_code(number) not in SMS_RATE_MULTIPLIERS:
        raise _recipient_error(UserErrorCode.UNSUPPORTED_COUNTRY)
    if number.country_code == int(UK_CALLING_CODE) and number.national_number in _DRAMA_NUMBERS:
        return number
    if not phonenumbers.is_valid_number(number):
        national = str(number.national_number)
        is_short_uk_mobile = (
            number.country_code == int(UK_CALLING_CODE)
            and national.startswith("7")
            and len(national) < _UK_MOBILE_DIGITS
        )
        raise _recipient_error(UserErrorCode.PHONE_TOO_SHORT if is_short_uk_mobile else UserErrorCode.PHONE_INVALID)
    if phonenumbers.number_type(number) not in _ACCEPTED_TYPES:
        in_uk = number.country_code == int(UK_CALLING_CODE)
        raise _recipient_error(UserErrorCode.PHONE_NOT_UK_MOBILE if in_uk else UserErrorCode.PHONE_INVALID)
    return number


def _parse_error_code(error: phonenumbers.NumberParseException) -> UserErrorCode:
    return {
        phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: UserErrorCode.UNSUPPORTED_COUNTRY,
        phonenumbers.NumberParseException.TOO_SHORT_AFTER_IDD: UserErrorCode.PHONE_TOO_SHORT,
        phonenumbers.NumberParseException.TOO_SHORT_NSN: UserErrorCode.PHONE_TOO_SHORT,
        phonenumbers.NumberParseException.TOO_LONG: UserErrorCode.PHONE_TOO_LONG,
    }.get(error.error_type, UserErrorCode.PHONE_INVALID)


def _parse_with_plus(digits: str) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(f"+{digits.lstrip('+')}")
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_possible_number(number) else None


def _calling_code(number: phonenumbers.PhoneNumber) -> str:
    if number.country_code == 1:
        with_area = f"1{str(number.national_number)[:3]}"
        if with_area in SMS_RATE_MULTIPLIERS:
            return with_area
    return str(number.country_code)


def _require_allowed(number: phonenumbers.PhoneNumber, *, international: bool, landlines: bool) -> PhoneNumber:
    code = _calling_code(number)
    country = phonenumbers.region_code_for_number(number)
    if code != UK_CALLING_CODE:
        if not international:
            raise _recipient_error(UserErrorCode.INTERNATIONAL_NOT_ALLOWED)
    elif not landlines and phonenumbers.number_type(number) in _LANDLINE_TYPES:
        raise _recipient_error(UserErrorCode.LANDLINE_NOT_ALLOWED)
    normalised = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
    is_international = code != UK_CALLING_CODE or country not in {"GB", None}
    return PhoneNumber(normalised, is_international, code, SMS_RATE_MULTIPLIERS[code], country)
