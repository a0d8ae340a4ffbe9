"""The whole application on a real port: sockets, events, status, metrics, the explorer, and what a fault looks like."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import uvicorn
import websockets
from sqlalchemy.ext.asyncio import create_async_engine
from websockets.asyncio.client import ClientConnection, connect

from graphql_api import app, serving
from graphql_api.database import Database
from graphql_api.settings import Settings
from graphql_api.storage import Store

PROTOCOL = websockets.Subprotocol("graphql-transport-ws")
Served = Callable[..., Any]


class Quiet(uvicorn.Server):
    """A server that leaves the tests' signals alone, and says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @asynccontextmanager
    async def running(self, listener: Any) -> AsyncIterator[str]:
        """Serve, and answer the address without its scheme."""
        task = asyncio.create_task(self._serve([listener]))
        await self.ready.wait()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        self.should_exit = True
        await task


@pytest.fixture
def serve(database: Database, store: Store) -> Served:
    """Serve the application by settings, on a free port."""

    @asynccontextmanager
    async def served(settings: Settings, database: Database = database) -> AsyncIterator[str]:
        application = app.create(settings, database=database, store=store)
        with serving.listen("127.0.0.1", 0) as listener:
            async with Quiet(serving.configuration(application=application)).running(listener) as address:
                yield address

    return served


@pytest_asyncio.fixture
async def address(serve: Served, settings: Settings) -> AsyncIterator[str]:
    """The address of the application as production has it, nearly."""
    async with serve(settings) as address:
        yield address


@pytest_asyncio.fixture
async def client(address: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the running application."""
    async with httpx2.AsyncClient(base_url=f"http://{address}") as client:
        yield client


@asynccontextmanager
async def socket(address: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A WebSocket to the running application."""
    async with connect(f"ws://{address}/graphql", subprotocols=[PROTOCOL], **options) as connection:
        yield connection


async def say(connection: ClientConnection, *messages: Any) -> None:
    """Send messages, each as JSON unless it is a text."""
    for message in messages:
        await connection.send(message if isinstance(message, str | bytes) else json.dumps(message))


async def hear(connection: ClientConnection) -> Any:
    """The next message, which is text."""
    message = await asyncio.wait_for(connection.recv(), 10)
    assert isinstance(message, str)
    return json.loads(message)


async def closing(connection: ClientConnection) -> int:
    """The code with which the server closes."""
    async with asyncio.timeout(10):
        with suppress(websockets.ConnectionClosed):
            async for _ in connection:
                pass
        await connection.wait_closed()
    assert connection.close_code is not None
    return connection.close_code


def subscribe(query: str, one: str = "1") -> dict[str, Any]:
    """A message that asks for something."""
    return {"type": "subscribe", "id": one, "payload": {"query": query}}


INIT = {"type": "connection_init"}


async def test_a_query_is_answered_over_a_socket(address: str) -> None:
    async with socket(address) as connection:
        await say(connection, INIT, subscribe("{ __typename }"))

        assert await hear(connection) == {"type": "connection_ack"}
        assert await hear(connection) == {"type": "next", "id": "1", "payload": {"data": {"__typename": "Query"}}}
        assert await hear(connection) == {"type": "complete", "id": "1"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "BAD_REQUEST"),
        ("{ nothing }", "BAD_REQUEST"),
        ("{ " + "a: __typename " * 61 + "}", "QUERY_TOO_COMPLEX"),
        ("{ __schema { queryType { name } } }", "UNAUTHENTICATED"),
    ],
)
async def test_a_socket_has_the_limits_of_http(address: str, query: str, code: str) -> None:
    async with socket(address) as connection:
        await say(connection, INIT, subscribe(query))
        await hear(connection)
        told = await hear(connection)

        assert (told["type"], told["id"]) == ("error", "1")
        assert [error["extensions"]["code"] for error in told["payload"]] == [code]


async def test_a_bad_token_closes_the_socket(address: str) -> None:
    async with socket(address) as connection:
        await say(connection, {**INIT, "payload": {"Authorization": "Bearer nobody's"}})

        assert await closing(connection) == 4403


@pytest.mark.parametrize(
    "message",
    [
        "[]", "1", "null", "{}", "{", "[" * 30_000, '{"type": 1}', '{"type": "start"}', '{"type": ["ping"]}',
        '{"type": "subscribe", "id": [1], "payload": {"query": "{ a }"}}',
        '{"type": "subscribe", "id": "é", "payload": {"query": "{ a }"}}',
        '{"type": "subscribe", "id": "", "payload": {"query": "{ a }"}}',
        '{"type": "subscribe", "id": "1"}', '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "variables": []}}',
        '{"type": "ping", "type": "pong"}', '{"type": "ping", "payload": 1}', '{"type": "complete"}', b"{}",
    ],
    ids=lambda message: str(message)[:50],
)  # fmt: skip
async def test_a_malformed_message_closes_the_socket(address: str, message: str | bytes) -> None:
    async with socket(address) as connection:
        await say(connection, INIT, message)

        assert await closing(connection) == 4400


async def test_the_protocols_rules_are_kept(address: str) -> None:
    async with socket(address) as connection:
        await say(connection, subscribe("{ __typename }"))
        assert await closing(connection) == 4401
    async with socket(address) as connection:
        await say(connection, INIT, INIT)
        assert await closing(connection) == 4429
    async with connect(f"ws://{address}/graphql", subprotocols=[websockets.Subprotocol("graphql-ws")]) as connection:
        assert await closing(connection) == 4406


async def test_a_frame_over_64_kilobytes_closes_the_socket(address: str) -> None:
    async with socket(address) as connection:
        await say(connection, INIT, subscribe("#" * 65_536))

        assert await closing(connection) == 1009


async def test_a_page_of_another_origin_cannot_open_a_socket(address: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with socket(address, origin=websockets.Origin("https://elsewhere.example")):
            pass

    assert refused.value.response.status_code == 403


async def test_events_are_sent_where_nothing_else_is_wanted(client: httpx2.AsyncClient) -> None:
    headers = {"accept": "text/event-stream"}
    response = await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)

    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert response.text == 'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n'


async def test_an_operation_that_is_refused_has_no_events(client: httpx2.AsyncClient) -> None:
    headers = {"accept": "text/event-stream"}
    response = await client.post("/graphql", json={"query": "{ nothing }"}, headers=headers)

    assert response.status_code == 400
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["BAD_REQUEST"]


async def test_the_status_tells_the_revision_of_the_database(client: httpx2.AsyncClient) -> None:
    response = await client.get("/_status")

    assert response.status_code == 200
    assert response.json()["status"] == "ok"
    assert re.fullmatch(r"\d{4}", response.json()["databaseRevision"])


async def test_the_status_is_503_while_the_database_is_away_unless_it_is_left_out(
    serve: Served, settings: Settings
) -> None:
    away = Database(create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing"))
    async with serve(settings, database=away) as address, httpx2.AsyncClient(base_url=f"http://{address}") as client:
        whole, simple = await client.get("/_status"), await client.get("/_status?simple")
        token = "00000000-0000-4000-8000-000000000000-00000000-0000-4000-8000-000000000000"
        headers = {"authorization": f"Bearer {token}"}
        asked = await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)

    assert (whole.status_code, whole.json()["status"]) == (503, "error")
    assert (simple.status_code, simple.json()) == (200, {"status": "ok", "gitCommit": None, "builtAt": None})
    assert (asked.status_code, asked.headers["retry-after"]) == (503, "1")
    assert [error["extensions"]["code"] for error in asked.json()["errors"]] == ["UNAVAILABLE"]


async def test_operations_are_counted(client: httpx2.AsyncClient) -> None:
    await client.post("/graphql", json={"query": "query Mine { __typename }"})
    await client.post("/graphql", json={"query": "{ nothing }"})
    await client.post("/graphql", content=b"{")
    text = (await client.get("/metrics")).text

    assert 'graphql_operations_total{operation="(unnamed)",outcome="ok"} 1.0' in text
    assert 'graphql_operations_total{operation="(unnamed)",outcome="refused"} 1.0' in text
    assert 'http_rejected_total{status="415"} 1.0' in text
    assert 'database_connections{pool="primary",state="used"}' in text


async def test_every_answer_protects_the_browser(client: httpx2.AsyncClient) -> None:
    for path in ("/_status", "/nowhere", "/graphql"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "server" not in headers


async def test_an_address_that_is_not_there_is_said_in_json(client: httpx2.AsyncClient) -> None:
    response = await client.get("/nowhere")

    assert response.status_code == 404
    assert response.json() == {"errors": [{"message": "Not Found", "extensions": {"code": "NOT_FOUND"}}]}


async def test_production_has_no_explorer(client: httpx2.AsyncClient) -> None:
    assert [(await client.get(path)).status_code for path in ("/", "/assets/notices.txt")] == [404, 404]


async def test_no_origin_is_let_in_unless_it_is_configured(serve: Served, settings: Settings) -> None:
    asked = {"origin": "https://ours.example", "access-control-request-method": "POST"}
    ours = settings.model_copy(update={"cors_origins": ["https://ours.example"]})
    answers = []
    for one in (settings, ours):
        async with serve(one) as address, httpx2.AsyncClient(base_url=f"http://{address}") as client:
            answers.append(await client.options("/graphql", headers=asked))

    assert [answer.status_code for answer in answers] == [405, 200]
    assert [answer.headers.get("access-control-allow-origin") for answer in answers] == [None, "https://ours.example"]
    assert "access-control-allow-credentials" not in answers[1].headers


@pytest.fixture
def development(settings: Settings, tmp_path: Path) -> Settings:
    """Settings of a developer's machine, where `./run dev` has written its file."""
    facts = {"tokens": {"service_manager": "</script>token"}, "service_id": "a", "template_ids": {"sms": "b"}}
    (tmp_path / "dev.json").write_text(json.dumps(facts))
    return settings.model_copy(update={"environment": "development"})


async def test_the_explorer_begins_signed_in_on_this_machine_alone(serve: Served, development: Settings) -> None:
    async with serve(development) as address, httpx2.AsyncClient(base_url=f"http://{address}") as client:
        here = await client.get("/")
        elsewhere = await client.get("/", headers={"host": "notify.elsewhere.example"})

    settings = re.compile(r'<script type="application/json" id="settings">(.*?)</script>')
    told = [json.loads(found[1]) for page in (here, elsewhere) if (found := settings.search(page.text))]
    beginning = {"graphqlUrl": "/graphql", "token": "</script>token", "serviceId": "a", "templateId": "b"}
    assert told == [beginning, {"graphqlUrl": "/graphql"}]
    assert "</script>token" not in here.text
    assert here.headers["cache-control"] == "no-store"
    assert here.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")


async def test_the_explorers_files_are_kept_for_ever(serve: Served, development: Settings) -> None:
    async with serve(development) as address, httpx2.AsyncClient(base_url=f"http://{address}") as client:
        page = (await client.get("/")).text
        names = re.findall(r'"\./(assets/[^"]+)"', page)
        answers = [await client.get(f"/{name}") for name in names]
        outside = await client.get("/assets/..%2findex.html")

    assert len(answers) == 6
    assert {(one.status_code, one.headers["cache-control"]) for one in answers} == {
        (200, "public, max-age=31536000, immutable")
    }
    assert outside.status_code == 404


async def test_development_shows_its_schema_to_everyone(serve: Served, development: Settings) -> None:
    async with serve(development) as address, httpx2.AsyncClient(base_url=f"http://{address}") as client:
        response = await client.post("/graphql", json={"query": "{ __schema { queryType { name } } }"})

    assert response.json() == {"data": {"__schema": {"queryType": {"name": "Query"}}}}


async def test_a_fault_is_answered_by_an_id(serve: Served, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_request: Any) -> Any:
        raise KeyError("07700900123")

    monkeypatch.setattr(app, "_metrics", broken)
    async with serve(settings) as address, httpx2.AsyncClient(base_url=f"http://{address}") as client:
        response = await client.get("/metrics")

    (error,) = response.json()["errors"]
    assert response.status_code == 500
    assert error["extensions"] == {"code": "INTERNAL", "requestId": response.headers["x-request-id"]}
    assert "KeyError" not in response.text
