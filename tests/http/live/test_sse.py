"""Server-sent events: results as graphql-sse has them in distinct connections, while somebody may read them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from graphql_api.http import responses
from tests.http.live.conftest import RunningServer, Team, running_server
from tests.http.live.jobs import (
    COST_EXTENSION,
    JOB_PROGRESS_SUBSCRIPTION,
    change_job_status,
    create_scheduled_job,
    progress_payload,
    revoke_key,
)
from tests.waiting import PATIENCE, until
from tests.worker.harnesses import WorkerHarness, recipient_csv

COMPLETE_EVENT = ("complete", None)


@asynccontextmanager
async def open_stream(address: str, token: str, query: str, **variables: Any) -> AsyncIterator[httpx2.Response]:
    """An answer that goes on."""
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    body = {"query": query, "variables": variables}
    async with (
        httpx2.AsyncClient(timeout=PATIENCE, trust_env=False) as client,
        client.stream("POST", f"http://{address}/graphql", json=body, headers=headers) as response,
    ):
        yield response


async def read_events(response: httpx2.Response) -> AsyncIterator[tuple[str, Any]]:
    """What is told, without comments, until the body ends."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            yield name, json.loads(line.removeprefix("data:") or "null")


async def read_first(response: httpx2.Response) -> tuple[AsyncIterator[tuple[str, Any]], Any]:
    """The events that follow, and the first."""
    told = read_events(response)
    return told, await anext(told)


async def test_a_query_is_one_event(server: RunningServer, team: Team) -> None:
    async with open_stream(server.address, team.token, "{ __typename }") as response:
        told = [event async for event in read_events(response)]

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert told == [("next", {"data": {"__typename": "Query"}} | COST_EXTENSION), COMPLETE_EVENT]


async def test_a_job_is_followed_to_its_end(harness: WorkerHarness, server: RunningServer, team: Team) -> None:
    job = await harness.create_job(team.template, recipient_csv(5), rows=5)
    async with (
        harness.run_worker(),
        open_stream(server.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as response,
    ):
        told = [event async for event in read_events(response)]

    assert told[-2:] == [
        ("next", progress_payload(job, "FINISHED_ALL_NOTIFICATIONS_CREATED", 5, 5, 5, final=True)),
        COMPLETE_EVENT,
    ]


async def test_what_is_refused_is_no_stream(server: RunningServer, team: Team) -> None:
    async with open_stream(server.address, team.token, "{ nothing }") as response:
        await response.aread()

    assert response.status_code == 400
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["BAD_REQUEST"]


async def test_an_event_that_is_too_large_is_an_error(
    server: RunningServer, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "MAX_RESPONSE_BYTES", 300)
    query = "{ " + " ".join(f"a{number}: __typename" for number in range(20)) + " }"
    async with open_stream(server.address, team.token, query) as response:
        told = [event async for event in read_events(response)]

    message = "The answer has over 300 bytes: ask for less at once."
    error = {"message": message, "extensions": {"code": "QUERY_TOO_COMPLEX"}}
    assert told == [("next", {"errors": [error]}), COMPLETE_EVENT]


async def test_the_next_look_ends_the_streams_of_a_revoked_key(
    harness: WorkerHarness, served: RunningServer, team: Team, looks: list[bool]
) -> None:
    job = await create_scheduled_job(harness, team)
    async with open_stream(served.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as response:
        told, state = await read_first(response)
        assert state == ("next", progress_payload(job, "SCHEDULED", 1, 0, 0))
        await revoke_key(harness, team)
        begun = len(looks)
        rest = [event async for event in told]

    assert [name for name, _ in rest] == ["next", "complete"]
    assert [error["extensions"]["code"] for error in rest[0][1]["errors"]] == ["UNAUTHENTICATED"]
    assert any(looks[: begun + 1])


async def test_a_reader_who_leaves_is_let_go_of(harness: WorkerHarness, server: RunningServer, team: Team) -> None:
    job = await create_scheduled_job(harness, team)
    async with open_stream(server.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as response:
        await read_first(response)
        assert (server.executor.connection_registry.count, server.executor.job_changes.topic_count) == (1, 1)
    await until(lambda: not server.executor.connection_registry.count and not server.executor.job_changes.topic_count)
    assert server.executor.load_shedder.excluded_requests == 0


async def test_one_key_has_so_many_streams_and_no_more(harness: WorkerHarness, team: Team) -> None:
    job = await create_scheduled_job(harness, team)
    async with (
        running_server(harness, live_connections_per_caller=1) as served,
        open_stream(served.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as response,
    ):
        await read_first(response)
        async with open_stream(served.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as refused:
            await refused.aread()

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}


async def test_a_server_that_stops_ends_its_streams_incomplete(
    harness: WorkerHarness, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphql_api.commands.serve.SHUTDOWN_TIMEOUT_SECONDS", 3_600)  # it does not wait for that
    job = await create_scheduled_job(harness, team)

    async def read(response: httpx2.Response, begun: asyncio.Event) -> list[Any]:
        told, state = await read_first(response)
        begun.set()
        return [state, *[event async for event in told]]

    begun = asyncio.Event()
    async with running_server(harness) as served:
        context = open_stream(served.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id))
        reading = asyncio.create_task(read(await context.__aenter__(), begun))
        await begun.wait()

    assert await reading == [("next", progress_payload(job, "SCHEDULED", 1, 0, 0))]
    await context.__aexit__(None, None, None)


async def test_silence_is_broken_by_comments(
    harness: WorkerHarness, server: RunningServer, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphql_api.http.sse.KEEP_ALIVE_INTERVAL_SECONDS", 0.1)
    job = await create_scheduled_job(harness, team)
    async with open_stream(server.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as response:
        lines = response.aiter_lines()
        heard = [await anext(lines) for _ in range(5)]
        await change_job_status(harness, job, "cancelled")
        rest = [line async for line in lines if line.strip(":")]

    assert heard[0] == "event: next"
    assert heard[3:] == [":", ""]
    assert rest[-2:] == ["event: complete", "data:"]
