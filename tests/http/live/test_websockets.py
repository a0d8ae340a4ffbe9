"""GraphQL over WebSockets: the protocol, limits, origins and authentication."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio
import websockets

from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from graphql_api.http import responses
from graphql_api.settings import Settings
from tests.app_server import serve_settings
from tests.builders import Builders
from tests.websocket_client import (
    CONNECTION_INIT,
    open_websocket,
    receive_message,
    send_messages,
    subscribe,
    wait_for_close_code,
)

COST_EXTENSION = {"extensions": {"cost": {"requested": 1, "actual": 1}}}


@pytest_asyncio.fixture
async def address(settings: Settings, database: Database, store: Store) -> AsyncIterator[str]:
    """The address of a server."""
    async with serve_settings(settings, database, store) as address:
        yield address


async def test_a_query_runs_over_a_websocket(address: str) -> None:
    async with open_websocket(address) as connection:
        await send_messages(connection, CONNECTION_INIT, subscribe("{ __typename }"))

        assert await receive_message(connection) == {"type": "connection_ack"}
        payload = {"data": {"__typename": "Query"}, **COST_EXTENSION}
        assert await receive_message(connection) == {"type": "next", "id": "1", "payload": payload}
        assert await receive_message(connection) == {"type": "complete", "id": "1"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "BAD_REQUEST"),
        ("{ nothing }", "BAD_REQUEST"),
        ("{ " + "a: __typename " * 61 + "}", "QUERY_TOO_COMPLEX"),
        ("{ __schema { queryType { name } } }", "UNAUTHENTICATED"),
    ],
)
async def test_a_websocket_has_the_limits_of_http(address: str, query: str, code: str) -> None:
    async with open_websocket(address) as connection:
        await send_messages(connection, CONNECTION_INIT, subscribe(query))
        await receive_message(connection)
        message = await receive_message(connection)

        assert (message["type"], message["id"]) == ("error", "1")
        assert [error["extensions"]["code"] for error in message["payload"]] == [code]


async def test_a_message_that_is_too_large_is_an_error_and_the_websocket_stays_open(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "MAX_RESPONSE_BYTES", 300)
    query = "{ " + " ".join(f"a{number}: __typename" for number in range(20)) + " }"
    message = "The response is over 300 bytes: select less."
    error = {"message": message, "extensions": {"code": "QUERY_TOO_COMPLEX"}}
    async with open_websocket(address) as connection:
        await send_messages(connection, CONNECTION_INIT, subscribe(query), subscribe("{ __typename }", "2"))
        messages = [await receive_message(connection) for _ in range(4)]

    assert [received for received in messages if received.get("id") == "1"] == [
        {"type": "error", "id": "1", "payload": [error]}
    ]
    assert [received["type"] for received in messages if received.get("id") == "2"] == ["next", "complete"]


async def test_an_invalid_token_closes_the_websocket(address: str) -> None:
    async with open_websocket(address) as connection:
        await send_messages(connection, {**CONNECTION_INIT, "payload": {"Authorization": "Bearer unknown"}})

        assert await wait_for_close_code(connection) == 4403


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
async def test_an_invalid_message_closes_the_websocket(address: str, message: str | bytes) -> None:
    async with open_websocket(address) as connection:
        await send_messages(connection, CONNECTION_INIT, message)

        assert await wait_for_close_code(connection) == 4400


async def test_a_violation_of_the_protocol_closes_the_websocket(address: str) -> None:
    async with open_websocket(address) as connection:
        await send_messages(connection, subscribe("{ __typename }"))
        assert await wait_for_close_code(connection) == 4401
    async with open_websocket(address) as connection:
        await send_messages(connection, CONNECTION_INIT, CONNECTION_INIT)
        assert await wait_for_close_code(connection) == 4429
    async with open_websocket(address, subprotocols=[websockets.Subprotocol("graphql-ws")]) as connection:
        assert await wait_for_close_code(connection) == 4406


async def test_a_frame_over_64_kilobytes_closes_the_websocket(address: str) -> None:
    async with open_websocket(address) as connection:
        await send_messages(connection, CONNECTION_INIT, subscribe("#" * 65_536))

        assert await wait_for_close_code(connection) == 1009


async def test_a_page_of_another_origin_cannot_open_a_websocket(address: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as rejection:
        async with open_websocket(address, origin=websockets.Origin("https://elsewhere.example")):
            pass

    assert rejection.value.response.status_code == 403


async def test_an_api_key_is_sent_in_connection_init_or_in_a_header(address: str, make: Builders) -> None:
    service = await make.service()
    secret = str(uuid4())
    await make.api_key(service, secret=secret)
    token = f"Bearer key-{service.id}-{secret}"
    query = subscribe("{ viewer { service { id } } }")
    received = []
    async with open_websocket(address) as connection:
        await send_messages(connection, {**CONNECTION_INIT, "payload": {"authorization": token}}, query)
        received += [await receive_message(connection), await receive_message(connection)]
    async with open_websocket(address, additional_headers={"Authorization": token}) as connection:
        await send_messages(connection, CONNECTION_INIT, query)
        received += [await receive_message(connection), await receive_message(connection)]

    payload = {"data": {"viewer": {"service": {"id": str(service.id)}}}, **COST_EXTENSION}
    assert received == [{"type": "connection_ack"}, {"type": "next", "id": "1", "payload": payload}] * 2
