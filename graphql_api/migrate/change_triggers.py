"""Triggers that log administrative changes: on tables that GOV.UK Notify created, only on request."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from graphql_api.database.sqlstates import sqlstate
from graphql_api.errors import CommandError
from graphql_api.migrate.connections import open_connection
from graphql_api.migrate.locks import LOCK_SQLSTATES, retry_until_locked
from graphql_api.migrate.runner import PYPROJECT
from graphql_api.models.changes import LOGGED_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

TRIGGERS_REVISION = "0052"
"""The revision that creates the triggers on tables that our migrations created."""

# Writers of a table queue behind a session that waits for its lock: a short timeout, and retries.
SERVER_SETTINGS = {"lock_timeout": "100ms", "application_name": "migrate"}
RETRY_TIMEOUT_SECONDS = 30
"""Of each statement."""


async def create(url: str, *, write_line: Callable[[str], None]) -> None:
    """Create the triggers of every administrative table, one by one.

    Raises `CommandError` where the log's table does not exist, or the lock of a table was not available.
    """
    script = ScriptDirectory.from_config(Config(toml_file=PYPROJECT)).get_revision(TRIGGERS_REVISION)
    async with open_connection(url, SERVER_SETTINGS) as connection:
        if not await connection.scalar(text("SELECT to_regclass('change_log') IS NOT NULL")):
            raise CommandError("The database has no log yet, to which the triggers write: migrate it first.")
        for statement in script.module.statements():
            await _execute(connection, statement)
    write_line(f"{len(LOGGED_TABLES)} tables log their changes.")


async def _execute(connection: AsyncConnection, statement: str) -> None:
    deadline = time.monotonic() + RETRY_TIMEOUT_SECONDS
    try:
        await retry_until_locked(
            partial(connection.exec_driver_sql, statement),
            connection,
            is_exhausted=lambda: time.monotonic() > deadline,
        )
    except DBAPIError as error:
        if sqlstate(error) not in LOCK_SQLSTATES:
            raise
        raise CommandError("A table was too busy for its trigger. Triggers created so far stay: try again.") from error
