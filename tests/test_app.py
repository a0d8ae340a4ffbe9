"""The whole application on a real port: events, status, metrics, the explorer, and what a fault looks like."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncConnection

from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from graphql_api.http import status
from graphql_api.settings import Settings
from tests.app_server import client_of, serve_settings
from tests.builders import Builders
from tests.waiting import PATIENCE

Served = Callable[..., Any]


@pytest.fixture
def serve(database: Database, store: Store) -> Served:
    """Serve the application by settings, on a free port."""
    return lambda settings, other=None: serve_settings(settings, other or database, store)


@pytest_asyncio.fixture
async def address(serve: Served, settings: Settings) -> AsyncIterator[str]:
    """The address of the application as production has it, nearly."""
    async with serve(settings) as address:
        yield address


@pytest_asyncio.fixture
async def client(address: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the running application."""
    async with client_of(address) as client:
        yield client


async def test_events_are_sent_where_nothing_else_is_wanted(client: httpx2.AsyncClient) -> None:
    headers = {"accept": "text/event-stream"}
    response = await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)

    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    answer = '{"data":{"__typename":"Query"},"extensions":{"cost":{"requested":1,"actual":1}}}'
    assert response.text == f"event: next\ndata: {answer}\n\nevent: complete\ndata:\n\n"


async def test_an_operation_that_is_refused_has_no_events(client: httpx2.AsyncClient) -> None:
    headers = {"accept": "text/event-stream"}
    response = await client.post("/graphql", json={"query": "{ nothing }"}, headers=headers)

    assert response.status_code == 400
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["BAD_REQUEST"]


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
        async with serve(one) as address, client_of(address) as client:
            answers.append(await client.options("/graphql", headers=asked))

    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.headers.get("access-control-allow-origin") for answer in answers] == [None, "https://ours.example"]
    assert "access-control-allow-credentials" not in answers[1].headers


@pytest.fixture
def development(settings: Settings, tmp_path: Path) -> Settings:
    """Settings of a developer's machine, where `./run dev` has written its file."""
    facts = {"tokens": {"service_manager": "</script>token"}, "service_id": "a", "template_ids": {"sms": "b"}}
    (tmp_path / "dev.json").write_text(json.dumps(facts))
    return settings.model_copy(update={"environment": "development"})


async def test_the_explorer_begins_signed_in_on_this_machine_alone(serve: Served, development: Settings) -> None:
    async with serve(development) as address, client_of(address) as client:
        here = await client.get("/")
        elsewhere = await client.get("/", headers={"host": "notify.elsewhere.example"})

    settings = re.compile(r'<script type="application/json" id="settings">(.*?)</script>')
    told = [json.loads(found[1]) for page in (here, elsewhere) if (found := settings.search(page.text))]
    beginning = {"graphqlUrl": "/graphql", "token": "</script>token", "serviceId": "a", "templateId": "b"}
    assert told == [beginning, {"graphqlUrl": "/graphql"}]
    assert "</script>token" not in here.text
    assert here.headers["cache-control"] == "no-store"
    assert here.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")


async def test_a_browser_that_opens_the_api_itself_is_sent_to_the_explorer(
    serve: Served, development: Settings, client: httpx2.AsyncClient
) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with serve(development) as address, client_of(address) as there:
        sent = await there.get("/graphql", headers=browser)
        asks = await there.get("/graphql", params={"query": "{ __typename }"}, headers=browser)
    refused = await client.get("/graphql", headers=browser)

    assert (sent.status_code, sent.headers["location"]) == (303, "/")
    assert (asks.status_code, refused.status_code) == (400, 400)


async def test_the_explorers_files_are_kept_for_ever(serve: Served, development: Settings) -> None:
    async with serve(development) as address, client_of(address) as client:
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
    async with serve(development) as address, client_of(address) as client:
        response = await client.post("/graphql", json={"query": "{ __schema { queryType { name } } }"})

    assert response.json()["data"] == {"__schema": {"queryType": {"name": "Query"}}}


async def test_a_body_that_does_not_arrive_is_given_up(serve: Served, settings: Settings) -> None:
    async with serve(settings.model_copy(update={"request_timeout": 0.2})) as address:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: notify\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()


async def test_an_answer_that_takes_too_long_is_given_up(
    serve: Served, settings: Settings, database: Database, make: Builders
) -> None:
    service = await make.service()
    secret = str(uuid4())
    await make.api_key(service, secret=secret)

    class Slow(Database):
        """A database that is in no hurry, but for finding out who asks."""

        calls = 0

        @asynccontextmanager
        async def reading(self) -> AsyncIterator[AsyncConnection]:
            self.calls += 1
            if self.calls > 1:
                await asyncio.sleep(3_600)
            async with database.read_connection() as connection:
                yield connection

    hurried = settings.model_copy(update={"request_timeout": 0.2})
    async with serve(hurried, Slow(database.primary)) as address, client_of(address) as client:
        response = await client.post(
            "/graphql",
            json={"query": "{ viewer { service { name } } }"},
            headers={"authorization": f"Bearer key-{service.id}-{secret}"},
        )

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["UNAVAILABLE"]


async def test_the_schema_is_shown_to_whom_the_settings_say(serve: Served, settings: Settings, make: Builders) -> None:
    service = await make.service()
    secret = str(uuid4())
    await make.api_key(service, secret=secret)
    token = {"authorization": f"Bearer key-{service.id}-{secret}"}
    found = {}
    for policy in ("everyone", "signed-in", "nobody"):
        one = settings.model_copy(update={"introspection": policy})
        async with serve(one) as address, client_of(address) as client:
            for name, headers in (("stranger", {}), ("key", token)):
                query = {"query": "{ __schema { queryType { name } } }"}
                answer = (await client.post("/graphql", json=query, headers=headers)).json()
                found[policy, name] = [error["extensions"]["code"] for error in answer.get("errors", [])]

    assert found == {
        ("everyone", "stranger"): [],
        ("everyone", "key"): [],
        ("signed-in", "stranger"): ["UNAUTHENTICATED"],
        ("signed-in", "key"): [],
        ("nobody", "stranger"): ["FORBIDDEN"],
        ("nobody", "key"): ["FORBIDDEN"],
    }


async def test_a_list_is_uploaded_by_whoever_may_send(client: httpx2.AsyncClient, make: Builders) -> None:
    service = await make.service()
    secret = str(uuid4())
    await make.api_key(service, secret=secret)
    headers = {"content-type": "text/csv", "authorization": f"Bearer key-{service.id}-{secret}"}
    content = "phone number,name\n07700900123,Zoë\n".encode()
    taken = await client.post("/uploads", content=content, headers=headers)
    stranger = await client.post("/uploads", content=content, headers={"content-type": "text/csv"})
    forged = await client.post("/uploads", content=content, headers=headers | {"authorization": "Bearer x"})

    assert taken.status_code == 201
    assert {name: taken.json()[name] for name in ("byteCount", "rowCount")} == {"byteCount": 35, "rowCount": 1}
    assert (stranger.status_code, forged.status_code) == (401, 401)


async def test_a_fault_is_answered_by_an_id(serve: Served, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_request: Any) -> Any:
        raise KeyError("07700900123")

    monkeypatch.setattr(status, "live_counts", broken)
    async with serve(settings) as address, client_of(address) as client:
        response = await client.get("/_status/live-service-and-organisation-counts")

    (error,) = response.json()["errors"]
    assert response.status_code == 500
    assert error["extensions"] == {"code": "INTERNAL", "requestId": response.headers["x-request-id"]}
    assert "KeyError" not in response.text
