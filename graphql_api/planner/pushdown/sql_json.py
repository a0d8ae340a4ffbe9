"""How PostgreSQL spells values as JSON, in the letters of orjson: SQL that is text, or null where there is no value.

A text that holds `MARK` is no JSON: a value that had to be there was not, or a word was none that the schema knows.
"""

from __future__ import annotations

import math
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from graphql import GraphQLEnumType, GraphQLNonNull, is_leaf_type
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Enum, Integer, String, Uuid

from graphql_api.planner.errors import Declined
from graphql_api.planner.steps.codegen import words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MARK = "\x01"
"""A character that JSON never holds as it is."""
GIVE_UP = "E'\\x01'"
MOST_CASES = 64
_INSTANT = """replace(to_char({}, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '')"""

Domain = tuple[Any, ...]


def quoted(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def leaf(kind: Any, column: Any, sql: str, *, nullable: bool) -> str:  # noqa: PLR0911 - a line for each type
    """A column as JSON; raises `Declined` for a type that is for Python to write."""
    if isinstance(kind, GraphQLEnumType):
        answers: dict[Domain, str | None] = {(str(value),): _json(name) for value, name in words(kind).items()}
        return _cases(answers | ({(None,): None} if nullable else {}), [sql])
    stored = column.type
    match kind.name:
        case "String" | "ID" if isinstance(stored, String | Enum):
            return f"to_json({sql}::text)::text"
        case "ID" if isinstance(stored, Uuid):
            return f"""'"'||{sql}::text||'"'"""
        case "Boolean" if isinstance(stored, Boolean):
            return f"{sql}::text"
        case "Int" if isinstance(stored, Integer) and not isinstance(stored, BigInteger):
            return f"{sql}::text"
        case "DateTime" if isinstance(stored, DateTime) and not stored.timezone:
            written = f"""'"'||{_INSTANT.format(sql)}||'Z"'"""
            # What has no end has no letters either, but is not none.
            return f"CASE WHEN {sql} IS NOT NULL THEN coalesce({written}, {GIVE_UP}) END" if nullable else written
        case "Date" if isinstance(stored, Date):
            return f"""'"'||to_char({sql}, 'YYYY-MM-DD')||'"'"""
    raise Declined


def known(kind: Any, via: Callable[..., Any], columns: Mapping[str, Any], *, sure: bool) -> str:
    """A function of columns that hold few values, as a case for each; raises `Declined` where one holds any.

    `columns` are the functions' arguments, by their SQL.
    """
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    domains = [_domain(column, sure=sure) for column in columns.values()]
    if not domains or not is_leaf_type(inner) or math.prod(map(len, domains)) > MOST_CASES:
        raise Declined
    return _cases({values: _answer(inner, via, values) for values in product(*domains)}, list(columns))


def cursor(name: str, keys: Sequence[tuple[str, type]]) -> str:
    """The place of a row, by the name of its order and its sort keys, as `loaders.core.paging` writes it."""
    values = "||','||".join(_sort_key(sql, kind) for sql, kind in keys)
    text = f"{quoted('[' + _json(name) + ',')}||{values}||']'"
    encoded = f"encode(convert_to({text}, 'UTF8'), 'base64')"
    return f"""'"'||translate({encoded}, E'+/=\\n', '-_')||'"'"""


def _sort_key(sql: str, kind: type) -> str:
    if issubclass(kind, datetime):
        least, most = _json(datetime.min), _json(datetime.max)  # noqa: DTZ901 - as the driver reads infinities
        endless = f"CASE WHEN {sql} > now() THEN {quoted(most)} ELSE {quoted(least)} END"
        return f"""coalesce('"'||{_INSTANT.format(sql)}||'"', {endless})"""
    if issubclass(kind, UUID):
        return f"""'"'||{sql}::text||'"'"""
    if issubclass(kind, int):
        return f"{sql}::text"
    if issubclass(kind, str):
        return f"to_json({sql}::text)::text"
    raise Declined


def _answer(kind: Any, via: Callable[..., Any], values: Domain) -> str | None:
    """What a function makes of values, as JSON; None for nothing, and the mark where it fails."""
    try:
        found = via(*values)
        return None if found is None else _json(kind.coerce_output_value(found))
    except Exception:  # noqa: BLE001 - graphql-core tells what is wrong
        return MARK


def _cases(answers: Mapping[Domain, str | None], places: Sequence[str]) -> str:
    """A case for each value of the first column, and within it for those of the others."""
    if not places:
        answer = answers[()]
        return "NULL" if answer is None else GIVE_UP if answer == MARK else quoted(answer)
    column, *others = places
    within: dict[Any, dict[Domain, str | None]] = {}
    for (first, *rest), answer in answers.items():
        within.setdefault(first, {})[tuple(rest)] = answer
    absent = within.pop(None, None)
    whens = " ".join(f"WHEN {quoted(_stored(first))} THEN {_cases(rest, others)}" for first, rest in within.items())
    cases = f"CASE {column}::text {whens} ELSE {GIVE_UP} END"
    return cases if absent is None else f"CASE WHEN {column} IS NULL THEN {_cases(absent, others)} ELSE {cases} END"


def _domain(column: Any, *, sure: bool) -> Domain:
    """Every value that a column can have: it is true or false, or one of some words."""
    if isinstance(column.type, Boolean):
        values: Domain = (True, False)
    elif isinstance(column.type, Enum):
        values = tuple(column.type.enums)
    elif "words" in column.info:
        values = tuple(map(str, column.info["words"]))
    else:
        raise Declined
    return values if sure and not column.nullable else (*values, None)


def _stored(value: Any) -> str:
    """A value as PostgreSQL casts it to text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
