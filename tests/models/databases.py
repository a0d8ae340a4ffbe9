"""Databases for single tests, on the server of the tests."""

from __future__ import annotations

import re
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from graphql_api import postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def scratch_database(postgres_url: str) -> AsyncIterator[str]:
    """The URL of a new, empty database, which is dropped at the end of the context."""
    name = f"scratch_{uuid4().hex}"
    admin = await asyncpg.connect(postgres_url)
    try:
        await admin.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@asynccontextmanager
async def open_connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection to a database."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def dump_sql(url: str, *tables: str, section: str = "--schema-only") -> str:
    """The output of `pg_dump` for a database or some of its tables, without its random keys."""
    command = [str(postgres.find_binaries() / "pg_dump"), section, "--no-owner", "--dbname", url]
    command += [f"--table={table}" for table in tables]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)


async def execute(url: str, *statements: str) -> None:
    """Send statements to a database, one after the other."""
    async with open_connection(url) as connection:
        for statement in statements:
            await connection.execute(statement)
