"""Databases for single tests, on the server of the tests: empty ones, and clones of a migrated one."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from graphql_api import migrate, postgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


RUN = os.environ.setdefault("NOTIFY_TEST_RUN", uuid4().hex)
"""Id that all processes of a run of the tests share: workers of pytest-xdist inherit the environment."""
TEMPLATE = f"template_{RUN}"
_TEMPLATE_LOCK = 7_046_029_254_386_353_131


@asynccontextmanager
async def scratch_database(postgres_url: str, *, template: str = "template1") -> AsyncIterator[str]:
    """The URL of a new database, empty or cloned from a template, which is dropped at the end of the context."""
    name = f"scratch_{uuid4().hex}"
    admin = await asyncpg.connect(postgres_url)
    try:
        # Copying files is fastest for a migrated database; the default, WAL_LOG, writes everything twice.
        strategy = "" if template == "template1" else "STRATEGY file_copy"
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}")
        try:
            yield _database_url(postgres_url, name)
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@asynccontextmanager
async def cloned(postgres_url: str) -> AsyncIterator[str]:
    """The URL of a database at the latest revision with the lookup rows only, dropped at the end of the context."""
    async with open_connection(postgres_url) as admin:
        # The first process migrates the template, the others wait.
        await admin.execute("SELECT pg_advisory_lock($1)", _TEMPLATE_LOCK)
        if not await admin.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", TEMPLATE):
            await admin.execute(f"CREATE DATABASE {TEMPLATE}_unfinished")
            await migrate.upgrade(_database_url(postgres_url, f"{TEMPLATE}_unfinished"))
            await admin.execute(f"ALTER DATABASE {TEMPLATE}_unfinished RENAME TO {TEMPLATE}")
    async with scratch_database(postgres_url, template=TEMPLATE) as url:
        yield url


async def drop_template(postgres_url: str) -> None:
    """Drop the template of this run, for a server that keeps running."""
    async with open_connection(postgres_url) as admin:
        for name in (TEMPLATE, f"{TEMPLATE}_unfinished"):
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _database_url(postgres_url: str, database: str) -> str:
    return urlsplit(postgres_url)._replace(path=f"/{database}").geturl()


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
