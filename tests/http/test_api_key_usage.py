"""Calls of API keys are counted while the server runs, and written every few seconds and at the end."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import websockets
from sqlalchemy import text
from websockets.asyncio.client import connect

from graphql_api import models
from graphql_api.auth.crypto import Signer
from graphql_api.billing import london_days
from graphql_api.database.database import Database
from graphql_api.errors import Unavailable
from graphql_api.gateways.object_store import Store
from graphql_api.http.api_key_usage import ApiKeyUsageRecorder
from graphql_api.models import utcnow
from graphql_api.observability.operation_stats import OperationStats
from graphql_api.planner import Planner
from graphql_api.settings import Settings
from tests.app_server import serve_settings
from tests.builders import Builders
from tests.conftest import Statements
from tests.waiting import WAIT_TIMEOUT_SECONDS

SEND = "mutation ($input: SendNotificationInput!) { sendNotification(input: $input) { userErrors { code } } }"
FIGURES = """
    SELECT day, requests, succeeded, failed, rate_limited, notifications, total_ms > 0 AS took
    FROM api_key_usage_daily WHERE api_key_id = :id
"""
CSV = {"content-type": "text/csv"}
PROTOCOL = websockets.Subprotocol("graphql-transport-ws")
Client = AbstractAsyncContextManager[httpx2.AsyncClient]


@pytest.fixture
def client_of(database: Database, store: Store, settings: Settings, signer: Signer) -> Callable[..., Client]:
    """A client with an API key, of a server that runs while the client is open."""

    @asynccontextmanager
    async def client(key: models.ApiKey, **changes: Any) -> Any:
        headers = {"authorization": f"Bearer {key.service_id}-{signer.unsign(key.secret)}"}
        async with (
            serve_settings(settings.model_copy(update=changes), database, store) as address,
            httpx2.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=WAIT_TIMEOUT_SECONDS) as client,
        ):
            yield client

    return client


async def rows(database: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement."""
    async with database.read_connection() as connection:
        return [tuple(row) for row in await connection.execute(text(statement), values)]


async def last_used(database: Database, key: models.ApiKey) -> Any:
    """When a key was last used, as stored."""
    result = await rows(database, "SELECT last_used_at FROM api_key_lifetimes WHERE api_key_id = :id", id=key.id)
    return result[0][0] if result else None


async def test_calls_and_messages_of_a_key_are_written_before_the_server_ends(
    client_of: Callable[..., Client], make: Builders, database: Database
) -> None:
    service = await make.service(rate_limit=0)
    template = await make.template(service, content="Hello")
    key, other = await make.api_key(service), await make.api_key(service)
    message = {"templateId": str(template.id), "recipient": {"phoneNumber": "07700900123"}}
    before = utcnow()
    async with client_of(key) as client:
        for query, variables in (
            ("{ viewer { service { name } } }", {}),
            ("{ users { nodes { id } } }", {}),
            ("{ nothing }", {}),
            (SEND, {"input": message}),
            (SEND, {"input": message}),
        ):
            answer = await client.post("/graphql", json={"query": query, "variables": variables})
            assert answer.status_code in {200, 400}

    day = london_days.london_day(before)
    assert await rows(database, FIGURES, id=key.id) == [(day, 5, 2, 3, 1, 1, True)]
    assert await rows(database, FIGURES, id=other.id) == []
    assert await last_used(database, other) is None
    stored = await last_used(database, key)
    assert (stored.minute % 5, stored.second, stored.microsecond) == (0, 0, 0)
    assert before - timedelta(minutes=5) <= stored <= utcnow()


async def test_rate_limited_calls_are_counted(
    client_of: Callable[..., Client], make: Builders, database: Database
) -> None:
    key = await make.api_key(await make.service(rate_limit=1))
    query = "{ viewer { service { id } } }"
    async with client_of(key, points_per_minute=3) as client:  # of which two may be spent at once
        statuses = [(await client.post("/graphql", json={"query": query})).status_code for _ in range(4)]

    assert statuses == [200, 200, 429, 429]
    assert await rows(database, FIGURES, id=key.id) == [(london_days.london_day(utcnow()), 4, 2, 2, 2, 0, True)]


async def test_a_call_is_counted_when_the_database_is_unavailable_to_the_planner(
    client_of: Callable[..., Client], make: Builders, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def plan(*_: Any) -> None:
        raise Unavailable("The database did not answer in time: try again.")

    monkeypatch.setattr(Planner, "__call__", plan)
    key = await make.api_key(await make.service())
    async with client_of(key) as client:
        answer = await client.post("/graphql", json={"query": "{ __typename }"})

    assert answer.status_code == 503
    assert await rows(database, FIGURES, id=key.id) == [(london_days.today(), 1, 0, 1, 0, 0, True)]


async def test_every_transport_is_counted(client_of: Callable[..., Client], make: Builders, database: Database) -> None:
    key = await make.api_key(await make.service())
    query = "{ viewer { service { id } } }"
    async with client_of(key) as client:
        events = await client.post("/graphql", json={"query": query}, headers={"accept": "text/event-stream"})
        refused = await client.post("/graphql", json={"query": "{ no }"}, headers={"accept": "text/event-stream"})
        taken = await client.post("/uploads", content=b"phone number\n07700900123\n", headers=CSV)
        empty = await client.post("/uploads", content=b"", headers=CSV)
        address = str(client.base_url).replace("http", "ws").rstrip("/") + "/graphql"
        header = {"Authorization": client.headers["authorization"]}
        async with connect(address, subprotocols=[PROTOCOL], additional_headers=header) as socket:
            for message in ({"type": "connection_init"}, {"type": "subscribe", "id": "1", "payload": {"query": query}}):
                await socket.send(json.dumps(message))
            message_types = [json.loads(await socket.recv())["type"] for _ in range(3)]

    assert [answer.status_code for answer in (events, refused, taken, empty)] == [200, 400, 201, 400]
    assert message_types == ["connection_ack", "next", "complete"]
    assert await rows(database, FIGURES, id=key.id) == [(london_days.today(), 5, 3, 2, 0, 0, True)]


async def test_counts_are_added_to_those_in_the_database(make: Builders, database: Database) -> None:
    key = await make.api_key(await make.service())
    first, second = ApiKeyUsageRecorder(database), ApiKeyUsageRecorder(database)
    for usage in (first, second, first):
        usage.record_call(key.id, failed=False, seconds=0.25, stats=OperationStats(messages=2))
        await usage.flush()
    await first.flush()

    counts = await rows(
        database,
        "SELECT requests, succeeded, notifications, total_ms FROM api_key_usage_daily WHERE api_key_id = :id",
        id=key.id,
    )
    assert counts == [(3, 3, 6, 750)]


async def test_counts_that_cannot_be_written_are_written_later(make: Builders, database: Database) -> None:
    key = await make.api_key(await make.service())

    class UnavailableDatabase(Database):
        unavailable = True

        @asynccontextmanager
        async def transaction(self) -> Any:
            if self.unavailable:
                raise Unavailable("The database did not answer in time: try again.")
            async with database.transaction() as tx:
                yield tx

    unavailable_database = UnavailableDatabase(database.primary)
    usage = ApiKeyUsageRecorder(unavailable_database)
    usage.record_call(key.id, failed=True, seconds=1, stats=OperationStats())
    await usage.flush()
    usage.record_call(key.id, failed=False, seconds=1, stats=OperationStats())
    await usage.flush()
    before = await rows(database, FIGURES, id=key.id)
    unavailable_database.unavailable = False
    await usage.close()

    assert before == []
    assert await rows(database, FIGURES, id=key.id) == [(london_days.today(), 2, 1, 1, 0, 0, True)]


async def test_a_deleted_key_does_not_prevent_the_counts_of_others(make: Builders, database: Database) -> None:
    key = await make.api_key(await make.service())
    usage = ApiKeyUsageRecorder(database)
    for api_key_id in (uuid4(), key.id):
        usage.record_call(api_key_id, failed=False, seconds=1, stats=OperationStats())
    await usage.flush()

    assert await rows(database, "SELECT api_key_id FROM api_key_usage_daily") == [(key.id,)]


async def test_nothing_is_written_without_calls(make: Builders, database: Database, statements: Statements) -> None:
    key = await make.api_key(await make.service())
    usage = ApiKeyUsageRecorder(database)
    with statements(0):
        await usage.flush()
    for _ in range(100):
        usage.record_call(key.id, failed=False, seconds=1, stats=OperationStats())
    with statements(2):
        await usage.flush()
    with statements(0):
        await usage.flush()
