"""Subscriptions: told of changes by the database, as often as anyone can read, and to nobody who may not."""

import time
from uuid import uuid4

import pytest

from graphql_api.auth import actor_cache
from graphql_api.database import listen
from tests.http.live.conftest import RunningServer, Team, running_server
from tests.http.live.jobs import (
    JOB_PROGRESS_SUBSCRIPTION,
    change_job_status,
    create_scheduled_job,
    create_signed_in_member,
    next_message,
    revoke_key,
    subscribe_to_job,
)
from tests.waiting import until
from tests.websocket_client import (
    connection_init,
    open_websocket,
    receive_message,
    send_messages,
    subscribe,
    wait_for_close_code,
)
from tests.worker.harnesses import WorkerHarness, recipient_csv


async def test_a_job_is_followed_from_its_first_row_to_its_end(
    harness: WorkerHarness, server: RunningServer, team: Team
) -> None:
    rows = 3_000
    job = await harness.create_job(team.template, recipient_csv(rows), rows=rows)
    told, began = [], time.monotonic()
    async with open_websocket(server.address) as connection:
        assert await subscribe_to_job(connection, team.token, job) == next_message(job, "PENDING", rows, 0, 0)
        async with harness.run_worker():
            while (message := await receive_message(connection))["type"] == "next":
                told.append(message)
        seconds = time.monotonic() - began

    assert message == {"type": "complete", "id": "1"}
    assert told[-1] == next_message(job, "FINISHED_ALL_NOTIFICATIONS_CREATED", rows, rows, rows, final=True)
    delivered = [one["payload"]["data"]["jobProgress"]["progress"]["delivered"] for one in told]
    assert delivered == sorted(delivered)
    assert len(told) <= 1 + seconds / listen.MIN_EVENT_INTERVAL_SECONDS


async def test_every_server_hears_what_any_worker_does(
    harness: WorkerHarness, server: RunningServer, team: Team
) -> None:
    job = await harness.create_job(team.template, recipient_csv(2), rows=2)
    async with (
        running_server(harness) as other,
        open_websocket(server.address) as here,
        open_websocket(other.address) as there,
    ):
        for connection in (here, there):
            assert await subscribe_to_job(connection, team.token, job) == next_message(job, "PENDING", 2, 0, 0)
        async with harness.run_worker(), harness.run_worker():
            for connection in (here, there):
                while (message := await receive_message(connection))["type"] == "next":
                    last = message
                assert last == next_message(job, "FINISHED_ALL_NOTIFICATIONS_CREATED", 2, 2, 2, final=True)


async def test_a_change_is_told_at_once_and_the_next_a_second_later(
    harness: WorkerHarness, server: RunningServer, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert listen.MIN_EVENT_INTERVAL_SECONDS == 1
    job = await create_scheduled_job(harness, team)
    async with open_websocket(server.address) as connection:
        monkeypatch.setattr(listen, "MIN_EVENT_INTERVAL_SECONDS", 0)
        assert await subscribe_to_job(connection, team.token, job) == next_message(job, "SCHEDULED", 1, 0, 0)
        monkeypatch.setattr(listen, "MIN_EVENT_INTERVAL_SECONDS", 2)
        began = time.monotonic()
        await change_job_status(harness, job, "pending")
        assert await receive_message(connection) == next_message(job, "PENDING", 1, 0, 0)
        for status in ("in progress", "error", "in progress"):
            await change_job_status(harness, job, status)
        assert await receive_message(connection) == next_message(job, "IN_PROGRESS", 1, 0, 0)
        seconds = time.monotonic() - began
        await change_job_status(harness, job, "cancelled")
        assert await receive_message(connection) == next_message(job, "CANCELLED", 1, 0, 0, final=True)
        assert await receive_message(connection) == {"type": "complete", "id": "1"}

    assert seconds >= 2


async def test_what_changed_while_nothing_could_be_heard_is_told_afterwards(
    harness: WorkerHarness, server: RunningServer, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listen, "REREAD_INTERVAL_SECONDS", 3_600)
    listening = (
        "FROM pg_stat_activity WHERE application_name = 'notify-graphql events' AND datname = current_database() "
        "AND state = 'idle' AND query LIKE 'LISTEN%'"
    )
    job = await create_scheduled_job(harness, team)
    async with open_websocket(server.address) as connection:
        await subscribe_to_job(connection, team.token, job)
        await harness.wait_until(lambda: _one(harness, f"SELECT count(*) {listening}"))
        assert len(await harness.fetch_rows(f"SELECT pg_terminate_backend(pid) {listening}")) == 1
        await change_job_status(harness, job, "pending")

        assert await receive_message(connection) == next_message(job, "PENDING", 1, 0, 0)


async def _one(harness: WorkerHarness, count: str) -> bool:
    return bool(await harness.fetch_value(count) == 1)


async def test_a_finished_job_is_told_once(harness: WorkerHarness, server: RunningServer, team: Team) -> None:
    job = await harness.make.job(team.template, notification_count=0)
    async with open_websocket(server.address) as connection:
        first = await subscribe_to_job(connection, team.token, job)

        assert first == next_message(job, "FINISHED_ALL_NOTIFICATIONS_CREATED", 0, 0, 0, final=True)
        assert await receive_message(connection) == {"type": "complete", "id": "1"}


@pytest.mark.parametrize("wanted", ["theirs", "nothing", "malformed"])
async def test_nobody_follows_what_is_not_theirs(
    harness: WorkerHarness, server: RunningServer, team: Team, wanted: str
) -> None:
    other = await harness.make.template(await harness.make.service())
    ids = {"theirs": str((await harness.make.job(other)).id), "nothing": str(uuid4()), "malformed": "\x00"}
    async with open_websocket(server.address) as connection:
        await send_messages(
            connection, connection_init(team.token), subscribe(JOB_PROGRESS_SUBSCRIPTION, id=ids[wanted])
        )
        await receive_message(connection)
        refused = await receive_message(connection)

    assert (refused["type"], refused["id"]) == ("error", "1")
    (error,) = refused["payload"]
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    assert wanted == "malformed" or error["message"] == "Nothing that you can see has this id."


async def test_who_is_signed_out_follows_nothing(server: RunningServer) -> None:
    async with open_websocket(server.address) as connection:
        await send_messages(
            connection, {"type": "connection_init"}, subscribe(JOB_PROGRESS_SUBSCRIPTION, id=str(uuid4()))
        )
        await receive_message(connection)
        refused = await receive_message(connection)

    assert [error["extensions"]["code"] for error in refused["payload"]] == ["UNAUTHENTICATED"]


async def test_who_loses_a_permission_is_told_no_more(
    harness: WorkerHarness, server: RunningServer, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor_cache, "ACTOR_TTL_SECONDS", 0)
    user, token = await create_signed_in_member(harness, team)
    job = await create_scheduled_job(harness, team)
    async with open_websocket(server.address) as connection:
        assert await subscribe_to_job(connection, token, job) == next_message(job, "SCHEDULED", 1, 0, 0)
        await harness.execute("DELETE FROM permissions WHERE user_id = :id", id=user.id)
        await change_job_status(harness, job, "pending")
        refused = await receive_message(connection)

    assert (refused["type"], refused["id"]) == ("error", "1")
    assert refused["payload"][0]["message"] == "Nothing that you can see has this id."


async def test_the_next_look_closes_the_connections_of_a_revoked_key(
    harness: WorkerHarness, served: RunningServer, team: Team, looks: list[bool]
) -> None:
    job = await create_scheduled_job(harness, team)
    async with open_websocket(served.address) as idle, open_websocket(served.address) as busy:
        await send_messages(idle, connection_init(team.token))
        assert await receive_message(idle) == {"type": "connection_ack"}
        await subscribe_to_job(busy, team.token, job)
        await revoke_key(harness, team)
        begun = len(looks)

        assert [await wait_for_close_code(idle), await wait_for_close_code(busy)] == [4403, 4403]
        assert any(looks[: begun + 1])


async def test_the_next_look_closes_the_connections_of_a_session_that_has_ended(
    harness: WorkerHarness, served: RunningServer, team: Team, looks: list[bool]
) -> None:
    user, token = await create_signed_in_member(harness, team)
    async with open_websocket(served.address) as connection:
        await send_messages(connection, connection_init(token))
        assert await receive_message(connection) == {"type": "connection_ack"}
        await harness.execute("UPDATE users SET current_session_id = NULL WHERE id = :id", id=user.id)
        begun = len(looks)

        assert await wait_for_close_code(connection) == 4403
        assert any(looks[: begun + 1])


async def test_a_follower_who_vanishes_is_let_go_of(harness: WorkerHarness, server: RunningServer, team: Team) -> None:
    job = await create_scheduled_job(harness, team)
    async with open_websocket(server.address) as connection:
        await subscribe_to_job(connection, team.token, job)
        assert (server.executor.connection_registry.count, server.executor.job_changes.topic_count) == (1, 1)
        connection.transport.abort()
        await until(
            lambda: not server.executor.job_changes.topic_count and not server.executor.connection_registry.count
        )


async def test_who_follows_no_more_is_let_go_of(harness: WorkerHarness, server: RunningServer, team: Team) -> None:
    job = await create_scheduled_job(harness, team)
    async with open_websocket(server.address) as connection:
        await subscribe_to_job(connection, team.token, job)
        await send_messages(connection, {"type": "complete", "id": "1"}, {"type": "ping"})
        assert await receive_message(connection) == {"type": "pong"}
        await until(lambda: not server.executor.job_changes.topic_count)
