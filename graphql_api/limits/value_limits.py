"""What any value of a request may hold, whatever type it is for: checked before anything is done with it."""

from __future__ import annotations

import math
from typing import Any

from graphql import FloatValueNode, IntValueNode, ListValueNode, ObjectValueNode, StringValueNode, ValueNode

from graphql_api.errors import BadRequest

DEEPEST = 16
MOST_VALUES = 20_000
LONGEST_LIST = 1_000
LONGEST_TEXT = 1 << 16
"""Characters of a text, unless it stands under one of `LARGE`."""
LARGE = frozenset({"content", "body"})
"""Names of input fields that hold a file or a template: as long as a request may be."""
INTEGERS = range(-(2**63), 2**63)
DIGITS = 20


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
        if count > MOST_VALUES:
            raise BadRequest(f"Variables may hold {MOST_VALUES:,} values at most.")
        if isinstance(value, str):
            check_text(value)
            if len(value) > LONGEST_TEXT and name not in LARGE:
                raise BadRequest(f"A text may have {LONGEST_TEXT:,} characters at most.")
        elif isinstance(value, list | dict):
            if depth > DEEPEST:
                raise BadRequest(f"Variables may be nested {DEEPEST} deep at most.")
            _check_size(len(value))
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
    if depth > DEEPEST:
        raise BadRequest(f"Values may be nested {DEEPEST} deep at most.")
    match node:
        case StringValueNode(value=text):
            check_text(text)
        case IntValueNode(value=digits):
            _check_number(_integer(digits))
        case FloatValueNode(value=digits):
            _check_number(float(digits))
        case ListValueNode(values=values):
            _check_size(len(values))
            for one in values:
                check_literal(one, depth + 1)
        case ObjectValueNode(fields=fields):
            for one_field in fields:
                check_literal(one_field.value, depth + 1)
        case _:
            pass


def _integer(digits: str) -> int:
    if len(digits) > DIGITS:
        raise BadRequest("A number has too many digits.")
    return int(digits)


def _check_number(value: Any) -> None:
    if isinstance(value, int):
        if value not in INTEGERS:
            raise BadRequest("A number has too many digits.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise BadRequest("A number is out of range.")


def _check_size(size: int) -> None:
    if size > LONGEST_LIST:
        raise BadRequest(f"A list or an object may hold {LONGEST_LIST:,} values at most.")
