"""Email addresses: parsing, and the form in which they are compared."""

from __future__ import annotations

import re
import string

from graphql_api.content.characters import ZERO_WIDTH_CHARACTERS, removal_table
from graphql_api.enums import UserErrorCode
from graphql_api.recipients.errors import RecipientError

MAX_ADDRESS_CHARACTERS, MAX_HOST_CHARACTERS, MAX_LABEL_CHARACTERS = 320, 253, 63
"Of the address, of the host as IDNA, and of a label of the host."

_LOCAL_PART = re.compile(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]++(?:\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]++)*+")
_LABEL = re.compile(r"[a-z0-9]++(?:-{1,2}[a-z0-9]++)*+")
_LAST_LABEL = re.compile(r"[a-z]{2,63}|xn--[a-z0-9]++(?:-[a-z0-9]++)*+")
_REMOVE_INVISIBLE = removal_table(ZERO_WIDTH_CHARACTERS + "\u00a0")
_COMMON_ADDRESS = re.compile(
    r"[a-z0-9_+-]++(?:\.[a-z0-9_+-]++)*+@(?:[a-z0-9]{1,63}(?:-[a-z0-9]++)*+\.)++[a-z]{2,63}", re.ASCII
)
_MAX_COMMON_ADDRESS_CHARACTERS = 64


def normalise(value: str) -> str:
    """The form in which addresses are stored and searched: lower case, trimmed, without invisible characters."""
    return value.translate(_REMOVE_INVISIBLE).strip(string.whitespace).lower()


def parse(value: str) -> str:
    """Parse an address and return its normalised form. Raises `RecipientError`."""
    if len(value) <= _MAX_COMMON_ADDRESS_CHARACTERS and _COMMON_ADDRESS.fullmatch(value):
        return value
    address = (
        value.translate(_REMOVE_INVISIBLE).strip(string.whitespace)
        if len(value) <= 2 * MAX_ADDRESS_CHARACTERS
        else value
    )
    local, at, host = address.rpartition("@")
    if len(address) > MAX_ADDRESS_CHARACTERS or not at or not _LOCAL_PART.fullmatch(local) or not _is_host(host):
        raise RecipientError(UserErrorCode.EMAIL_INVALID, "This is not an email address.")
    return address.lower()


def _is_host(host: str) -> bool:
    try:
        ascii_host = host.lower() if host.isascii() else host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return False
    labels = ascii_host.split(".")
    return (
        len(ascii_host) <= MAX_HOST_CHARACTERS
        and len(labels) > 1
        and all(len(label) <= MAX_LABEL_CHARACTERS and _LABEL.fullmatch(label) for label in labels)
        and _LAST_LABEL.fullmatch(labels[-1]) is not None
    )
