"""Cancelling a request whose client has disconnected, by two members of its ASGI scope.

The endpoint allows it for an operation that only reads, the HTTP protocol cancels the task, and the middleware
recognises the CancelledError by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import MutableMapping
    from typing import Any

MAY_CANCEL_KEY, CANCELLED_KEY = "notify.may_cancel", "notify.cancelled"


def allow_cancel(scope: MutableMapping[str, Any]) -> None:
    """Allow a request to be cancelled when its client disconnects."""
    scope[MAY_CANCEL_KEY] = True


def cancel(scope: MutableMapping[str, Any], task: asyncio.Task[None]) -> None:
    """Cancel the task of a request whose client has disconnected, where that is allowed."""
    if scope.get(MAY_CANCEL_KEY):
        scope[CANCELLED_KEY] = True
        task.cancel()


def is_cancelled(scope: MutableMapping[str, Any]) -> bool:
    """Whether the request was cancelled because its client disconnected."""
    return CANCELLED_KEY in scope
