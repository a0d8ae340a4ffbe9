"""Statistics of the current operation: added to by any code below it, and read where the operation ends.

They live in a context variable: `begin()` starts new ones, `current()` reads, `add()` and `delay_response()` write.
Without a current operation, as in the worker, writes do nothing.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphql_api.errors import RequestError

MESSAGE_COUNT_KEY = "messages"
"""The key in a session's `info` of the messages that its transaction has created: they count when it commits."""


@dataclass(slots=True)
class OperationStats:
    """The statistics of one operation."""

    statements: int = 0
    """SQL statements executed, without those of transactions and savepoints."""
    messages: int = 0
    """Notifications accepted for sending, in transactions that committed."""
    error_codes: frozenset[str] = frozenset()
    """Values of `extensions.code` and of `userErrors` codes: errors to the caller, of GraphQL or not."""
    respond_not_before: float = 0.0
    """The earliest time of the response, in seconds of `time.monotonic`: an earlier one would leak information."""


_CURRENT: ContextVar[OperationStats | None] = ContextVar("operation_stats", default=None)


def begin() -> OperationStats:
    """Start the statistics of an operation, for this task and the tasks that it creates."""
    stats = OperationStats()
    _CURRENT.set(stats)
    return stats


def current() -> OperationStats:
    """The statistics of the current operation; empty ones without an operation."""
    return _CURRENT.get() or OperationStats()


def add(*, statements: int = 0, messages: int = 0, error_codes: frozenset[str] = frozenset()) -> None:
    """Add to the statistics of the current operation, if there is one."""
    stats = _CURRENT.get()
    if stats is not None:
        stats.statements += statements
        stats.messages += messages
        stats.error_codes |= error_codes


def add_error(error: RequestError) -> None:
    """Add the code of an error that refuses the current operation."""
    add(error_codes=frozenset({error.code}))


def delay_response(until: float) -> None:
    """Let the response of the current operation wait until a time of `time.monotonic`, in seconds."""
    stats = _CURRENT.get()
    if stats is not None:
        stats.respond_not_before = until
