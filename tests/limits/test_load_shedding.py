"""Load shedding: the capacity of a process, and the response to requests beyond it."""

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
from tests.waiting import WAIT_TIMEOUT_SECONDS, until


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        """The current time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the load shedder."""
    clock = Clock()
    monkeypatch.setattr(load_shedding, "time", clock)
    return clock


def test_the_initial_capacity_is_three_requests_per_connection(database: Database, clock: Clock) -> None:
    load_shedder = LoadShedder(database, 8)

    assert [load_shedder.is_full(count) for count in (0, 8, 23, 24, 100)] == [False, False, False, True, True]
    assert clock.now == 1_000


def test_the_capacity_falls_with_the_throughput_to_two_requests_per_connection(
    database: Database, clock: Clock
) -> None:
    load_shedder = LoadShedder(database, 8)
    capacities = []
    for completed in (0, 30, 30, 30, 30, 0, 0, 0, 0):
        clock.now += 0.25
        load_shedder.completed_requests += completed
        load_shedder.is_full(16)
        capacities.append(next(count for count in range(100) if load_shedder.is_full(count)))

    # 120 a second at 0.1 seconds each would be 12.
    assert capacities == [24, 18, 16, 16, 16, 16, 16, 16, 16]


def test_the_capacity_rises_with_the_throughput_to_twelve_requests_per_connection(
    database: Database, clock: Clock
) -> None:
    load_shedder = LoadShedder(database, 8)
    capacities = []
    for _ in range(5):
        clock.now += 0.25
        load_shedder.completed_requests += 300
        load_shedder.is_full(16)
        capacities.append(next(count for count in range(200) if load_shedder.is_full(count)))

    # 1,200 a second at 0.1 seconds each would be 120; the maximum is 96.
    assert capacities == [24, 72, 96, 96, 96]


@pytest.mark.parametrize(("completed", "capacity"), [(0, 24), (300, 96)])
def test_after_an_idle_time_the_capacity_is_at_least_the_initial_one(
    database: Database, clock: Clock, completed: int, capacity: int
) -> None:
    load_shedder = LoadShedder(database, 8)
    for _ in range(10):
        clock.now += 0.25
        load_shedder.completed_requests += completed
        load_shedder.is_full(16)
    assert load_shedder.is_full(16) is not bool(completed)
    clock.now += 5

    assert [load_shedder.is_full(count) for count in (capacity - 1, capacity)] == [False, True]


def test_excluded_requests_do_not_count(database: Database) -> None:
    load_shedder = LoadShedder(database, 8)
    load_shedder.excluded_requests = 300

    assert (load_shedder.is_full(323), load_shedder.is_full(324)) == (False, True)


def test_the_capacity_is_larger_while_the_database_is_unavailable(database: Database, clock: Clock) -> None:
    load_shedder = LoadShedder(database, 8)
    database.unavailable_at = clock.now - 0.5

    assert (load_shedder.is_full(799), load_shedder.is_full(800)) == (False, True)
    clock.now += 1
    assert load_shedder.is_full(799)


async def test_a_request_is_not_active_after_its_response(
    settings: Settings, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[HTTPProtocol] = []
    active_counts: list[tuple[int, int]] = []
    connection_made, call_endpoint = HTTPProtocol.connection_made, Endpoint.__call__

    def connected(self: HTTPProtocol, transport: asyncio.Transport) -> None:
        connection_made(self, transport)
        connections.append(self)

    async def answered(self: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
        before = len(connections[0].tasks)
        await call_endpoint(self, scope, receive, send)
        asyncio.get_running_loop().call_soon(lambda: active_counts.append((before, len(connections[0].tasks))))

    monkeypatch.setattr(HTTPProtocol, "connection_made", connected)
    monkeypatch.setattr(Endpoint, "__call__", answered)
    async with serve_settings(settings, database, store) as address, client_of(address) as http:
        for _ in range(3):
            await http.post("/graphql", json={"query": "{ __typename }"})

    assert active_counts == [(1, 0)] * 3


async def test_the_delayed_response_of_a_refused_sign_in_takes_no_capacity(
    settings: Settings, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MIN_FAILURE_SECONDS", 0.0)
    sign_in = """mutation { signIn(input: {emailAddress: "a@example.gov.uk", password: "a guess"}) {
      userErrors { code } } }"""
    one_connection = settings.model_copy(update={"database_pool_size": 1})
    application = app.create(one_connection, database=database, store=store)
    load_shedder = application._app.state.executor.load_shedder  # type: ignore[attr-defined]  # noqa: SLF001
    async with serve_app(application) as address, client_of(address) as http:

        async def ask(query: str, **headers: str) -> tuple[int, float]:
            began = time.monotonic()
            response = await http.post("/graphql", json={"query": query}, headers=headers)
            return response.status_code, time.monotonic() - began

        _, undelayed = await ask(sign_in)
        # Twelve are sent one after the other, and still wait when the other requests have been answered.
        delay = 1 + 40 * undelayed
        monkeypatch.setattr(sessions, "MIN_FAILURE_SECONDS", delay)
        sign_ins = []
        for number, events in enumerate((False, True) * 6, 1):
            accept = {"accept": "text/event-stream"} if events else {}
            sign_ins.append(asyncio.create_task(ask(sign_in, **accept)))
            await until(lambda number=number: load_shedder.excluded_requests >= number)  # type: ignore[misc]
        others = [(await ask("{ __typename }"))[0] for _ in range(5)]
        waiting = sum(not task.done() for task in sign_ins)
        results = await asyncio.gather(*sign_ins)

    assert others == [200] * 5
    assert waiting == 12
    assert [status for status, _ in results] == [200] * 12
    assert min(seconds for _, seconds in results) >= delay


async def test_requests_that_wait_for_password_hashes_take_no_capacity(
    settings: Settings, database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crypto.hashing_pool, "max_pending", 10)
    hash_allowed = threading.Event()
    monkeypatch.setattr(crypto, "_verify", lambda *_: hash_allowed.wait(WAIT_TIMEOUT_SECONDS))
    sign_in = """mutation { signIn(input: {emailAddress: "a@example.gov.uk", password: "a guess"}) {
      userErrors { code } } }"""
    one_connection = settings.model_copy(update={"database_pool_size": 1})
    async with serve_settings(one_connection, database, store) as address, client_of(address) as http:

        async def ask(query: str) -> list[str]:
            body = (await http.post("/graphql", json={"query": query})).json()
            return [error["extensions"]["code"] for error in body.get("errors", ())]

        sign_ins = []
        for number in range(1, 13):
            sign_ins.append(task := asyncio.create_task(ask(sign_in)))
            await until(lambda n=number, task=task: crypto.hashing_pool.pending == n or task.done())  # type: ignore[misc]
        others = [await ask("{ __typename }") for _ in range(5)]
        hash_allowed.set()
        codes = await asyncio.gather(*sign_ins)

    assert others == [[]] * 5
    assert codes == [[]] * 10 + [["UNAVAILABLE"]] * 2


class SlowDatabase(Database):
    """A database whose reads wait for a gate to open."""

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


async def test_requests_beyond_the_capacity_are_rejected_at_once_with_retry_after(
    settings: Settings, database: Database, store: Store, make: Builders, signer: object
) -> None:
    service = await make.service()
    key = await make.api_key(service)
    headers = {"authorization": f"Bearer {api_key_token(key, signer)}"}  # type: ignore[arg-type]
    one_connection = settings.model_copy(update={"database_pool_size": 1, "cors_origins": ["https://ours.example"]})
    slow = SlowDatabase(database)
    async with serve_settings(one_connection, slow, store) as address, client_of(address) as http:

        async def ask(**more: str) -> httpx2.Response:
            return await http.post("/graphql", json={"query": "{ viewer { __typename } }"}, headers=headers | more)

        tasks = [asyncio.create_task(ask()) for _ in range(6)]
        await until(lambda: sum(task.done() for task in tasks) == 3)
        done = {task.result().status_code for task in tasks if task.done()}
        cors_response = await ask(origin="https://ours.example")
        status_page = await http.get("/_status?simple")
        slow.gate.set()
        statuses = Counter([(await task).status_code for task in tasks])
        rejected = next(task.result() for task in tasks if task.result().status_code == 503)
        retried = await ask()

    assert (done, statuses) == ({503}, Counter({200: 3, 503: 3}))
    assert rejected.json()["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
    assert rejected.headers["retry-after"] == "1"
    assert cors_response.headers["access-control-allow-origin"] == "https://ours.example"
    assert (status_page.status_code, retried.status_code) == (200, 200)


def test_only_production_announces_its_shutdown_by_default(settings: Settings) -> None:
    production = settings.model_copy(update={"environment": "production"})
    configured = production.model_copy(update={"shutdown_notice": 0.5})

    assert [config.shutdown_notice_seconds for config in (settings, production, configured)] == [0, 5, 0.5]
