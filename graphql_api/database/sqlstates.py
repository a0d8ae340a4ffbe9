"""SQLSTATEs, and which errors mean that the database is unavailable, or that the same statement may succeed later."""

from __future__ import annotations

import asyncio

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

DEADLOCK_SQLSTATE = "40P01"
LOCK_NOT_AVAILABLE_SQLSTATE = "55P03"
"""SQLSTATE of a statement that waited for a lock longer than `lock_timeout`."""
PROTOCOL_VIOLATION_SQLSTATE = "08P01"
"""SQLSTATE of a pooler that is sent the settings of a connection."""
READ_ONLY_SQLSTATE = "25006"
"""SQLSTATE of a write on a server that is not, or no longer, a primary."""
SERIALIZATION_FAILURE_SQLSTATE = "40001"
"""SQLSTATE of a statement that a replica cancels because of a recovery conflict."""
UNIQUE_VIOLATION_SQLSTATE = "23505"

UNAVAILABLE_SQLSTATES = frozenset({"57P01", "57P02", "57P03", "53300", "08000", "08001", "08003", "08004", "08006"})
"""SQLSTATEs of a server that shuts down, starts, or has no connection left, and of lost connections."""
RETRYABLE_SQLSTATES = frozenset({"57014", "25P03", LOCK_NOT_AVAILABLE_SQLSTATE, READ_ONLY_SQLSTATE, DEADLOCK_SQLSTATE})
"""SQLSTATEs that the request did not cause: timeouts, deadlocks, and a primary that has become a replica."""


def sqlstate(error: BaseException | None) -> str | None:
    """The SQLSTATE of an error, wrapped by SQLAlchemy or not."""
    original = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(original, "sqlstate", None)
    return code if isinstance(code, str) else None


def is_recovery_conflict(error: BaseException) -> bool:
    """Whether a replica cancelled the statement, or ended the connection, to go on replaying."""
    return sqlstate(error) == SERIALIZATION_FAILURE_SQLSTATE or "conflict with recovery" in str(error)


def is_outage(error: BaseException | None, *, connecting: bool = False) -> bool:
    """Whether the server is unavailable, so that a read can be tried again; `connecting` counts a timeout as well."""
    if isinstance(error, TimeoutError):  # asyncpg's, of a connection or of a statement
        return connecting
    return (
        isinstance(error, OSError)
        or sqlstate(error) in UNAVAILABLE_SQLSTATES
        or (isinstance(error, DBAPIError) and error.connection_invalidated)
    )


def is_transient(error: BaseException | None) -> bool:
    """Whether the request is not the cause, and may succeed later."""
    return (
        isinstance(error, PoolTimeoutError | OperationalError | InterfaceError | asyncio.TimeoutError)
        or is_outage(error)
        or sqlstate(error) in RETRYABLE_SQLSTATES
        or sqlstate(error) == PROTOCOL_VIOLATION_SQLSTATE
    )
