"""Shared by tests of migrations: migrators in processes of their own, and Notify's tables."""

from __future__ import annotations

import asyncio
import functools
import os
import re
import subprocess
import sys
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from graphql_api import postgres
from graphql_api.migrate import database_origins, dry_runs
from tests.models.databases import open_connection

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = list(ScriptDirectory.from_config(Config(toml_file=ROOT / "pyproject.toml")).walk_revisions())[::-1]
REVISIONS = [script.revision for script in SCRIPTS]


async def start_migrator(url: str, *arguments: str) -> asyncio.subprocess.Process:
    """Start a migrator in a process of its own, as a deployment does."""
    command = [sys.executable, "-m", "graphql_api", "migrate", *arguments]
    return await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run_migrator(url: str, *arguments: str) -> list[str]:
    """The lines that a migrator prints; asserts that it succeeds."""
    process = await start_migrator(url, *arguments)
    output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
    return output.decode().splitlines()


def migration_steps(lines: list[str]) -> list[str]:
    """The lines of applied revisions, without those about locks, which begin with two spaces."""
    return [line for line in lines if not line.startswith("  ")]


async def run_psql(url: str, script: str) -> None:
    """Send a script to a database, as an operator would."""
    psql = [str(postgres.find_binaries() / "psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-d", url]
    await asyncio.to_thread(subprocess.run, psql, input=script, check=True, text=True)


@functools.cache
def revision_statements() -> dict[str, list[str]]:
    """The statements that each revision sends to an empty database."""
    with asyncio.Runner() as runner:
        return runner.run(dry_runs.revision_statements())


async def create_notify_tables(url: str, revision: str = database_origins.SUPPORTED_NOTIFY_REVISION) -> None:
    """Create Notify's tables in an empty database, as its own migrations do.

    Without our triggers and concurrently built indexes on them.
    """
    statements = await asyncio.to_thread(revision_statements)
    async with open_connection(url) as connection:
        await connection.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY)")
        await connection.execute("INSERT INTO alembic_version VALUES ($1)", revision)
        for script in SCRIPTS:
            if script.revision <= database_origins.NOTIFY_BASELINE_REVISION or getattr(
                script.module, "of_notify", False
            ):
                for statement in statements[script.revision]:
                    if not re.search(rf"{database_origins.VERSION_TABLE}|log_change|CONCURRENTLY", statement):
                        await connection.execute(statement)
