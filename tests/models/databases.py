"""Databases of one test's own, on the server that the tests have: empty, or clones of one that is migrated once."""

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
"""What all processes of one run of the tests have in common: workers of pytest-xdist inherit the environment."""
TEMPLATE = f"template_{RUN}"
_TEMPLATE_LOCK = 7_046_029_254_386_353_131


@asynccontextmanager
async def scratch_database(postgres_url: str, *, template: str = "template1") -> AsyncIterator[str]:
    """The address of a new database, empty unless it is cloned from another, which goes afterwards."""
    name = f"scratch_{uuid4().hex}"
    admin = await asyncpg.connect(postgres_url)
    try:
        # To copy files is the quickest for what is migrated: WAL_LOG, the default, writes it all twice.
        strategy = "" if template == "template1" else "STRATEGY file_copy"
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}")
        try:
            yield _address(postgres_url, name)
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@asynccontextmanager
async def cloned(postgres_url: str) -> AsyncIterator[str]:
    """The address of a database at the latest revision, with nothing but the lookup rows, which goes afterwards."""
    async with open_connection(postgres_url) as admin:
        # Whichever process comes first migrates, and all others wait for it.
        await admin.execute("SELECT pg_advisory_lock($1)", _TEMPLATE_LOCK)
        if not await admin.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", TEMPLATE):
            await admin.execute(f"CREATE DATABASE {TEMPLATE}_unfinished")
            await migrate.upgrade(_address(postgres_url, f"{TEMPLATE}_unfinished"))
            await admin.execute(f"ALTER DATABASE {TEMPLATE}_unfinished RENAME TO {TEMPLATE}")
    async with scratch_database(postgres_url, template=TEMPLATE) as url:
        yield url


async def drop_template(postgres_url: str) -> None:
    """Leave nothing of this run on a server that outlives it."""
    async with open_connection(postgres_url) as admin:
        for name in (TEMPLATE, f"{TEMPLATE}_unfinished"):
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _address(postgres_url: str, database: str) -> str:
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
    """What `pg_dump` writes of a database, or of some of its tables, but for the words that are new each time."""
    command = [str(postgres.find_binaries() / "pg_dump"), section, "--no-owner", "--dbname", url]
    command += [f"--table={table}" for table in tables]
    dump = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", dump, flags=re.MULTILINE)


async def execute(url: str, *statements: str) -> None:
    """Send statements to a database, one after the other."""
    async with open_connection(url) as connection:
        for statement in statements:
            await connection.execute(statement)
