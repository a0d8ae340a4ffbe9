"""What one operation has come to: counted where it happens, however deep, and read where the operation ends."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

MESSAGE_COUNT_KEY = "messages"
"""Where the `info` of a session says how many messages its transaction has made: they count once it is kept."""


@dataclass(slots=True)
class OperationStats:
    """The counts of one operation."""

    statements: int = 0
    """Sent to the database; the bookkeeping of transactions is none."""
    messages: int = 0
    """Accepted for sending, in transactions that were kept."""
    error_codes: frozenset[str] = frozenset()
    """Codes of what the domain refused, which are errors to the caller though not to GraphQL."""
    respond_not_before: float = 0.0
    """When it may be answered, by `time.monotonic`: an answer that came sooner would tell what it must not."""


_CURRENT: ContextVar[OperationStats | None] = ContextVar("tally", default=None)


def begin() -> OperationStats:
    """A new tally, for all that happens from here in this task and those that it starts."""
    tally = OperationStats()
    _CURRENT.set(tally)
    return tally


def current() -> OperationStats:
    """The tally of the operation under way; an empty one where nothing is counted."""
    return _CURRENT.get() or OperationStats()


def add(*, statements: int = 0, messages: int = 0, error_codes: frozenset[str] = frozenset()) -> None:
    """Count towards the operation under way, where there is one."""
    tally = _CURRENT.get()
    if tally is not None:
        tally.statements += statements
        tally.messages += messages
        tally.error_codes |= error_codes


def delay_response(until: float) -> None:
    """Let the operation under way be answered no sooner than that, by `time.monotonic`."""
    tally = _CURRENT.get()
    if tally is not None:
        tally.respond_not_before = until
