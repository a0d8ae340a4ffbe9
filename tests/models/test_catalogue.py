"""A migrated database has Notify's tables with the columns and names of `notify_catalogue.json`.

All but `alembic_version`, by which a database that Notify created is recognised.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.models.databases import cloned, open_connection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

CATALOGUE = json.loads((Path(__file__).parent / "notify_catalogue.json").read_text())

COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
    || coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), '')
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
CONSTRAINTS = """
SELECT conname, pg_get_constraintdef(oid, true) FROM pg_constraint
WHERE conrelid = $1::regclass AND contype IN ('p', 'f', 'u', 'c') AND convalidated
"""
INDEXES = """
SELECT relname, CASE WHEN indisunique THEN 'unique ' ELSE '' END
    || split_part(pg_get_indexdef(indexrelid), ' USING ', 2)
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = $1::regclass AND indisvalid
"""
STATISTICS = "SELECT stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxrelid = $1::regclass"
LETTER_RATES = """
SELECT concat_ws(' ', to_char(start_date, $1), coalesce(to_char(end_date, $1), 'None'), sheet_count, rate,
    initcap(crown::text), post_class)
FROM letter_rates
"""
ROWS = {
    "provider_details": """SELECT concat_ws(' ', identifier, display_name, notification_type, priority,
        initcap(active::text), version, initcap(supports_international::text)) FROM provider_details""",
    "organisation_types": "SELECT name || ' ' || coalesce(initcap(is_crown::text), 'None') FROM organisation_types",
    "rates": """SELECT concat_ws(' ', to_char(valid_from, 'YYYY-MM-DD"T"HH24:MI:SS'), rate, notification_type)
        FROM rates""",
    "default_annual_allowance": """SELECT concat_ws(' ', valid_from_financial_year_start, notification_type,
        coalesce(organisation_type, 'None'), allowance) FROM default_annual_allowance""",
}


@pytest_asyncio.fixture(scope="module")
async def database(postgres_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with every migration."""
    async with cloned(postgres_url) as url, open_connection(url) as connection:
        yield connection


async def describe(database: asyncpg.Connection, query: str, table: str) -> dict[str, str]:
    return {name: text.replace("public.", "") for name, text in await database.fetch(query, table)}


def kind_and_columns(statistics: str) -> tuple[str, frozenset[str]]:
    """Kind and columns of extended statistics; PostgreSQL lists the columns in the order of the table."""
    kind, columns = re.search(r"\((\w+)\) ON ([\w, ]+?)(?: FROM .*)?$", statistics).groups()  # type: ignore[union-attr]
    return kind, frozenset(columns.split(", "))


@pytest.mark.parametrize("table", CATALOGUE["tables"])
async def test_a_table_of_notify_is_the_same_as_in_notify(database: asyncpg.Connection, table: str) -> None:
    expected: dict[str, Any] = CATALOGUE["tables"][table]
    indexes = await describe(database, INDEXES, table)
    statistics = await describe(database, STATISTICS, table)

    assert await describe(database, COLUMNS, table) == expected["columns"]
    assert await describe(database, CONSTRAINTS, table) == expected.get("constraints", {})
    assert {name: indexes.get(name) for name in expected.get("indexes", {})} == expected.get("indexes", {})
    assert {name: kind_and_columns(text) for name, text in statistics.items()} == {
        name: kind_and_columns(text) for name, text in expected.get("statistics", {}).items()
    }


@pytest.mark.parametrize("name", CATALOGUE["enums"])
async def test_an_enum_of_notify_has_the_same_labels_in_the_same_order(database: asyncpg.Connection, name: str) -> None:
    labels = await database.fetch(
        "SELECT enumlabel FROM pg_enum WHERE enumtypid = $1::regtype ORDER BY enumsortorder", name
    )

    assert [label for (label,) in labels] == CATALOGUE["enums"][name]


async def test_the_view_of_all_messages_is_the_same_as_in_notify(database: asyncpg.Connection) -> None:
    view = "notifications_all_time_view"
    columns = await describe(database, COLUMNS, view)
    definition = await database.fetchval("SELECT pg_get_viewdef($1::regclass)", view)
    names = ", ".join(columns)

    assert list(columns.items()) == list(CATALOGUE["view"].items())
    assert " ".join(re.sub(r"\b\w+\.", "", definition).split()) == (
        f"SELECT {names} FROM notifications UNION ALL SELECT {names} FROM notification_history;"
    )


async def test_the_extensions_of_notify_are_installed(database: asyncpg.Connection) -> None:
    extensions = await database.fetch("SELECT extname FROM pg_extension")

    assert {name for (name,) in extensions} >= set(CATALOGUE["extensions"])


@pytest.mark.parametrize("table", [name for name in CATALOGUE["rows"] if name != "letter_rates"])
async def test_a_table_of_permitted_values_or_rates_has_notifys_rows(database: asyncpg.Connection, table: str) -> None:
    rows = await database.fetch(ROWS.get(table, f"SELECT name FROM {table}"))

    assert sorted(text for (text,) in rows) == CATALOGUE["rows"][table]


async def test_the_history_of_providers_begins_with_their_current_versions(database: asyncpg.Connection) -> None:
    providers = await database.fetch("SELECT to_jsonb(provider_details) FROM provider_details ORDER BY id")
    versions = await database.fetch(
        "SELECT to_jsonb(provider_details_history) FROM provider_details_history ORDER BY id"
    )

    assert [json.loads(row) for (row,) in versions] == [json.loads(row) for (row,) in providers]


async def test_rates_of_letters_are_those_of_notify(database: asyncpg.Connection) -> None:
    rows = sorted(text for (text,) in await database.fetch(LETTER_RATES, 'YYYY-MM-DD"T"HH24:MI:SS'))

    assert len(rows) == CATALOGUE["rows"]["letter_rates"]["count"]
    assert hashlib.sha256("\n".join(rows).encode()).hexdigest() == CATALOGUE["rows"]["letter_rates"]["sha256"]
