"""Waiting for what happens, not for seconds: a slow machine needs more of them."""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

WAIT_TIMEOUT_SECONDS = 120.0
"""Seconds after which something does not happen any more, on the slowest machine."""
LOCK_WAITS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


async def until(holds: Callable[[], object]) -> None:
    """Wait until what is called, or awaited, answers something true; TimeoutError after `WAIT_TIMEOUT_SECONDS`."""
    async with asyncio.timeout(WAIT_TIMEOUT_SECONDS):
        while not await _value(holds()):  # noqa: ASYNC110 - what it waits for tells nothing of itself
            await asyncio.sleep(0.01)


async def _value(answer: Any) -> bool:
    return bool(await answer if inspect.isawaitable(answer) else answer)


async def until_one_waits_for_a_lock(engine: AsyncEngine, *, or_ends: asyncio.Future[Any] | None = None) -> None:
    """Wait until a statement in the database of this engine waits for a lock, or a task ends without one."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")

        async def waits() -> bool:
            return (or_ends is not None and or_ends.done()) or bool(await connection.scalar(LOCK_WAITS))

        await until(waits)


def never_idle_too_long(engine: AsyncEngine) -> None:
    """Let transactions of a test hold a lock until what it is about has happened, in a process that starts slowly."""

    def connected(connection: Any, _record: object) -> None:
        connection.run_async(lambda driver: driver.execute("SET idle_in_transaction_session_timeout = 0"))

    event.listen(engine.sync_engine, "connect", connected)


def attempts() -> Iterator[None]:
    """Try again and again, for code that is not asynchronous; AssertionError after `WAIT_TIMEOUT_SECONDS`."""
    end = time.monotonic() + WAIT_TIMEOUT_SECONDS
    while time.monotonic() < end:
        yield
        time.sleep(0.02)
    raise AssertionError(f"It did not happen within {WAIT_TIMEOUT_SECONDS:.0f} seconds.")
