"""A WebSocket client that says and hears messages of graphql-transport-ws."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.waiting import PATIENCE

SUBPROTOCOL = websockets.Subprotocol("graphql-transport-ws")
CONNECTION_INIT = {"type": "connection_init"}


@asynccontextmanager
async def open_websocket(address: str, **options: Any) -> AsyncIterator[ClientConnection]:
    """A WebSocket to the running application."""
    async with connect(f"ws://{address}/graphql", **{"subprotocols": [SUBPROTOCOL]} | options) as connection:
        yield connection


async def send_messages(connection: ClientConnection, *messages: Any) -> None:
    """Send messages, each as JSON unless it is a text."""
    for message in messages:
        await connection.send(message if isinstance(message, str | bytes) else json.dumps(message))


async def receive_message(connection: ClientConnection) -> Any:
    """The next message, which is text."""
    message = await asyncio.wait_for(connection.recv(), PATIENCE)
    assert isinstance(message, str)
    return json.loads(message)


async def wait_for_close_code(connection: ClientConnection) -> int:
    """The code with which the server closes."""
    async with asyncio.timeout(PATIENCE):
        with suppress(websockets.ConnectionClosed):
            async for _ in connection:
                pass
        await connection.wait_closed()
    assert connection.close_code is not None
    return connection.close_code


def subscribe(query: str, operation_id: str = "1", **variables: Any) -> dict[str, Any]:
    """A message that asks for something."""
    return {"type": "subscribe", "id": operation_id, "payload": {"query": query, "variables": variables}}


def connection_init(token: str) -> dict[str, Any]:
    """A message that says who it is."""
    return CONNECTION_INIT | {"payload": {"Authorization": f"Bearer {token}"}}
