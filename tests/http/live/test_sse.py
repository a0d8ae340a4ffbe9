"""Server-sent events, by the distinct connections mode of graphql-sse: results, errors, and the end of streams."""

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
from tests.waiting import WAIT_TIMEOUT_SECONDS, until
from tests.worker.harnesses import WorkerHarness, recipient_csv

COMPLETE_EVENT = ("complete", None)


@asynccontextmanager
async def open_stream(address: str, token: str, query: str, **variables: Any) -> AsyncIterator[httpx2.Response]:
    """A response whose body is a stream of events."""
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token}"}
    body = {"query": query, "variables": variables}
    async with (
        httpx2.AsyncClient(timeout=WAIT_TIMEOUT_SECONDS, trust_env=False) as client,
        client.stream("POST", f"http://{address}/graphql", json=body, headers=headers) as response,
    ):
        yield response


async def read_events(response: httpx2.Response) -> AsyncIterator[tuple[str, Any]]:
    """Events by name and data, without comments, until the body ends."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data:"):
            yield name, json.loads(line.removeprefix("data:") or "null")


async def read_first(response: httpx2.Response) -> tuple[AsyncIterator[tuple[str, Any]], Any]:
    """An iterator of the later events, and the first event."""
    events = read_events(response)
    return events, await anext(events)


async def test_a_query_is_one_event(server: RunningServer, team: Team) -> None:
    async with open_stream(server.address, team.token, "{ __typename }") as response:
        events = [event async for event in read_events(response)]

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert events == [("next", {"data": {"__typename": "Query"}} | COST_EXTENSION), COMPLETE_EVENT]


async def test_a_job_is_followed_to_its_end(harness: WorkerHarness, server: RunningServer, team: Team) -> None:
    job = await harness.create_job(team.template, recipient_csv(5), rows=5)
    async with (
        harness.run_worker(),
        open_stream(server.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as response,
    ):
        events = [event async for event in read_events(response)]

    assert events[-2:] == [
        ("next", progress_payload(job, "FINISHED_ALL_NOTIFICATIONS_CREATED", 5, 5, 5, final=True)),
        COMPLETE_EVENT,
    ]


async def test_an_operation_that_does_not_run_is_no_stream(server: RunningServer, team: Team) -> None:
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
        events = [event async for event in read_events(response)]

    message = "The response is over 300 bytes: select less."
    error = {"message": message, "extensions": {"code": "QUERY_TOO_COMPLEX"}}
    assert events == [("next", {"errors": [error]}), COMPLETE_EVENT]


async def test_the_next_check_ends_the_streams_of_a_revoked_key(
    harness: WorkerHarness, server: RunningServer, team: Team, checks: list[bool]
) -> None:
    job = await create_scheduled_job(harness, team)
    async with open_stream(server.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as response:
        events, first = await read_first(response)
        assert first == ("next", progress_payload(job, "SCHEDULED", 1, 0, 0))
        await revoke_key(harness, team)
        started = len(checks)
        rest = [event async for event in events]

    assert [name for name, _ in rest] == ["next", "complete"]
    assert [error["extensions"]["code"] for error in rest[0][1]["errors"]] == ["UNAUTHENTICATED"]
    assert any(checks[: started + 1])


async def test_a_stream_whose_client_disconnects_is_released(
    harness: WorkerHarness, server: RunningServer, team: Team
) -> None:
    job = await create_scheduled_job(harness, team)
    async with open_stream(server.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as response:
        await read_first(response)
        assert (server.executor.connection_registry.count, server.executor.job_changes.topic_count) == (1, 1)
    await until(lambda: not server.executor.connection_registry.count and not server.executor.job_changes.topic_count)
    assert server.executor.load_shedder.excluded_requests == 0


async def test_the_streams_of_a_key_are_limited(harness: WorkerHarness, team: Team) -> None:
    job = await create_scheduled_job(harness, team)
    async with (
        running_server(harness, live_connections_per_caller=1) as served,
        open_stream(served.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as response,
    ):
        await read_first(response)
        async with open_stream(served.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as rejection:
            await rejection.aread()

    assert (rejection.status_code, rejection.headers["retry-after"]) == (503, "1")
    assert rejection.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}


async def test_a_stopping_server_ends_its_streams_without_a_complete_event(
    harness: WorkerHarness, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphql_api.commands.serve.SHUTDOWN_TIMEOUT_SECONDS", 3_600)  # not waited for
    job = await create_scheduled_job(harness, team)

    async def read(response: httpx2.Response, started: asyncio.Event) -> list[Any]:
        events, first = await read_first(response)
        started.set()
        return [first, *[event async for event in events]]

    started = asyncio.Event()
    async with running_server(harness) as served:
        context = open_stream(served.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id))
        reading = asyncio.create_task(read(await context.__aenter__(), started))
        await started.wait()

    assert await reading == [("next", progress_payload(job, "SCHEDULED", 1, 0, 0))]
    await context.__aexit__(None, None, None)


async def test_comments_keep_an_idle_stream_open(
    harness: WorkerHarness, server: RunningServer, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphql_api.http.sse.KEEP_ALIVE_INTERVAL_SECONDS", 0.1)
    job = await create_scheduled_job(harness, team)
    async with open_stream(server.address, team.token, JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)) as response:
        lines = response.aiter_lines()
        first_lines = [await anext(lines) for _ in range(5)]
        await change_job_status(harness, job, "cancelled")
        rest = [line async for line in lines if line.strip(":")]

    assert first_lines[0] == "event: next"
    assert first_lines[3:] == [":", ""]
    assert rest[-2:] == ["event: complete", "data:"]
