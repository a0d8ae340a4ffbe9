"""Limits and lifetimes of open WebSockets, and the codes with which they close."""

import asyncio
from contextlib import suppress

import pytest
import websockets
from sqlalchemy import text

from graphql_api.auth import actor_cache
from graphql_api.http import open_connections
from graphql_api.http import websockets as websocket_endpoint
from tests.http.live.conftest import RunningServer, Team, running_server
from tests.http.live.jobs import (
    COST_EXTENSION,
    JOB_PROGRESS_SUBSCRIPTION,
    create_scheduled_job,
    next_message,
    subscribe_to_job,
)
from tests.waiting import until_one_waits_for_a_lock
from tests.websocket_client import (
    CONNECTION_INIT,
    connection_init,
    open_websocket,
    receive_message,
    send_messages,
    subscribe,
    wait_for_close_code,
)
from tests.worker.harnesses import WorkerHarness

CONNECTION_ACK = {"type": "connection_ack"}


def test_callers_with_open_connections_are_checked_twice_a_second() -> None:
    assert open_connections.REVOCATION_CHECK_INTERVAL_SECONDS == 0.5


async def test_a_connection_without_connection_init_is_closed(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed_out = []
    close_without_init = websocket_endpoint.WebSocketConnection._close_without_init  # noqa: SLF001 - what the timer calls

    def record_timeout(self: websocket_endpoint.WebSocketConnection) -> None:
        timed_out.append(self)
        close_without_init(self)

    monkeypatch.setattr(websocket_endpoint.WebSocketConnection, "_close_without_init", record_timeout)
    monkeypatch.setattr(websocket_endpoint, "INIT_TIMEOUT_SECONDS", 1)
    async with open_websocket(server.address) as initialised:
        await send_messages(initialised, CONNECTION_INIT)
        assert await receive_message(initialised) == CONNECTION_ACK
        async with open_websocket(server.address) as silent:
            assert await wait_for_close_code(silent) == 4408
        assert len(timed_out) == 2
        await send_messages(initialised, {"type": "ping"})
        assert await receive_message(initialised) == {"type": "pong"}


async def test_an_operation_id_is_unique_while_the_operation_runs(
    harness: WorkerHarness, server: RunningServer, team: Team
) -> None:
    job = await create_scheduled_job(harness, team)
    async with open_websocket(server.address) as connection:
        assert await subscribe_to_job(connection, team.token, job) == next_message(job, "SCHEDULED", 1, 0, 0)
        await send_messages(connection, {"type": "complete", "id": "1"}, subscribe("{ __typename }"))
        assert [await receive_message(connection), await receive_message(connection)] == [
            {"type": "next", "id": "1", "payload": {"data": {"__typename": "Query"}} | COST_EXTENSION},
            {"type": "complete", "id": "1"},
        ]
        await send_messages(
            connection, subscribe(JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)), subscribe("{ __typename }")
        )
        assert await wait_for_close_code(connection) == 4409


async def test_the_eleventh_operation_is_rejected_and_the_ten_go_on(
    harness: WorkerHarness, server: RunningServer, team: Team
) -> None:
    job = await create_scheduled_job(harness, team)
    async with open_websocket(server.address) as connection:
        await send_messages(
            connection,
            connection_init(team.token),
            *(subscribe(JOB_PROGRESS_SUBSCRIPTION, str(n), id=str(job.id)) for n in range(150)),
        )
        messages = [await receive_message(connection) for _ in range(151)]
        assert sorted(message["id"] for message in messages if message["type"] == "next") == sorted(map(str, range(10)))
        errors = [message for message in messages if message["type"] == "error"]
        assert len(errors) == 140
        assert errors[0]["payload"] == [
            {
                "message": "A connection may run at most 10 operations at once.",
                "extensions": {"code": "BAD_REQUEST"},
            }
        ]
        await send_messages(connection, {"type": "complete", "id": "3"}, subscribe("{ __typename }", "after"))
        assert (await receive_message(connection))["id"] == "after"


async def test_the_websockets_of_a_key_are_limited(harness: WorkerHarness, team: Team) -> None:
    async with (
        running_server(harness, live_connections_per_caller=1) as served,
        open_websocket(served.address) as first,
        open_websocket(served.address) as second,
        open_websocket(served.address) as anonymous,
    ):
        await send_messages(first, connection_init(team.token))
        assert await receive_message(first) == CONNECTION_ACK
        await send_messages(second, connection_init(team.token))
        assert await wait_for_close_code(second) == 1013
        await send_messages(anonymous, CONNECTION_INIT)
        assert await receive_message(anonymous) == CONNECTION_ACK
        await first.close()
        async with open_websocket(served.address) as third:
            await send_messages(third, connection_init(team.token))
            assert await receive_message(third) == CONNECTION_ACK


async def test_a_server_with_no_free_slot_rejects_websockets_but_not_requests(harness: WorkerHarness) -> None:
    async with (
        running_server(harness, live_connections=2) as served,
        open_websocket(served.address),
        open_websocket(served.address),
    ):
        with pytest.raises(websockets.InvalidStatus) as rejection:
            async with open_websocket(served.address):
                pass
        assert (rejection.value.response.status_code, rejection.value.response.headers["retry-after"]) == (503, "1")
        assert served.executor.load_shedder.excluded_requests == 2


@pytest.mark.parametrize("value", [1, None, ["Bearer x"], "Basic x", "Bearer", "Bearer unknown"])
async def test_an_invalid_token_is_not_anonymous(server: RunningServer, value: object) -> None:
    async with open_websocket(server.address) as connection:
        await send_messages(connection, CONNECTION_INIT | {"payload": {"Authorization": value}})
        assert await wait_for_close_code(connection) == 4403


async def test_a_stopping_server_completes_queries_before_it_closes_websockets(
    harness: WorkerHarness, team: Team
) -> None:
    job = await create_scheduled_job(harness, team)
    query = "{ viewer { service { id } } }"
    lock = await harness.database.primary.connect()
    async with running_server(harness, database_lock_timeout_ms=60_000) as served:
        connections = [open_websocket(served.address) for _ in range(3)]
        idle, subscribed, querying = [await connection.__aenter__() for connection in connections]
        await send_messages(idle, CONNECTION_INIT)
        await subscribe_to_job(subscribed, team.token, job)
        await send_messages(querying, connection_init(team.token))
        assert await receive_message(querying) == CONNECTION_ACK
        await lock.execute(text("LOCK TABLE services IN ACCESS EXCLUSIVE MODE"))
        await send_messages(querying, subscribe(query))
        await until_one_waits_for_a_lock(harness.database.primary)

        async def release_lock() -> int:
            code = await wait_for_close_code(idle)
            await lock.rollback()
            return code

        release = asyncio.create_task(release_lock())

    assert await release == 1012
    payload = {"data": {"viewer": {"service": {"id": str(team.service.id)}}}} | COST_EXTENSION
    assert [await receive_message(querying), await receive_message(querying)] == [
        {"type": "next", "id": "1", "payload": payload},
        {"type": "complete", "id": "1"},
    ]
    assert [await wait_for_close_code(connection) for connection in (subscribed, querying)] == [1012] * 2
    await lock.close()


async def test_a_caller_revoked_between_two_operations_is_disconnected(
    harness: WorkerHarness, server: RunningServer, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_cache, "ACTOR_TTL_SECONDS", 0)
    async with open_websocket(server.address) as connection:
        await send_messages(connection, connection_init(team.token), subscribe("{ viewer { apiKey { id } } }"))
        assert [(await receive_message(connection))["type"] for _ in range(3)] == ["connection_ack", "next", "complete"]
        await harness.execute("UPDATE services SET active = false WHERE id = :id", id=team.service.id)
        with suppress(websockets.ConnectionClosed):
            await send_messages(connection, subscribe("{ viewer { apiKey { id } } }", "2"))
        assert await wait_for_close_code(connection) == 4403
