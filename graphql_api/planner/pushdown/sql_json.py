"""SQL for values as JSON, in the same characters that orjson would write: text, or null where there is no value.

Where GraphQL would report an error (a null that is not allowed, or a value that the schema's enum lacks), the
expression is the poison value: a character that JSON never contains. A result that contains it is discarded.
"""

from __future__ import annotations

import math
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import orjson
from graphql import GraphQLEnumType, GraphQLNonNull, is_leaf_type
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Enum, Integer, String, Uuid

from graphql_api.planner.errors import NotPlannable
from graphql_api.planner.selections import enum_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graphql import GraphQLLeafType, GraphQLOutputType

    from graphql_api.planner.steps.selects import TableColumn

POISON = "\x01"
POISON_SQL = "E'\\x01'"
MAX_CASES = 64
"""Combinations of values for which a function is evaluated when an operation is compiled."""
_TIMESTAMP = """replace(to_char({}, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '')"""

ColumnValues: TypeAlias = tuple[object, ...]


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def column_json(kind: GraphQLLeafType, column: TableColumn, sql: str, *, nullable: bool) -> str:  # noqa: PLR0911 - a line for each type
    """A column, whose SQL is given, as JSON; raises `NotPlannable` for a type that only Python can write."""
    if isinstance(kind, GraphQLEnumType):
        names: dict[ColumnValues, str | None] = {(str(value),): _json(name) for value, name in enum_names(kind).items()}
        return _case_expression(names | ({(None,): None} if nullable else {}), [sql])
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
            text = f"""'"'||{_TIMESTAMP.format(sql)}||'Z"'"""
            # `to_char` of an infinite timestamp is null, as it is of null.
            return f"CASE WHEN {sql} IS NOT NULL THEN coalesce({text}, {POISON_SQL}) END" if nullable else text
        case "Date" if isinstance(stored, Date):
            return f"""'"'||to_char({sql}, 'YYYY-MM-DD')||'"'"""
    raise NotPlannable


def function_json(
    kind: GraphQLOutputType, function: Callable[..., object], columns: Mapping[str, TableColumn], *, non_null: bool
) -> str:
    """A function of columns with few possible values, as a CASE over them; raises `NotPlannable` for any other.

    `columns` are the arguments, by their SQL; with `non_null`, only a nullable column can be null.
    """
    inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
    domains = [_possible_values(column, non_null=non_null) for column in columns.values()]
    if not domains or not is_leaf_type(inner) or math.prod(map(len, domains)) > MAX_CASES:
        raise NotPlannable
    results = {values: _function_result(inner, function, values) for values in product(*domains)}
    return _case_expression(results, list(columns))


def cursor_json(order: str, sort_keys: Sequence[tuple[str, type]]) -> str:
    """The cursor of a row, as `loaders.core.paging.encode_cursor` writes it.

    Takes the name of the order, and the SQL and the Python type of each sort key.
    """
    values = "||','||".join(_sort_key_json(sql, kind) for sql, kind in sort_keys)
    text = f"{quoted('[' + _json(order) + ',')}||{values}||']'"
    encoded = f"encode(convert_to({text}, 'UTF8'), 'base64')"
    return f"""'"'||translate({encoded}, E'+/=\\n', '-_')||'"'"""


def _sort_key_json(sql: str, kind: type) -> str:
    if issubclass(kind, datetime):
        # The driver reads an infinite timestamp as the first or the last datetime.
        first, last = _json(datetime.min), _json(datetime.max)  # noqa: DTZ901 - naive UTC, as the database
        infinite = f"CASE WHEN {sql} > now() THEN {quoted(last)} ELSE {quoted(first)} END"
        return f"""coalesce('"'||{_TIMESTAMP.format(sql)}||'"', {infinite})"""
    if issubclass(kind, UUID):
        return f"""'"'||{sql}::text||'"'"""
    if issubclass(kind, int):
        return f"{sql}::text"
    if issubclass(kind, str):
        return f"to_json({sql}::text)::text"
    raise NotPlannable


def _function_result(kind: GraphQLLeafType, function: Callable[..., object], values: ColumnValues) -> str | None:
    """The result of a function as JSON; None for null, and the poison value where it raises an exception."""
    try:
        result = function(*values)
        return None if result is None else _json(kind.coerce_output_value(result))
    except Exception:  # noqa: BLE001 - graphql-core reports it
        return POISON


def _case_expression(results: Mapping[ColumnValues, str | None], columns: Sequence[str]) -> str:
    """Nested CASEs: for each value of the first column, the results of the other columns' values."""
    if not columns:
        result = results[()]
        return "NULL" if result is None else POISON_SQL if result == POISON else quoted(result)
    column, *others = columns
    by_value: dict[object, dict[ColumnValues, str | None]] = {}
    for (value, *rest), result in results.items():
        by_value.setdefault(value, {})[tuple(rest)] = result
    of_null = by_value.pop(None, None)
    whens = " ".join(
        f"WHEN {quoted(_stored_text(value))} THEN {_case_expression(rest, others)}" for value, rest in by_value.items()
    )
    cases = f"CASE {column}::text {whens} ELSE {POISON_SQL} END"
    if of_null is None:
        return cases
    return f"CASE WHEN {column} IS NULL THEN {_case_expression(of_null, others)} ELSE {cases} END"


def _possible_values(column: TableColumn, *, non_null: bool) -> ColumnValues:
    """Every value of a boolean column, of an enum, or of a column whose model lists its values."""
    if isinstance(column.type, Boolean):
        values: ColumnValues = (True, False)
    elif isinstance(column.type, Enum):
        values = tuple(column.type.enums)
    elif "words" in column.info:
        values = tuple(map(str, column.info["words"]))
    else:
        raise NotPlannable
    return values if non_null and not column.nullable else (*values, None)


def _stored_text(value: object) -> str:
    """A value as PostgreSQL casts it to text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
