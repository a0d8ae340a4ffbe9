"""The database's shape: bring it up to date, take it back, compare it with the models."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine

from graphql_api.settings import asyncpg_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


async def upgrade(url: str, revision: str = "head") -> None:
    """Apply every migration up to a revision.

    A database that Notify made keeps its tables, and gets ours. Raises RuntimeError if the connection is pooled.
    """
    await _run(url, lambda config: command.upgrade(config, revision), adopt=True)


async def downgrade(url: str, revision: str) -> None:
    """Undo migrations down to a revision, or `base`. Raises RuntimeError rather than drop a table that Notify made."""
    await _run(url, lambda config: command.downgrade(config, revision))


async def check(url: str) -> None:
    """Compare the database with the models. Raises alembic's CommandError, which tells the differences."""
    await _run(url, command.check)


async def current(url: str) -> str | None:
    """The revision that the database is at, or None where no migration has been."""
    engine = create_async_engine(asyncpg_url(url), poolclass=pool.NullPool)

    def read(connection: Connection) -> str | None:
        return MigrationContext.configure(
            connection, opts={"version_table": "graphql_api_version"}
        ).get_current_revision()

    async with engine.connect() as connection:
        return await connection.run_sync(read)


async def _run(url: str, action: Callable[[Config], Any], **attributes: Any) -> None:
    """Let alembic do something, in a thread: it runs an event loop of its own."""

    def alone() -> None:
        with _ALEMBIC:
            action(Config(toml_file=PYPROJECT, attributes={"url": url, **attributes}))

    await asyncio.to_thread(alone)


# Alembic keeps what it is doing in a global: once at a time in a process.
_ALEMBIC = threading.Lock()
