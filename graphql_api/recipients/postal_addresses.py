"""Postal addresses: parsing, printed lines, and postage."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from graphql_api.content.characters import REMOVE_ZERO_WIDTH
from graphql_api.enums import Postage, UserErrorCode
from graphql_api.recipients.countries import COUNTRIES, UK_NAMES, normalise
from graphql_api.recipients.errors import RecipientError

if TYPE_CHECKING:
    from collections.abc import Iterable

MIN_LINES, MAX_LINES, MAX_LINE_CHARACTERS = 3, 7, 1_000
FORBIDDEN_FIRST_CHARACTERS = '@()=[]"\\/,<>~'
"Characters that a line must not begin with."
UK_POSTAGE = (Postage.FIRST, Postage.SECOND, Postage.ECONOMY)

_POSTCODE_AREAS = """
    AB AL B BA BB BD BF BH BL BN BR BS BT BX CA CB CF CH CM CO CR CT CV CW CY DA DD DE DG DH DL DN DT DY E EC
    EH EN EX FK FY G GIR GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY L LA LD LE LL LN LS LU M
    ME MK ML N NE NG NN NP NR NW OL OX PA PE PH PL PO PR QC RG RH RM S SA SE SG SK SL SM SN SO SP SR SS ST SW
    SY TA TD TF TN TQ TR TS TW UB W WA WC WD WF WN WR WS WV YO ZE"""
_POSTCODE = re.compile(rf"({'|'.join(_POSTCODE_AREAS.split())})[0-9][0-9A-Z]?[0-9][ABD-HJLNP-UW-Z]{{2}}")
_MAX_POSTCODE_CHARACTERS = 8
_BFPO = re.compile(r"BFPO ?(?:C/O ?)?([0-9]{1,4})", re.IGNORECASE)
_NO_FIXED_ABODE = re.compile(r"no fixed (?:abode|address)", re.IGNORECASE)
_SPACE_BEFORE_PUNCTUATION = re.compile(r" (?=[.,])")


class PostalAddress(NamedTuple):
    """A valid postal address."""

    lines: tuple[str, ...]
    "Three to seven, as printed."
    postcode: str | None
    country: str | None
    "Printed name; None within the UK."
    international_postage: Postage | None
    "The only postage for the country; None within the UK, where the sender chooses."

    @property
    def international(self) -> bool:
        """Whether it is outside the UK."""
        return self.international_postage is not None

    @property
    def normalised(self) -> str:
        """The form in which it is stored for search: lower case, without white space."""
        return "".join("".join(self.lines).split()).lower()

    @property
    def personalisation(self) -> dict[str, str]:
        """The values of `address_line_1` to `address_line_7`."""
        return {f"address_line_{number}": line for number, line in enumerate(self.lines, 1)}

    def resolve_postage(self, requested: Postage) -> Postage:
        """The postage for the sender's choice. Raises `RecipientError` when the choice is not for this address."""
        if self.international_postage is not None:
            return self.international_postage
        if requested not in UK_POSTAGE:
            raise RecipientError(UserErrorCode.POSTAGE_NOT_ALLOWED, "This postage is for letters to other countries.")
        return requested


def parse(address: str | Iterable[str], *, international: bool = False) -> PostalAddress:
    """Parse an address, as text or as lines, for a service with or without permission for international letters.

    Raises `RecipientError`.
    """
    typed_lines = address.splitlines() if isinstance(address, str) else address
    lines = [line for line in map(_tidy_line, typed_lines) if line]
    bfpo = next((match[1] for line in lines if (match := _BFPO.fullmatch(line))), None)
    if bfpo:
        lines = [line for line in lines if not _BFPO.fullmatch(line)]
    while len(lines) > 1 and normalise(lines[-1]) in UK_NAMES:
        lines.pop()
    country, international_postage = COUNTRIES.get(normalise(lines[-1]), (None, None)) if lines else (None, None)
    postcode = None if country or not lines else _parse_postcode(lines[-1])
    ending = country or postcode
    printed = [*(lines[:-1] if ending else lines), *([ending] if ending else []), *([f"BFPO {bfpo}"] if bfpo else [])]
    _check(printed, valid_ending=bool(international and country) if country else bool(postcode or bfpo), bfpo=bfpo)
    return PostalAddress(tuple(printed), postcode, country, international_postage)


def _tidy_line(line: str) -> str:
    return _SPACE_BEFORE_PUNCTUATION.sub(
        "", " ".join(line[:MAX_LINE_CHARACTERS].translate(REMOVE_ZERO_WIDTH).split())
    ).rstrip(" ,")


def _parse_postcode(line: str) -> str | None:
    compact = line.replace(" ", "").upper()
    if len(compact) > _MAX_POSTCODE_CHARACTERS or not _POSTCODE.fullmatch(compact):
        return None
    return f"{compact[:-3]} {compact[-3:]}"


def _check(lines: list[str], *, valid_ending: bool, bfpo: str | None) -> None:
    if len(lines) < MIN_LINES:
        raise RecipientError(UserErrorCode.ADDRESS_TOO_FEW_LINES, f"An address must have at least {MIN_LINES} lines.")
    if len(lines) > MAX_LINES:
        raise RecipientError(UserErrorCode.ADDRESS_TOO_MANY_LINES, f"An address can have at most {MAX_LINES} lines.")
    if not valid_ending or (bfpo and normalise(lines[-2]) in COUNTRIES):
        raise RecipientError(
            UserErrorCode.ADDRESS_LAST_LINE_NOT_POSTCODE_OR_COUNTRY,
            "The last line of an address must be a UK postcode or, where the service posts abroad, a country.",
        )
    if any(line.startswith(tuple(FORBIDDEN_FIRST_CHARACTERS)) for line in lines):
        raise RecipientError(
            UserErrorCode.ADDRESS_INVALID_CHARACTERS,
            f"A line of an address cannot start with {FORBIDDEN_FIRST_CHARACTERS}",
        )
    if not all(any(character.isalnum() for character in line) for line in lines[:2]):
        raise RecipientError(
            UserErrorCode.ADDRESS_INVALID_CHARACTERS,
            "The first two lines of an address must have a letter or a digit.",
        )
    if any(line.lower() == "nfa" for line in lines) or _NO_FIXED_ABODE.search("\n".join(lines)):
        raise RecipientError(UserErrorCode.ADDRESS_NO_FIXED_ABODE, "A letter cannot go to someone of no fixed abode.")
