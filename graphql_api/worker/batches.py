"""Batching of small concurrent tasks of one kind, to share round trips to the database."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Action = Callable[[Sequence[Any]], Awaitable[None]]

LARGE_TASK_ITEMS = 100
"""A task with so many items runs alone."""

MAX_BATCH_ITEMS = 1_000
"""Upper limit of the items in a batch."""

MAX_CONCURRENT_BATCHES = 8
"""Concurrent batches of one kind, so that slow items do not delay all others."""

MAX_CONCURRENT_LARGE_TASKS = 4
"""Of every kind together."""

BATCH_WINDOW_SECONDS = 0.01
"""Time before a batch starts, in which tasks can join it."""


class _PendingItems(NamedTuple):
    items: Sequence[Any]
    future: asyncio.Future[None]


class TaskBatcher:
    """Runs large tasks alone, a few at once, and small ones in batches."""

    def __init__(self) -> None:
        self._large_semaphore = asyncio.Semaphore(MAX_CONCURRENT_LARGE_TASKS)
        self._waiting: defaultdict[str, deque[_PendingItems]] = defaultdict(deque)
        self._running: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)

    async def run(self, kind: str, items: Sequence[Any], action: Action) -> None:
        """Call `action` with these items, possibly with others of the same kind in one call; raises its error."""
        if len(items) >= LARGE_TASK_ITEMS:
            async with self._large_semaphore:
                await action(items)
            return
        pending = _PendingItems(items, asyncio.get_running_loop().create_future())
        self._waiting[kind].append(pending)
        running = self._running[kind]
        # A task that is done reads no more items, though its callback may not have run yet.
        if sum(not task.done() for task in running) < MAX_CONCURRENT_BATCHES:
            task = asyncio.create_task(self._drain(kind, action))
            running.add(task)
            task.add_done_callback(running.discard)
        await pending.future

    async def _drain(self, kind: str, action: Action) -> None:
        while self._waiting[kind]:
            await asyncio.sleep(BATCH_WINDOW_SECONDS)
            batch = self._next_batch(kind)
            if not batch:
                continue
            try:
                await action([item for pending in batch for item in pending.items])
            except Exception as error:  # noqa: BLE001 - `run` raises it
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
    for pending in batch:
        if pending.future.done():
            continue
        if error is None:
            pending.future.set_result(None)
        else:
            pending.future.set_exception(error)
