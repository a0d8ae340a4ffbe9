"""Batches: small tasks run together, large ones alone, and each gets its own result."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from graphql_api.worker.batches import LARGE_TASK_ITEMS, TaskBatcher
from tests.waiting import WAIT_TIMEOUT_SECONDS


async def test_small_tasks_of_a_kind_are_batched_and_large_ones_run_alone() -> None:
    batches, done = TaskBatcher(), []

    async def action(items: Sequence[Any]) -> None:
        done.append(list(items))

    large = list(range(LARGE_TASK_ITEMS))
    await asyncio.gather(
        *(batches.run("a", [n], action) for n in range(30)),
        batches.run("b", ["x", "y"], action),
        batches.run("a", large, action),
    )

    assert sorted(done, key=len) == [["x", "y"], list(range(30)), large]


async def test_later_tasks_join_the_next_batch() -> None:
    batches, done = TaskBatcher(), []
    started, ending = asyncio.Event(), asyncio.Event()

    async def action(items: Sequence[Any]) -> None:
        started.set()
        await ending.wait()
        done.append(list(items))

    first = asyncio.create_task(batches.run("a", [1], action))
    await started.wait()
    later = [asyncio.create_task(batches.run("a", [number], action)) for number in (2, 3)]
    ending.set()
    await asyncio.gather(first, *later)

    assert done == [[1], [2, 3]]


async def test_a_task_that_arrives_while_the_last_batch_ends_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphql_api.worker.batches.MAX_CONCURRENT_BATCHES", 1)
    batches, done = TaskBatcher(), []

    async def action(items: Sequence[Any]) -> None:
        done.append(list(items))

    async with asyncio.timeout(WAIT_TIMEOUT_SECONDS):
        await batches.run("a", [1], action)
        await batches.run("a", [2], action)

    assert done == [[1], [2]]


async def test_a_failed_batch_fails_for_its_own_tasks_only() -> None:
    batches = TaskBatcher()

    async def action(items: Sequence[Any]) -> None:
        if 2 in items:
            raise ValueError("two")

    errors = await asyncio.gather(*(batches.run("a", [n], action) for n in (1, 2)), return_exceptions=True)
    assert [str(error) for error in errors] == ["two", "two"]
    with pytest.raises(ValueError, match="two"):
        await batches.run("a", [2], action)
    await batches.run("a", [3], action)
