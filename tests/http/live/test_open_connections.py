"""Sockets that stay open: how many, for how long, and what each is told when it ends."""

import asyncio
import time
from contextlib import suppress

import pytest
import websockets
from sqlalchemy import text

from tests.http.live.conftest import Served, Team, serving
from tests.http.live.jobs import COST, FOLLOW, event, follow, scheduled
from tests.websocket_client import INIT, closing, hear, init, say, socket, subscribe
from tests.worker.harnesses import Rig

ACK = {"type": "connection_ack"}


async def test_who_says_nothing_is_closed_in_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphql_api.http.websockets.INIT_SECONDS", 0.2)
    async with socket(served.address) as silent, socket(served.address) as greeted:
        await say(greeted, INIT)
        assert await hear(greeted) == ACK
        began = time.monotonic()
        assert await closing(silent) == 4408
        assert time.monotonic() - began < 1
        await say(greeted, {"type": "ping"})
        assert await hear(greeted) == {"type": "pong"}


async def test_an_id_is_of_one_operation_at_a_time(rig: Rig, served: Served, team: Team) -> None:
    job = await scheduled(rig, team)
    async with socket(served.address) as connection:
        assert await follow(connection, team.token, job) == event(job, "SCHEDULED", 1, 0, 0)
        await say(connection, {"type": "complete", "id": "1"}, subscribe("{ __typename }"))
        assert [await hear(connection), await hear(connection)] == [
            {"type": "next", "id": "1", "payload": {"data": {"__typename": "Query"}} | COST},
            {"type": "complete", "id": "1"},
        ]
        await say(connection, subscribe(FOLLOW, id=str(job.id)), subscribe("{ __typename }"))
        assert await closing(connection) == 4409


async def test_the_eleventh_operation_is_refused_and_the_ten_go_on(rig: Rig, served: Served, team: Team) -> None:
    job = await scheduled(rig, team)
    async with socket(served.address) as connection:
        await say(connection, init(team.token), *(subscribe(FOLLOW, str(n), id=str(job.id)) for n in range(150)))
        told = [await hear(connection) for _ in range(151)]
        assert sorted(one["id"] for one in told if one["type"] == "next") == sorted(map(str, range(10)))
        refused = [one for one in told if one["type"] == "error"]
        assert len(refused) == 140
        assert refused[0]["payload"] == [
            {
                "message": "A connection may have 10 operations under way: end one first.",
                "extensions": {"code": "BAD_REQUEST"},
            }
        ]
        await say(connection, {"type": "complete", "id": "3"}, subscribe("{ __typename }", "after"))
        assert (await hear(connection))["id"] == "after"


async def test_one_key_has_so_many_connections_and_no_more(rig: Rig, team: Team) -> None:
    async with (
        serving(rig, live_connections_per_caller=1) as served,
        socket(served.address) as first,
        socket(served.address) as second,
        socket(served.address) as stranger,
    ):
        await say(first, init(team.token))
        assert await hear(first) == ACK
        await say(second, init(team.token))
        assert await closing(second) == 1013
        await say(stranger, INIT)
        assert await hear(stranger) == ACK
        await first.close()
        async with socket(served.address) as third:
            await say(third, init(team.token))
            assert await hear(third) == ACK


async def test_a_full_server_opens_no_more_but_answers_over_http(rig: Rig) -> None:
    async with serving(rig, live_connections=2) as served, socket(served.address), socket(served.address):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with socket(served.address):
                pass
        assert (refused.value.response.status_code, refused.value.response.headers["retry-after"]) == (503, "1")
        assert served.server.pressure.aside == 2


@pytest.mark.parametrize("value", [1, None, ["Bearer x"], "Basic x", "Bearer", "Bearer nobody's"])
async def test_what_is_no_token_is_not_taken_for_none(served: Served, value: object) -> None:
    async with socket(served.address) as connection:
        await say(connection, INIT | {"payload": {"Authorization": value}})
        assert await closing(connection) == 4403


async def test_a_server_that_stops_ends_what_it_was_asked_and_then_says_so(rig: Rig, team: Team) -> None:
    job = await scheduled(rig, team)
    query = "{ viewer { service { id } } }"
    lock = await rig.database.primary.connect()
    async with serving(rig, database_lock_timeout_ms=5_000) as served:
        connections = [socket(served.address) for _ in range(3)]
        idle, following, asking = [await one.__aenter__() for one in connections]
        await say(idle, INIT)
        await follow(following, team.token, job)
        await say(asking, init(team.token))
        assert await hear(asking) == ACK
        await lock.execute(text("LOCK TABLE services IN ACCESS EXCLUSIVE MODE"))
        await say(asking, subscribe(query))
        await asyncio.sleep(0.2)
        release = asyncio.get_running_loop().call_later(0.5, lambda: asyncio.ensure_future(lock.rollback()))
        began = time.monotonic()

    assert time.monotonic() - began < 3
    assert release.cancelled() is False
    answer = {"data": {"viewer": {"service": {"id": str(team.service.id)}}}} | COST
    assert [await hear(asking), await hear(asking)] == [
        {"type": "next", "id": "1", "payload": answer},
        {"type": "complete", "id": "1"},
    ]
    assert [await closing(one) for one in (idle, following, asking)] == [1012] * 3
    await lock.close()


async def test_a_caller_revoked_between_two_operations_gets_no_second(rig: Rig, served: Served, team: Team) -> None:
    async with socket(served.address) as connection:
        await say(connection, init(team.token), subscribe("{ viewer { apiKey { id } } }"))
        assert [(await hear(connection))["type"] for _ in range(3)] == ["connection_ack", "next", "complete"]
        await rig.execute("UPDATE services SET active = false WHERE id = :id", id=team.service.id)
        await asyncio.sleep(1)
        with suppress(websockets.ConnectionClosed):
            await say(connection, subscribe("{ viewer { apiKey { id } } }", "2"))
        assert await closing(connection) == 4403
