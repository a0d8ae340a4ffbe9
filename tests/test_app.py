"""The whole application on a real port: events, security headers, the explorer, timeouts, and internal errors."""

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

from graphql_api import app
from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from graphql_api.http import status
from graphql_api.settings import Settings
from tests.app_server import client_of, serve_app, serve_settings
from tests.builders import Builders
from tests.waiting import WAIT_TIMEOUT_SECONDS

Served = Callable[..., Any]


@pytest.fixture
def serve(database: Database, store: Store) -> Served:
    """Serve the application with settings, on a free port."""
    return lambda settings, other=None: serve_settings(settings, other or database, store)


@pytest_asyncio.fixture
async def address(serve: Served, settings: Settings) -> AsyncIterator[str]:
    """The address of a server."""
    async with serve(settings) as address:
        yield address


@pytest_asyncio.fixture
async def client(address: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the running application."""
    async with client_of(address) as client:
        yield client


async def test_a_client_that_accepts_only_events_gets_events(client: httpx2.AsyncClient) -> None:
    headers = {"accept": "text/event-stream"}
    response = await client.post("/graphql", json={"query": "{ __typename }"}, headers=headers)

    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    answer = '{"data":{"__typename":"Query"},"extensions":{"cost":{"requested":1,"actual":1}}}'
    assert response.text == f"event: next\ndata: {answer}\n\nevent: complete\ndata:\n\n"


async def test_a_server_without_a_planner_sends_the_same_response(
    settings: Settings, database: Database, store: Store, client: httpx2.AsyncClient
) -> None:
    query = {"query": "{ __typename }"}
    application = app.create(settings, database=database, store=store, planner=False)
    async with serve_app(application) as address, httpx2.AsyncClient(base_url=f"http://{address}") as unplanned:
        response = await unplanned.post("/graphql", json=query)

    assert response.content == (await client.post("/graphql", json=query)).content


async def test_an_operation_that_does_not_run_has_no_events(client: httpx2.AsyncClient) -> None:
    headers = {"accept": "text/event-stream"}
    response = await client.post("/graphql", json={"query": "{ nothing }"}, headers=headers)

    assert response.status_code == 400
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["BAD_REQUEST"]


async def test_every_response_has_security_headers(client: httpx2.AsyncClient) -> None:
    for path in ("/_status", "/nowhere", "/graphql"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert "server" not in headers


async def test_an_unknown_path_is_a_json_error(client: httpx2.AsyncClient) -> None:
    response = await client.get("/nowhere")

    assert response.status_code == 404
    assert response.json() == {"errors": [{"message": "Not Found", "extensions": {"code": "NOT_FOUND"}}]}


async def test_production_has_no_explorer(client: httpx2.AsyncClient) -> None:
    assert [(await client.get(path)).status_code for path in ("/", "/assets/notices.txt")] == [404, 404]


async def test_no_origin_is_allowed_unless_it_is_configured(serve: Served, settings: Settings) -> None:
    preflight = {"origin": "https://ours.example", "access-control-request-method": "POST"}
    ours = settings.model_copy(update={"cors_origins": ["https://ours.example"]})
    responses = []
    for configured in (settings, ours):
        async with serve(configured) as address, client_of(address) as client:
            responses.append(await client.options("/graphql", headers=preflight))

    assert [response.status_code for response in responses] == [200, 200]
    assert [response.headers.get("access-control-allow-origin") for response in responses] == [
        None,
        "https://ours.example",
    ]
    assert "access-control-allow-credentials" not in responses[1].headers


@pytest.fixture
def development(settings: Settings, tmp_path: Path) -> Settings:
    """Settings of development, with the file that `./run dev` writes."""
    facts = {"tokens": {"service_manager": "</script>token"}, "service_id": "a", "template_ids": {"sms": "b"}}
    (tmp_path / "dev.json").write_text(json.dumps(facts))
    return settings.model_copy(update={"environment": "development"})


async def test_the_explorer_starts_signed_in_on_a_loopback_name_only(serve: Served, development: Settings) -> None:
    async with serve(development) as address, client_of(address) as client:
        here = await client.get("/")
        elsewhere = await client.get("/", headers={"host": "notify.elsewhere.example"})

    settings = re.compile(r'<script type="application/json" id="settings">(.*?)</script>')
    initial = [json.loads(match[1]) for page in (here, elsewhere) if (match := settings.search(page.text))]
    signed_in = {"graphqlUrl": "/graphql", "token": "</script>token", "serviceId": "a", "templateId": "b"}
    assert initial == [signed_in, {"graphqlUrl": "/graphql"}]
    assert "</script>token" not in here.text
    assert here.headers["cache-control"] == "no-store"
    assert here.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")


async def test_a_browser_that_opens_the_api_is_redirected_to_the_explorer(
    serve: Served, development: Settings, client: httpx2.AsyncClient
) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with serve(development) as address, client_of(address) as there:
        redirect = await there.get("/graphql", headers=browser)
        query = await there.get("/graphql", params={"query": "{ __typename }"}, headers=browser)
    refused = await client.get("/graphql", headers=browser)

    assert (redirect.status_code, redirect.headers["location"]) == (303, "/")
    assert (query.status_code, refused.status_code) == (400, 400)


async def test_the_explorers_files_are_cached_for_ever(serve: Served, development: Settings) -> None:
    async with serve(development) as address, client_of(address) as client:
        page = (await client.get("/")).text
        names = re.findall(r'"\./(assets/[^"]+)"', page)
        responses = [await client.get(f"/{name}") for name in names]
        outside = await client.get("/assets/..%2findex.html")

    assert len(responses) == 6
    assert {(response.status_code, response.headers["cache-control"]) for response in responses} == {
        (200, "public, max-age=31536000, immutable")
    }
    assert outside.status_code == 404


async def test_introspection_is_open_in_development(serve: Served, development: Settings) -> None:
    async with serve(development) as address, client_of(address) as client:
        response = await client.post("/graphql", json={"query": "{ __schema { queryType { name } } }"})

    assert response.json()["data"] == {"__schema": {"queryType": {"name": "Query"}}}


async def test_a_body_that_does_not_arrive_times_out(serve: Served, settings: Settings) -> None:
    async with serve(settings.model_copy(update={"request_timeout": 0.2})) as address:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: notify\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        answer = await asyncio.wait_for(reader.read(), WAIT_TIMEOUT_SECONDS)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()


async def test_an_operation_that_takes_too_long_times_out(
    serve: Served, settings: Settings, database: Database, make: Builders
) -> None:
    service = await make.service()
    secret = str(uuid4())
    await make.api_key(service, secret=secret)

    class Slow(Database):
        """A database whose reads are slow, except that of the caller."""

        calls = 0

        @asynccontextmanager
        async def read_connection(self) -> AsyncIterator[AsyncConnection]:
            self.calls += 1
            if self.calls > 1:
                await asyncio.sleep(3_600)
            async with database.read_connection() as connection:
                yield connection

    short = settings.model_copy(update={"request_timeout": 0.2})
    async with serve(short, Slow(database.primary)) as address, client_of(address) as client:
        response = await client.post(
            "/graphql",
            json={"query": "{ viewer { service { name } } }"},
            headers={"authorization": f"Bearer key-{service.id}-{secret}"},
        )

    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["UNAVAILABLE"]


async def test_introspection_is_a_setting(serve: Served, settings: Settings, make: Builders) -> None:
    service = await make.service()
    secret = str(uuid4())
    await make.api_key(service, secret=secret)
    token = {"authorization": f"Bearer key-{service.id}-{secret}"}
    codes = {}
    for policy in ("everyone", "signed-in", "nobody"):
        changed = settings.model_copy(update={"introspection": policy})
        async with serve(changed) as address, client_of(address) as client:
            for name, headers in (("stranger", {}), ("key", token)):
                query = {"query": "{ __schema { queryType { name } } }"}
                answer = (await client.post("/graphql", json=query, headers=headers)).json()
                codes[policy, name] = [error["extensions"]["code"] for error in answer.get("errors", [])]

    assert codes == {
        ("everyone", "stranger"): [],
        ("everyone", "key"): [],
        ("signed-in", "stranger"): ["UNAUTHENTICATED"],
        ("signed-in", "key"): [],
        ("nobody", "stranger"): ["FORBIDDEN"],
        ("nobody", "key"): ["FORBIDDEN"],
    }


async def test_a_list_can_be_uploaded_with_the_permission_to_send(client: httpx2.AsyncClient, make: Builders) -> None:
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


async def test_an_internal_error_shows_only_an_id(
    serve: Served, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_request: Any) -> Any:
        raise KeyError("07700900123")

    monkeypatch.setattr(status, "live_counts", broken)
    async with serve(settings) as address, client_of(address) as client:
        response = await client.get("/_status/live-service-and-organisation-counts")

    (error,) = response.json()["errors"]
    assert response.status_code == 500
    assert error["extensions"] == {"code": "INTERNAL", "requestId": response.headers["x-request-id"]}
    assert "KeyError" not in response.text
