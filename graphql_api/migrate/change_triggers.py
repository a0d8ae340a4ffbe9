"""The log of administrative changes: where Notify made the tables, they log only when an operator asks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from graphql_api.database.sqlstates import LOCK_NOT_AVAILABLE_SQLSTATE
from graphql_api.errors import CommandError
from graphql_api.migrate import PYPROJECT
from graphql_api.migrate.connections import open_connection
from graphql_api.models.changes import LOGGED_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

TRIGGERS_REVISION = "0052"
"""What makes the triggers, where we made the tables."""

# Whoever writes a table waits behind whoever waits for it: give up soon, and try again.
SERVER_SETTINGS = {"lock_timeout": "100ms", "application_name": "migrate"}
MAX_ATTEMPTS = 60
RETRY_INTERVAL_SECONDS = 0.5


async def create(url: str, *, write_line: Callable[[str], None]) -> None:
    """Let every administrative table log its changes, one by one.

    Raises Complaint where there is no log yet, or a table stays busy.
    """
    script = ScriptDirectory.from_config(Config(toml_file=PYPROJECT)).get_revision(TRIGGERS_REVISION)
    async with open_connection(url, SERVER_SETTINGS) as connection:
        if not await connection.scalar(text("SELECT to_regclass('change_log') IS NOT NULL")):
            raise CommandError("The database has no log yet, and its tables would fail without: migrate it first.")
        for statement in script.module.statements():
            await _execute_with_retries(connection, statement)
    write_line(f"{len(LOGGED_TABLES)} tables log their changes.")


async def _execute_with_retries(connection: AsyncConnection, statement: str) -> None:
    for _ in range(MAX_ATTEMPTS):
        try:
            await connection.exec_driver_sql(statement)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE_SQLSTATE:
                raise
            await asyncio.sleep(RETRY_INTERVAL_SECONDS)
        else:
            return
    raise CommandError("A table was too busy for its trigger: try again later; what was done stays done.")
