"""What any value of a request may hold, whatever type it is for: checked before anything is done with it."""

from __future__ import annotations

import math
from typing import Any

from graphql import FloatValueNode, IntValueNode, ListValueNode, ObjectValueNode, StringValueNode, ValueNode

from graphql_api.errors import BadRequest

MAX_VALUE_DEPTH = 16
MAX_VARIABLE_VALUES = 20_000
MAX_LIST_ITEMS = 1_000
MAX_TEXT_CHARACTERS = 1 << 16
"""Characters of a text, unless it stands under one of `LARGE`."""
LARGE_TEXT_FIELDS = frozenset({"content", "body"})
"""Names of input fields that hold a file or a template: as long as a request may be."""
INTEGER_RANGE = range(-(2**63), 2**63)
MAX_INTEGER_DIGITS = 20


def check_text(value: str) -> None:
    """Refuse what no text of the database can hold: the character NUL, and half a surrogate pair."""
    if value.isascii():
        if "\0" in value:
            raise BadRequest("Text may not hold the character NUL.")
        return
    try:
        if b"\0" in value.encode():
            raise BadRequest("Text may not hold the character NUL.")
    except UnicodeEncodeError as error:
        raise BadRequest("Text may not hold half a surrogate pair.") from error


def check_variables(variables: dict[str, Any]) -> None:
    """Refuse variables that are too deep, too many, too long, or hold what cannot be kept."""
    count = 0
    waiting: list[tuple[str, Any, int]] = [(name, value, 1) for name, value in variables.items()]
    for name in variables:
        check_text(name)
    while waiting:
        name, value, depth = waiting.pop()
        count += 1
        if count > MAX_VARIABLE_VALUES:
            raise BadRequest(f"Variables may hold {MAX_VARIABLE_VALUES:,} values at most.")
        if isinstance(value, str):
            check_text(value)
            if len(value) > MAX_TEXT_CHARACTERS and name not in LARGE_TEXT_FIELDS:
                raise BadRequest(f"A text may have {MAX_TEXT_CHARACTERS:,} characters at most.")
        elif isinstance(value, list | dict):
            if depth > MAX_VALUE_DEPTH:
                raise BadRequest(f"Variables may be nested {MAX_VALUE_DEPTH} deep at most.")
            _check_item_count(len(value))
            if isinstance(value, list):
                waiting.extend(("", one, depth + 1) for one in value)
            else:
                for key in value:
                    check_text(key)
                waiting.extend((key, one, depth + 1) for key, one in value.items())
        else:
            _check_number(value)


def check_literal(node: ValueNode, depth: int = 0) -> None:
    """Refuse a value in the document that could not be a variable's."""
    if depth > MAX_VALUE_DEPTH:
        raise BadRequest(f"Values may be nested {MAX_VALUE_DEPTH} deep at most.")
    match node:
        case StringValueNode(value=text):
            check_text(text)
        case IntValueNode(value=digits):
            _check_number(_parse_integer(digits))
        case FloatValueNode(value=digits):
            _check_number(float(digits))
        case ListValueNode(values=values):
            _check_item_count(len(values))
            for one in values:
                check_literal(one, depth + 1)
        case ObjectValueNode(fields=fields):
            for one_field in fields:
                check_literal(one_field.value, depth + 1)
        case _:
            pass


def _parse_integer(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise BadRequest("A number has too many digits.")
    return int(digits)


def _check_number(value: Any) -> None:
    if isinstance(value, int):
        if value not in INTEGER_RANGE:
            raise BadRequest("A number has too many digits.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise BadRequest("A number is out of range.")


def _check_item_count(size: int) -> None:
    if size > MAX_LIST_ITEMS:
        raise BadRequest(f"A list or an object may hold {MAX_LIST_ITEMS:,} values at most.")
