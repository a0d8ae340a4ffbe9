"""Small tasks of one kind that run at the same time become one, as commits do in a database: a round trip for many."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Action = Callable[[Sequence[Any]], Awaitable[None]]

LARGE_TASK_ITEMS = 100
"""Items of a task that is worth a round trip of its own."""

MAX_BATCH_ITEMS = 1_000
"""Items of one batch."""

MAX_CONCURRENT_BATCHES = 8
"""Batches of one kind under way at once, so that slow items do not keep all others."""

MAX_CONCURRENT_LARGE_TASKS = 4

BATCH_WINDOW_SECONDS = 0.01
"""Seconds in which others may join a batch before it starts."""


class _PendingItems(NamedTuple):
    items: Sequence[Any]
    future: asyncio.Future[None]


class TaskBatcher:
    """Runs what tasks ask for: large ones alone, a few at a time, small ones together."""

    def __init__(self) -> None:
        self._large_semaphore = asyncio.Semaphore(MAX_CONCURRENT_LARGE_TASKS)
        self._waiting: defaultdict[str, deque[_PendingItems]] = defaultdict(deque)
        self._running: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)

    async def run(self, kind: str, items: Sequence[Any], action: Action) -> None:
        """Have `action` done to these items, perhaps along with others of the same kind; raises what it raises."""
        if len(items) >= LARGE_TASK_ITEMS:
            async with self._large_semaphore:
                await action(items)
            return
        asked = _PendingItems(items, asyncio.get_running_loop().create_future())
        self._waiting[kind].append(asked)
        running = self._running[kind]
        # One that has just ended looks no more, though nobody has taken it out yet.
        if sum(not task.done() for task in running) < MAX_CONCURRENT_BATCHES:
            task = asyncio.create_task(self._drain(kind, action))
            running.add(task)
            task.add_done_callback(running.discard)
        await asked.future

    async def _drain(self, kind: str, action: Action) -> None:
        while self._waiting[kind]:
            await asyncio.sleep(BATCH_WINDOW_SECONDS)
            batch = self._next_batch(kind)
            if not batch:
                continue
            try:
                await action([item for asked in batch for item in asked.items])
            except Exception as error:  # noqa: BLE001 - it belongs to those who asked
                _resolve_batch(batch, error)
            except BaseException:
                _resolve_batch(batch, asyncio.CancelledError())
                raise
            else:
                _resolve_batch(batch, None)

    def _next_batch(self, kind: str) -> list[_PendingItems]:
        waiting, batch, count = self._waiting[kind], [], 0
        while waiting and count + len(waiting[0].items) <= MAX_BATCH_ITEMS:
            batch.append(waiting.popleft())
            count += len(batch[-1].items)
        return batch


def _resolve_batch(batch: list[_PendingItems], error: BaseException | None) -> None:
    for asked in batch:
        if asked.future.done():
            continue
        if error is None:
            asked.future.set_result(None)
        else:
            asked.future.set_exception(error)
