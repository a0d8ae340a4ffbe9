"""What the database says when the trouble is its own, not the statement's."""

from __future__ import annotations

import asyncio

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

UNAVAILABLE_SQLSTATES = frozenset({"57P01", "57P02", "57P03", "53300", "08000", "08001", "08003", "08004", "08006"})
"""SQLSTATEs of a server that ends, begins, or takes no more connections, and of connections that are lost."""

RETRYABLE_SQLSTATES = frozenset({"57014", "55P03", "25P03", "25006", "40P01"})
"""SQLSTATEs that say nothing of the request: timeouts, deadlocks, and a primary that has become a replica."""

LOCK_NOT_AVAILABLE_SQLSTATE, DEADLOCK_SQLSTATE = "55P03", "40P01"

PROTOCOL_VIOLATION_SQLSTATE = "08P01"
"""SQLSTATE of a pooler that is sent the settings of a connection."""

SERIALIZATION_FAILURE_SQLSTATE = "40001"
"""SQLSTATE of a statement that a replica cancels because what it reads has to go."""


def sqlstate(error: BaseException | None) -> str | None:
    """The five characters by which PostgreSQL names an error, whoever has wrapped it."""
    original = error.orig if isinstance(error, DBAPIError) else error
    found = getattr(original, "sqlstate", None)
    return found if isinstance(found, str) else None


def is_recovery_conflict(error: BaseException) -> bool:
    """Whether a replica cancelled the statement, or the connection, to go on replaying."""
    return sqlstate(error) == SERIALIZATION_FAILURE_SQLSTATE or "conflict with recovery" in str(error)


def is_outage(error: BaseException | None, *, connecting: bool = False) -> bool:
    """Whether the server is not there, so that a read can be tried again; `connecting` counts a timeout as well."""
    if isinstance(error, TimeoutError):  # asyncpg's, of a connection or of a statement
        return connecting
    return (
        isinstance(error, OSError)
        or sqlstate(error) in UNAVAILABLE_SQLSTATES
        or (isinstance(error, DBAPIError) and error.connection_invalidated)
    )


def is_transient(error: BaseException | None) -> bool:
    """Whether it is the database's to mend, or a moment's: the caller may try again."""
    return (
        isinstance(error, PoolTimeoutError | OperationalError | InterfaceError | asyncio.TimeoutError)
        or is_outage(error)
        or sqlstate(error) in RETRYABLE_SQLSTATES
        or sqlstate(error) == PROTOCOL_VIOLATION_SQLSTATE
    )
