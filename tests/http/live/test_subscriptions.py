"""Subscriptions: told of changes by the database, as often as anyone can read, and to nobody who may not."""

import asyncio
import itertools
import time
from uuid import uuid4

import pytest

from tests.http.live.conftest import Served, Team, serving
from tests.http.live.jobs import FOLLOW, event, follow, revoke, scheduled, signed_in, write
from tests.websocket_client import closing, hear, init, say, socket, subscribe
from tests.worker.harnesses import Rig, texts


async def test_a_job_is_followed_from_its_first_row_to_its_end(rig: Rig, served: Served, team: Team) -> None:
    rows = 3_000
    job = await rig.job(team.template, texts(rows), rows=rows)
    told, times = [], []
    async with socket(served.address) as connection:
        assert await follow(connection, team.token, job) == event(job, "PENDING", rows, 0, 0)
        async with rig.worker():
            while (message := await hear(connection))["type"] == "next":
                told.append(message)
                times.append(time.monotonic())

    assert message == {"type": "complete", "id": "1"}
    assert told[-1] == event(job, "FINISHED_ALL_NOTIFICATIONS_CREATED", rows, rows, rows, final=True)
    delivered = [one["payload"]["data"]["jobProgress"]["progress"]["delivered"] for one in told]
    assert delivered == sorted(delivered)
    assert [gap for gap in (after - before for before, after in itertools.pairwise(times)) if gap < 0.9] == []


async def test_every_server_hears_what_any_worker_does(rig: Rig, served: Served, team: Team) -> None:
    job = await rig.job(team.template, texts(2), rows=2)
    async with (
        serving(rig) as other,
        socket(served.address) as here,
        socket(other.address) as there,
    ):
        for connection in (here, there):
            assert await follow(connection, team.token, job) == event(job, "PENDING", 2, 0, 0)
        async with rig.worker(), rig.worker():
            for connection in (here, there):
                while (message := await hear(connection))["type"] == "next":
                    last = message
                assert last == event(job, "FINISHED_ALL_NOTIFICATIONS_CREATED", 2, 2, 2, final=True)


async def test_a_change_is_told_at_once_and_the_next_a_second_later(rig: Rig, served: Served, team: Team) -> None:
    job = await scheduled(rig, team)
    async with socket(served.address) as connection:
        assert await follow(connection, team.token, job) == event(job, "SCHEDULED", 1, 0, 0)
        await asyncio.sleep(1.2)
        began = time.monotonic()
        await write(rig, job, "pending")
        assert await hear(connection) == event(job, "PENDING", 1, 0, 0)
        first = time.monotonic() - began
        for status in ("in progress", "error", "in progress"):
            await write(rig, job, status)
        assert await hear(connection) == event(job, "IN_PROGRESS", 1, 0, 0)
        second = time.monotonic() - began
        await write(rig, job, "cancelled")
        assert await hear(connection) == event(job, "CANCELLED", 1, 0, 0, final=True)
        assert await hear(connection) == {"type": "complete", "id": "1"}

    assert first < 0.3
    assert 0.9 < second < 1.4


async def test_what_changed_while_nothing_could_be_heard_is_told_afterwards(
    rig: Rig, served: Served, team: Team
) -> None:
    job = await scheduled(rig, team)
    async with socket(served.address) as connection:
        await follow(connection, team.token, job)
        await asyncio.sleep(0.5)
        gone = await rig.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'notify-graphql events' AND datname = current_database()"
        )
        assert len(gone) == 1
        await write(rig, job, "pending")
        began = time.monotonic()

        assert await hear(connection) == event(job, "PENDING", 1, 0, 0)
        assert time.monotonic() - began < 2


async def test_a_finished_job_is_told_once(rig: Rig, served: Served, team: Team) -> None:
    job = await rig.make.job(team.template, notification_count=0)
    async with socket(served.address) as connection:
        first = await follow(connection, team.token, job)

        assert first == event(job, "FINISHED_ALL_NOTIFICATIONS_CREATED", 0, 0, 0, final=True)
        assert await hear(connection) == {"type": "complete", "id": "1"}


@pytest.mark.parametrize("wanted", ["theirs", "nothing", "malformed"])
async def test_nobody_follows_what_is_not_theirs(rig: Rig, served: Served, team: Team, wanted: str) -> None:
    other = await rig.make.template(await rig.make.service())
    ids = {"theirs": str((await rig.make.job(other)).id), "nothing": str(uuid4()), "malformed": "\x00"}
    async with socket(served.address) as connection:
        await say(connection, init(team.token), subscribe(FOLLOW, id=ids[wanted]))
        await hear(connection)
        refused = await hear(connection)

    assert (refused["type"], refused["id"]) == ("error", "1")
    (error,) = refused["payload"]
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    assert wanted == "malformed" or error["message"] == "Nothing that you can see has this id."


async def test_who_is_signed_out_follows_nothing(served: Served) -> None:
    async with socket(served.address) as connection:
        await say(connection, {"type": "connection_init"}, subscribe(FOLLOW, id=str(uuid4())))
        await hear(connection)
        refused = await hear(connection)

    assert [error["extensions"]["code"] for error in refused["payload"]] == ["UNAUTHENTICATED"]


async def test_who_loses_a_permission_is_told_no_more(rig: Rig, served: Served, team: Team) -> None:
    user, token = await signed_in(rig, team)
    job = await scheduled(rig, team)
    async with socket(served.address) as connection:
        assert await follow(connection, token, job) == event(job, "SCHEDULED", 1, 0, 0)
        await rig.execute("DELETE FROM permissions WHERE user_id = :id", id=user.id)
        await asyncio.sleep(1)
        await write(rig, job, "pending")
        refused = await hear(connection)

    assert (refused["type"], refused["id"]) == ("error", "1")
    assert refused["payload"][0]["message"] == "Nothing that you can see has this id."


async def test_a_revoked_key_closes_its_connections_within_a_second(rig: Rig, served: Served, team: Team) -> None:
    job = await scheduled(rig, team)
    async with socket(served.address) as idle, socket(served.address) as busy:
        await say(idle, init(team.token))
        assert await hear(idle) == {"type": "connection_ack"}
        await follow(busy, team.token, job)
        began = time.monotonic()
        await revoke(rig, team)

        assert [await closing(idle), await closing(busy)] == [4403, 4403]
        assert time.monotonic() - began < 1


async def test_a_session_that_ends_closes_its_connections_within_a_second(rig: Rig, served: Served, team: Team) -> None:
    user, token = await signed_in(rig, team)
    async with socket(served.address) as connection:
        await say(connection, init(token))
        assert await hear(connection) == {"type": "connection_ack"}
        began = time.monotonic()
        await rig.execute("UPDATE users SET current_session_id = NULL WHERE id = :id", id=user.id)

        assert await closing(connection) == 4403
        assert time.monotonic() - began < 1


async def test_a_follower_who_vanishes_is_let_go_of(rig: Rig, served: Served, team: Team) -> None:
    job = await scheduled(rig, team)
    async with socket(served.address) as connection:
        await follow(connection, team.token, job)
        assert (served.server.live.count, served.server.events.followed) == (1, 1)
        connection.transport.abort()
        async with asyncio.timeout(2):
            while served.server.events.followed or served.server.live.count:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)


async def test_who_follows_no_more_is_let_go_of(rig: Rig, served: Served, team: Team) -> None:
    job = await scheduled(rig, team)
    async with socket(served.address) as connection:
        await follow(connection, team.token, job)
        await say(connection, {"type": "complete", "id": "1"}, {"type": "ping"})
        assert await hear(connection) == {"type": "pong"}
        async with asyncio.timeout(2):
            while served.server.events.followed:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
