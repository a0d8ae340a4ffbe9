"""How much a process takes on, and what it says to the rest."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.types import Receive, Scope, Send

from graphql_api import app
from graphql_api.auth import crypto
from graphql_api.database.database import Database
from graphql_api.domain import sessions
from graphql_api.gateways.object_store import Store
from graphql_api.http.endpoint import Endpoint
from graphql_api.limits import load_shedding
from graphql_api.limits.load_shedding import LoadShedder
from graphql_api.server.http_protocol import HTTPProtocol
from graphql_api.settings import Settings
from tests.app_server import client_of, serve_app, serve_settings
from tests.builders import Builders
from tests.cluster.clients import api_key_token
from tests.waiting import PATIENCE, until


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of what is measured."""
    clock = Clock()
    monkeypatch.setattr(load_shedding, "time", clock)
    return clock


def test_three_requests_for_each_connection_are_taken_on(database: Database, clock: Clock) -> None:
    measured = LoadShedder(database, 8)

    assert [measured.is_full(count) for count in (0, 8, 23, 24, 100)] == [False, False, False, True, True]
    assert clock.now == 1_000


def test_fewer_are_taken_on_where_they_end_slowly_but_never_fewer_than_two_for_each_connection(
    database: Database, clock: Clock
) -> None:
    measured = LoadShedder(database, 8)
    rooms = []
    for ended in (0, 30, 30, 30, 30, 0, 0, 0, 0):
        clock.now += 0.25
        measured.completed_requests += ended
        measured.is_full(16)
        rooms.append(next(count for count in range(100) if measured.is_full(count)))

    # 120 a second, of which each may wait for 0.1 seconds, would be 12.
    assert rooms == [24, 18, 16, 16, 16, 16, 16, 16, 16]


def test_more_are_taken_on_where_they_end_quickly_but_no_more_than_twelve_for_each_connection(
    database: Database, clock: Clock
) -> None:
    measured = LoadShedder(database, 8)
    rooms = []
    for _ in range(5):
        clock.now += 0.25
        measured.completed_requests += 300
        measured.is_full(16)
        rooms.append(next(count for count in range(200) if measured.is_full(count)))

    # 1,200 a second, of which each may wait for 0.1 seconds: 120, of 96 at most.
    assert rooms == [24, 72, 96, 96, 96]


@pytest.mark.parametrize(("ended", "room"), [(0, 24), (300, 96)])
def test_after_a_time_without_pressure_all_is_as_in_the_beginning_or_as_good_as_it_was(
    database: Database, clock: Clock, ended: int, room: int
) -> None:
    measured = LoadShedder(database, 8)
    for _ in range(10):
        clock.now += 0.25
        measured.completed_requests += ended
        measured.is_full(16)
    assert measured.is_full(16) is not bool(ended)
    clock.now += 5

    assert [measured.is_full(count) for count in (room - 1, room)] == [False, True]


def test_what_only_waits_for_its_client_counts_for_nothing(database: Database) -> None:
    measured = LoadShedder(database, 8)
    measured.excluded_requests = 300

    assert (measured.is_full(323), measured.is_full(324)) == (False, True)


def test_all_may_wait_for_a_database_that_is_away(database: Database, clock: Clock) -> None:
    measured = LoadShedder(database, 8)
    database.unavailable_at = clock.now - 0.5

    assert (measured.is_full(799), measured.is_full(800)) == (False, True)
    clock.now += 1
    assert measured.is_full(799)


async def test_whoever_has_their_answer_is_not_under_way_any_more(
    settings: Settings, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[HTTPProtocol] = []
    under_way: list[tuple[int, int]] = []
    made, answer = HTTPProtocol.connection_made, Endpoint.__call__

    def connected(self: HTTPProtocol, transport: asyncio.Transport) -> None:
        made(self, transport)
        connections.append(self)

    async def answered(self: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        before = len(connections[0].tasks)
        await answer(self, scope, receive, send)
        asyncio.get_running_loop().call_soon(lambda: under_way.append((before, len(connections[0].tasks))))

    monkeypatch.setattr(HTTPProtocol, "connection_made", connected)
    monkeypatch.setattr(Endpoint, "__call__", answered)
    async with serve_settings(settings, database, store) as address, client_of(address) as http:
        for _ in range(3):
            await http.post("/graphql", json={"query": "{ __typename }"})

    assert under_way == [(1, 0)] * 3


async def test_a_refused_sign_in_waits_for_its_answer_and_is_no_work(
    settings: Settings, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MIN_FAILURE_SECONDS", 0.0)
    sign_in = """mutation { signIn(input: {emailAddress: "a@example.gov.uk", password: "a guess"}) {
      userErrors { code } } }"""
    narrow = settings.model_copy(update={"database_pool_size": 1})
    application = app.create(narrow, database=database, store=store)
    work = application._app.state.executor.load_shedder  # type: ignore[attr-defined]  # noqa: SLF001
    async with serve_app(application) as address, client_of(address) as http:

        async def ask(query: str, **headers: str) -> tuple[int, float]:
            began = time.monotonic()
            response = await http.post("/graphql", json={"query": query}, headers=headers)
            return response.status_code, time.monotonic() - began

        _, quick = await ask(sign_in)
        # Twelve come one after the other, and are still waiting when others are answered.
        held = 1 + 40 * quick
        monkeypatch.setattr(sessions, "MIN_FAILURE_SECONDS", held)
        guessing = []
        for number, events in enumerate((False, True) * 6, 1):
            accept = {"accept": "text/event-stream"} if events else {}
            guessing.append(asyncio.create_task(ask(sign_in, **accept)))
            await until(lambda number=number: work.excluded_requests >= number)  # type: ignore[misc]
        others = [(await ask("{ __typename }"))[0] for _ in range(5)]
        waiting = sum(not task.done() for task in guessing)
        answered = await asyncio.gather(*guessing)

    assert others == [200] * 5
    assert waiting == 12
    assert [status for status, _ in answered] == [200] * 12
    assert min(seconds for _, seconds in answered) >= held


async def test_people_who_sign_in_wait_for_each_other_and_keep_nobody_else_out(
    settings: Settings, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crypto.hashing_pool, "max_pending", 10)
    held = threading.Event()
    monkeypatch.setattr(crypto, "_verify", lambda *_: held.wait(PATIENCE))
    sign_in = """mutation { signIn(input: {emailAddress: "a@example.gov.uk", password: "a guess"}) {
      userErrors { code } } }"""
    narrow = settings.model_copy(update={"database_pool_size": 1})
    async with serve_settings(narrow, database, store) as address, client_of(address) as http:

        async def ask(query: str) -> list[str]:
            told = (await http.post("/graphql", json={"query": query})).json()
            return [error["extensions"]["code"] for error in told.get("errors", ())]

        guessing = []
        for number in range(1, 13):
            guessing.append(task := asyncio.create_task(ask(sign_in)))
            await until(lambda n=number, task=task: crypto.hashing_pool.pending == n or task.done())  # type: ignore[misc]
        others = [await ask("{ __typename }") for _ in range(5)]
        held.set()
        codes = await asyncio.gather(*guessing)

    assert others == [[]] * 5
    assert codes == [[]] * 10 + [["UNAVAILABLE"]] * 2


class Slow(Database):
    """A database that answers no read before a gate is opened."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.primary)
        self.gate = asyncio.Event()
        self._database = database

    @asynccontextmanager
    async def read_connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection, behind the gate."""
        await self.gate.wait()
        async with self._database.read_connection() as connection:
            yield connection


async def test_the_rest_is_told_at_once_to_come_again(
    settings: Settings, database: Database, store: Store, make: Builders, signer: object
) -> None:
    service = await make.service()
    key = await make.api_key(service)
    headers = {"authorization": f"Bearer {api_key_token(key, signer)}"}  # type: ignore[arg-type]
    narrow = settings.model_copy(update={"database_pool_size": 1, "cors_origins": ["https://ours.example"]})
    slow = Slow(database)
    async with serve_settings(narrow, slow, store) as address, client_of(address) as http:

        async def ask(**more: str) -> httpx2.Response:
            return await http.post("/graphql", json={"query": "{ viewer { __typename } }"}, headers=headers | more)

        asked = [asyncio.create_task(ask()) for _ in range(6)]
        await until(lambda: sum(task.done() for task in asked) == 3)
        done = {task.result().status_code for task in asked if task.done()}
        page = await ask(origin="https://ours.example")
        alive = await http.get("/_status?simple")
        slow.gate.set()
        found = Counter([(await task).status_code for task in asked])
        refused = next(task.result() for task in asked if task.result().status_code == 503)
        again = await ask()

    assert (done, found) == ({503}, Counter({200: 3, 503: 3}))
    assert refused.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    assert refused.headers["retry-after"] == "1"
    assert page.headers["access-control-allow-origin"] == "https://ours.example"
    assert (alive.status_code, again.status_code) == (200, 200)


def test_production_gives_notice_before_it_ends(settings: Settings) -> None:
    production = settings.model_copy(update={"environment": "production"})
    told = production.model_copy(update={"shutdown_notice": 0.5})

    assert [one.shutdown_notice_seconds for one in (settings, production, told)] == [0, 5, 0.5]
