"""What API keys do is collected while the server runs, and written down every few seconds and at the end."""

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
from graphql_api.settings import Settings
from tests.app_server import serve_settings
from tests.builders import Builders
from tests.conftest import Statements
from tests.waiting import PATIENCE

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
    """A client with a key, of a server that runs for as long as it is used."""

    @asynccontextmanager
    async def client(key: models.ApiKey, **changes: Any) -> Any:
        headers = {"authorization": f"Bearer {key.service_id}-{signer.unsign(key.secret)}"}
        async with (
            serve_settings(settings.model_copy(update=changes), database, store) as address,
            httpx2.AsyncClient(base_url=f"http://{address}", headers=headers, timeout=PATIENCE) as client,
        ):
            yield client

    return client


async def rows(database: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """What a statement reads."""
    async with database.read_connection() as connection:
        return [tuple(row) for row in await connection.execute(text(statement), values)]


async def used(database: Database, key: models.ApiKey) -> Any:
    """When a key was last used, as it is kept."""
    found = await rows(database, "SELECT last_used_at FROM api_key_lifetimes WHERE api_key_id = :id", id=key.id)
    return found[0][0] if found else None


async def test_calls_and_messages_of_a_key_are_counted_by_the_time_the_server_has_ended(
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
    assert await used(database, other) is None
    kept = await used(database, key)
    assert (kept.minute % 5, kept.second, kept.microsecond) == (0, 0, 0)
    assert before - timedelta(minutes=5) <= kept <= utcnow()


async def test_calls_that_come_too_often_are_counted(
    client_of: Callable[..., Client], make: Builders, database: Database
) -> None:
    key = await make.api_key(await make.service(rate_limit=1))
    query = "{ viewer { service { id } } }"
    async with client_of(key, points_per_minute=3) as client:  # of which two may be spent at once
        statuses = [(await client.post("/graphql", json={"query": query})).status_code for _ in range(4)]

    assert statuses == [200, 200, 429, 429]
    assert await rows(database, FIGURES, id=key.id) == [(london_days.london_day(utcnow()), 4, 2, 2, 2, 0, True)]


async def test_every_way_in_is_counted(client_of: Callable[..., Client], make: Builders, database: Database) -> None:
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
            heard = [json.loads(await socket.recv())["type"] for _ in range(3)]

    assert [answer.status_code for answer in (events, refused, taken, empty)] == [200, 400, 201, 400]
    assert heard == ["connection_ack", "next", "complete"]
    assert await rows(database, FIGURES, id=key.id) == [(london_days.today(), 5, 3, 2, 0, 0, True)]


async def test_figures_are_added_to_those_that_are_there(make: Builders, database: Database) -> None:
    key = await make.api_key(await make.service())
    one, another = ApiKeyUsageRecorder(database), ApiKeyUsageRecorder(database)
    for usage in (one, another, one):
        usage.record_call(key.id, failed=False, seconds=0.25, stats=OperationStats(messages=2))
        await usage.flush()
    await one.flush()

    found = await rows(
        database,
        "SELECT requests, succeeded, notifications, total_ms FROM api_key_usage_daily WHERE api_key_id = :id",
        id=key.id,
    )
    assert found == [(3, 3, 6, 750)]


async def test_what_cannot_be_written_is_written_later(make: Builders, database: Database) -> None:
    key = await make.api_key(await make.service())

    class Away(Database):
        away = True

        @asynccontextmanager
        async def transaction(self) -> Any:
            if self.away:
                raise Unavailable("The database did not answer in time: try again.")
            async with database.transaction() as tx:
                yield tx

    away = Away(database.primary)
    usage = ApiKeyUsageRecorder(away)
    usage.record_call(key.id, failed=True, seconds=1, stats=OperationStats())
    await usage.flush()
    usage.record_call(key.id, failed=False, seconds=1, stats=OperationStats())
    await usage.flush()
    nothing = await rows(database, FIGURES, id=key.id)
    away.away = False
    await usage.close()

    assert nothing == []
    assert await rows(database, FIGURES, id=key.id) == [(london_days.today(), 2, 1, 1, 0, 0, True)]


async def test_a_key_that_is_gone_keeps_nobody_elses_figures_back(make: Builders, database: Database) -> None:
    key = await make.api_key(await make.service())
    usage = ApiKeyUsageRecorder(database)
    for api_key_id in (uuid4(), key.id):
        usage.record_call(api_key_id, failed=False, seconds=1, stats=OperationStats())
    await usage.flush()

    assert await rows(database, "SELECT api_key_id FROM api_key_usage_daily") == [(key.id,)]


async def test_nothing_is_written_where_nothing_was_called(
    make: Builders, database: Database, statements: Statements
) -> None:
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
