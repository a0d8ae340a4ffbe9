"""The scheduled refresh of search entries."""

from __future__ import annotations

import asyncio

from graphql_api.domain import search_entries
from graphql_api.worker import schedule
from tests.waiting import WAIT_TIMEOUT_SECONDS
from tests.worker.harnesses import WorkerHarness


async def test_new_entries_are_found_after_a_refresh(harness: WorkerHarness) -> None:
    service = await harness.make.service()
    question = f"SELECT count(*) FROM search_entries WHERE row_id = '{service.id}'"
    before = await harness.fetch_value(question)

    # Two workers may refresh concurrently.
    await asyncio.gather(
        schedule.refresh_search(harness.worker_context()), schedule.refresh_search(harness.worker_context())
    )

    assert (before, await harness.fetch_value(question)) == (0, 1)
    assert schedule.SCHEDULES["refresh search"] == ("*/5 * * * *", schedule.refresh_search)


async def test_a_refresh_does_not_block_searching(harness: WorkerHarness) -> None:
    async with harness.database.transaction() as tx:
        await search_entries.refresh(tx)

        assert (
            await asyncio.wait_for(
                harness.fetch_value("SELECT count(*) >= 0 FROM search_entries"), WAIT_TIMEOUT_SECONDS
            )
            is True
        )
