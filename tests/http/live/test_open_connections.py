"""Sockets that stay open: how many, for how long, and what each is told when it ends."""

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


def test_callers_who_are_not_let_in_any_more_are_looked_for_twice_a_second() -> None:
    assert open_connections.REVOCATION_CHECK_INTERVAL_SECONDS == 0.5


async def test_who_says_nothing_is_closed_in_time(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    timers = []
    give_up = websocket_endpoint.WebSocketConnection._close_without_init  # noqa: SLF001 - what the timer calls

    def noted(self: websocket_endpoint.WebSocketConnection) -> None:
        timers.append(self)
        give_up(self)

    monkeypatch.setattr(websocket_endpoint.WebSocketConnection, "_close_without_init", noted)
    monkeypatch.setattr(websocket_endpoint, "INIT_TIMEOUT_SECONDS", 1)
    async with open_websocket(server.address) as greeted:
        await send_messages(greeted, CONNECTION_INIT)
        assert await receive_message(greeted) == CONNECTION_ACK
        async with open_websocket(server.address) as silent:
            assert await wait_for_close_code(silent) == 4408
        assert len(timers) == 2
        await send_messages(greeted, {"type": "ping"})
        assert await receive_message(greeted) == {"type": "pong"}


async def test_an_id_is_of_one_operation_at_a_time(harness: WorkerHarness, server: RunningServer, team: Team) -> None:
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


async def test_the_eleventh_operation_is_refused_and_the_ten_go_on(
    harness: WorkerHarness, server: RunningServer, team: Team
) -> None:
    job = await create_scheduled_job(harness, team)
    async with open_websocket(server.address) as connection:
        await send_messages(
            connection,
            connection_init(team.token),
            *(subscribe(JOB_PROGRESS_SUBSCRIPTION, str(n), id=str(job.id)) for n in range(150)),
        )
        told = [await receive_message(connection) for _ in range(151)]
        assert sorted(one["id"] for one in told if one["type"] == "next") == sorted(map(str, range(10)))
        refused = [one for one in told if one["type"] == "error"]
        assert len(refused) == 140
        assert refused[0]["payload"] == [
            {
                "message": "A connection may have 10 operations under way: end one first.",
                "extensions": {"code": "BAD_REQUEST"},
            }
        ]
        await send_messages(connection, {"type": "complete", "id": "3"}, subscribe("{ __typename }", "after"))
        assert (await receive_message(connection))["id"] == "after"


async def test_one_key_has_so_many_connections_and_no_more(harness: WorkerHarness, team: Team) -> None:
    async with (
        running_server(harness, live_connections_per_caller=1) as served,
        open_websocket(served.address) as first,
        open_websocket(served.address) as second,
        open_websocket(served.address) as stranger,
    ):
        await send_messages(first, connection_init(team.token))
        assert await receive_message(first) == CONNECTION_ACK
        await send_messages(second, connection_init(team.token))
        assert await wait_for_close_code(second) == 1013
        await send_messages(stranger, CONNECTION_INIT)
        assert await receive_message(stranger) == CONNECTION_ACK
        await first.close()
        async with open_websocket(served.address) as third:
            await send_messages(third, connection_init(team.token))
            assert await receive_message(third) == CONNECTION_ACK


async def test_a_full_server_opens_no_more_but_answers_over_http(harness: WorkerHarness) -> None:
    async with (
        running_server(harness, live_connections=2) as served,
        open_websocket(served.address),
        open_websocket(served.address),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with open_websocket(served.address):
                pass
        assert (refused.value.response.status_code, refused.value.response.headers["retry-after"]) == (503, "1")
        assert served.executor.load_shedder.excluded_requests == 2


@pytest.mark.parametrize("value", [1, None, ["Bearer x"], "Basic x", "Bearer", "Bearer nobody's"])
async def test_what_is_no_token_is_not_taken_for_none(server: RunningServer, value: object) -> None:
    async with open_websocket(server.address) as connection:
        await send_messages(connection, CONNECTION_INIT | {"payload": {"Authorization": value}})
        assert await wait_for_close_code(connection) == 4403


async def test_a_server_that_stops_ends_what_it_was_asked_and_then_says_so(harness: WorkerHarness, team: Team) -> None:
    job = await create_scheduled_job(harness, team)
    query = "{ viewer { service { id } } }"
    lock = await harness.database.primary.connect()
    async with running_server(harness, database_lock_timeout_ms=60_000) as served:
        connections = [open_websocket(served.address) for _ in range(3)]
        idle, following, asking = [await one.__aenter__() for one in connections]
        await send_messages(idle, CONNECTION_INIT)
        await subscribe_to_job(following, team.token, job)
        await send_messages(asking, connection_init(team.token))
        assert await receive_message(asking) == CONNECTION_ACK
        await lock.execute(text("LOCK TABLE services IN ACCESS EXCLUSIVE MODE"))
        await send_messages(asking, subscribe(query))
        await until_one_waits_for_a_lock(harness.database.primary)

        async def release() -> int:
            code = await wait_for_close_code(idle)
            await lock.rollback()
            return code

        releasing = asyncio.create_task(release())

    assert await releasing == 1012
    answer = {"data": {"viewer": {"service": {"id": str(team.service.id)}}}} | COST_EXTENSION
    assert [await receive_message(asking), await receive_message(asking)] == [
        {"type": "next", "id": "1", "payload": answer},
        {"type": "complete", "id": "1"},
    ]
    assert [await wait_for_close_code(one) for one in (following, asking)] == [1012] * 2
    await lock.close()


async def test_a_caller_revoked_between_two_operations_gets_no_second(
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
