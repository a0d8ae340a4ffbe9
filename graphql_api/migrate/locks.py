"""The advisory lock of migrations, and retries of statements that do not get their locks."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from graphql_api.database.sqlstates import DEADLOCK_SQLSTATE, LOCK_NOT_AVAILABLE_SQLSTATE, sqlstate
from graphql_api.migrate.database_origins import MIGRATION_LOCK_ID

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

LOCK_SQLSTATES = frozenset({LOCK_NOT_AVAILABLE_SQLSTATE, DEADLOCK_SQLSTATE})

MIN_RETRY_INTERVAL_SECONDS, MAX_RETRY_INTERVAL_SECONDS = 0.05, 0.5


async def try_migration_lock(connection: AsyncConnection) -> bool:
    """Take the advisory lock for as long as the connection lasts; false when another session has it."""
    return bool(await connection.scalar(select(func.pg_try_advisory_lock(MIGRATION_LOCK_ID))))


async def retry_until_locked(
    action: Callable[[], Awaitable[object]], connection: AsyncConnection, *, is_exhausted: Callable[[], bool]
) -> None:
    """Run `action` on the connection, and again after a rollback while a lock is not available.

    Raises the error of PostgreSQL for any other reason, and for a lock once `is_exhausted`.
    """
    while True:
        try:
            await action()
        except DBAPIError as error:
            if sqlstate(error) not in LOCK_SQLSTATES or is_exhausted():
                raise
            await connection.rollback()
            await asyncio.sleep(random.uniform(MIN_RETRY_INTERVAL_SECONDS, MAX_RETRY_INTERVAL_SECONDS))  # noqa: S311 - spreads migrators out
        else:
            return
