"""A WebSocket client for graphql-transport-ws."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.waiting import WAIT_TIMEOUT_SECONDS

SUBPROTOCOL = websockets.Subprotocol("graphql-transport-ws")
CONNECTION_INIT = {"type": "connection_init"}


@asynccontextmanager
async def open_websocket(address: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """Open a WebSocket to a server."""
    async with connect(f"ws://{address}/graphql", **{"subprotocols": [SUBPROTOCOL]} | options) as connection:
        yield connection


async def send_messages(connection: ClientConnection, *messages: Any) -> None:
    """Send messages, each as JSON unless it is a string or bytes."""
    for message in messages:
        await connection.send(message if isinstance(message, str | bytes) else json.dumps(message))


async def receive_message(connection: ClientConnection) -> Any:
    """Receive the next message."""
    message = await asyncio.wait_for(connection.recv(), WAIT_TIMEOUT_SECONDS)
    assert isinstance(message, str)
    return json.loads(message)


async def wait_for_close_code(connection: ClientConnection) -> int:
    """The code with which the server closes."""
    async with asyncio.timeout(WAIT_TIMEOUT_SECONDS):
        with suppress(websockets.ConnectionClosed):
            async for _ in connection:
                pass
        await connection.wait_closed()
    assert connection.close_code is not None
    return connection.close_code


def subscribe(query: str, operation_id: str = "1", **variables: Any) -> dict[str, Any]:
    """A `subscribe` message."""
    return {"type": "subscribe", "id": operation_id, "payload": {"query": query, "variables": variables}}


def connection_init(token: str) -> dict[str, Any]:
    """A `connection_init` message with a token."""
    return CONNECTION_INIT | {"payload": {"Authorization": f"Bearer {token}"}}
