"""Small tasks of one kind that run at the same time become one, as commits do in a database: a round trip for many."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Action = Callable[[Sequence[Any]], Awaitable[None]]

LARGE = 100
"""Items of a task that is worth a round trip of its own."""

MOST = 1_000
"""Items of one batch."""

SIDE_BY_SIDE = 8
"""Batches of one kind under way at once, so that slow items do not keep all others."""

LARGE_SIDE_BY_SIDE = 4

GATHERING = 0.01
"""Seconds in which others may join a batch before it starts."""


class _Asked(NamedTuple):
    items: Sequence[Any]
    done: asyncio.Future[None]


class Batches:
    """Runs what tasks ask for: large ones alone, a few at a time, small ones together."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(LARGE_SIDE_BY_SIDE)
        self._waiting: defaultdict[str, deque[_Asked]] = defaultdict(deque)
        self._running: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)

    async def run(self, kind: str, items: Sequence[Any], action: Action) -> None:
        """Have `action` done to these items, perhaps along with others of the same kind; raises what it raises."""
        if len(items) >= LARGE:
            async with self._large:
                await action(items)
            return
        asked = _Asked(items, asyncio.get_running_loop().create_future())
        self._waiting[kind].append(asked)
        running = self._running[kind]
        # One that has just ended looks no more, though nobody has taken it out yet.
        if sum(not task.done() for task in running) < SIDE_BY_SIDE:
            task = asyncio.create_task(self._drain(kind, action))
            running.add(task)
            task.add_done_callback(running.discard)
        await asked.done

    async def _drain(self, kind: str, action: Action) -> None:
        while self._waiting[kind]:
            await asyncio.sleep(GATHERING)
            batch = self._next(kind)
            if not batch:
                continue
            try:
                await action([item for asked in batch for item in asked.items])
            except Exception as error:  # noqa: BLE001 - it belongs to those who asked
                _tell(batch, error)
            except BaseException:
                _tell(batch, asyncio.CancelledError())
                raise
            else:
                _tell(batch, None)

    def _next(self, kind: str) -> list[_Asked]:
        waiting, batch, count = self._waiting[kind], [], 0
        while waiting and count + len(waiting[0].items) <= MOST:
            batch.append(waiting.popleft())
            count += len(batch[-1].items)
        return batch


def _tell(batch: list[_Asked], error: BaseException | None) -> None:
    for asked in batch:
        if asked.done.done():
            continue
        if error is None:
            asked.done.set_result(None)
        else:
            asked.done.set_exception(error)
