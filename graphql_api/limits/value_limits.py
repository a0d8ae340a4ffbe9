"""Limits of the values of a request, of any type: checked before the values are used."""

from __future__ import annotations

import math
from typing import Any

from graphql import FloatValueNode, IntValueNode, ListValueNode, ObjectValueNode, StringValueNode, ValueNode

from graphql_api.errors import BadRequest

MAX_VALUE_DEPTH = 16
MAX_VARIABLE_VALUES = 20_000
MAX_LIST_ITEMS = 1_000
MAX_TEXT_CHARACTERS = 1 << 16
"""Characters of a string, unless it is the value of one of `LARGE_TEXT_FIELDS`."""
LARGE_TEXT_FIELDS = frozenset({"content", "body"})
"""Names of input fields that hold a file or a template: limited by the request's size only."""
INTEGER_RANGE = range(-(2**63), 2**63)
MAX_INTEGER_DIGITS = 20


def check_text(value: str) -> None:
    """Raise `BadRequest` for what PostgreSQL cannot store in text: NUL, and unpaired surrogates."""
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
    """Raise `BadRequest` for variables that are nested too deep, too many, too long, or cannot be stored."""
    count = 0
    stack: list[tuple[str, Any, int]] = [(name, value, 1) for name, value in variables.items()]
    for name in variables:
        check_text(name)
    while stack:
        name, value, depth = stack.pop()
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
                stack.extend(("", item, depth + 1) for item in value)
            else:
                for key in value:
                    check_text(key)
                stack.extend((key, item, depth + 1) for key, item in value.items())
        else:
            _check_number(value)


def check_literal(node: ValueNode, depth: int = 0) -> None:
    """Raise `BadRequest` for a literal that would be refused as the value of a variable."""
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
            for item in values:
                check_literal(item, depth + 1)
        case ObjectValueNode(fields=fields):
            for member in fields:
                check_literal(member.value, depth + 1)
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
