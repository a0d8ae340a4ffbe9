"""A server with many open connections: a thousand WebSockets, silent and slow clients, malformed frames."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.dev_server import free_port
from tests.websocket_client import (
    CONNECTION_INIT,
    SUBPROTOCOL,
    receive_message,
    send_messages,
    subscribe,
    wait_for_close_code,
)
from tests.worker.harnesses import WorkerHarness

MAX_CONNECTION_BYTES = 60_000
"""Memory of one connection."""


@dataclass
class Server:
    """A server process."""

    process: asyncio.subprocess.Process
    address: str
    log: Path

    @property
    def memory(self) -> int:
        """Resident memory in bytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def ask(self) -> float:
        """Send a small query over HTTP; returns its latency in seconds."""
        started_at = time.monotonic()
        async with httpx2.AsyncClient(trust_env=False) as client:
            response = await client.post(f"http://{self.address}/graphql", json={"query": "{ __typename }"})
        assert response.status_code == 200
        return time.monotonic() - started_at


@pytest.fixture
async def server(harness: WorkerHarness, tmp_path: Path) -> AsyncIterator[Server]:
    """A server that accepts a thousand connections of one caller."""
    async with running_server(harness, tmp_path, LIVE_CONNECTIONS_PER_CALLER="2000") as server:
        yield server


@asynccontextmanager
async def running_server(harness: WorkerHarness, folder: Path, **settings: str) -> AsyncIterator[Server]:
    """A server with these settings, whose log must have no traceback at the end."""
    port, log = free_port(), folder / "server.log"
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "graphql_api", "serve",
            env=harness.process_environment() | {"PORT": str(port)} | settings, stdout=output, stderr=output,
        )  # fmt: skip
        server = Server(process, f"127.0.0.1:{port}", log)
        try:
            async with asyncio.timeout(60):
                while True:
                    with suppress(httpx2.TransportError):
                        await server.ask()
                        break
                    await asyncio.sleep(0.1)
            yield server
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await asyncio.wait_for(process.wait(), 20)
    assert "Traceback" not in log.read_text()


async def open_connections(stack: AsyncExitStack, server: Server, count: int) -> list[ClientConnection]:
    """Open WebSockets without sending anything."""
    connections = []
    for _ in range(count):
        connection = connect(
            f"ws://{server.address}/graphql", subprotocols=[SUBPROTOCOL], compression=None, ping_interval=None
        )
        connections.append(await stack.enter_async_context(connection))
    return connections


@pytest.mark.timeout(120)
async def test_a_thousand_connections_take_little_memory_each(server: Server) -> None:
    async with AsyncExitStack() as stack:
        for connection in await open_connections(stack, server, 20):
            await send_messages(connection, CONNECTION_INIT, subscribe("{ __typename }"))
            assert [(await receive_message(connection))["type"] for _ in range(3)] == [
                "connection_ack",
                "next",
                "complete",
            ]
        before = server.memory
        connections = []
        for _ in range(1_000):
            connections += await open_connections(stack, server, 1)
            await send_messages(connections[-1], CONNECTION_INIT)
            assert await receive_message(connections[-1]) == {"type": "connection_ack"}
        each = (server.memory - before) / 1_000
        waits = sorted([await server.ask() for _ in range(50)])
        for connection in connections[::10]:
            await send_messages(connection, subscribe("{ __typename }"))
            assert [(await receive_message(connection))["type"], (await receive_message(connection))["type"]] == [
                "next",
                "complete",
            ]

    print(f"{each / 1_000:.1f} kB a connection; a query beside them: median {waits[25] * 1e3:.1f} ms")  # noqa: T201
    assert each < MAX_CONNECTION_BYTES


@pytest.mark.timeout(120)
async def test_five_hundred_silent_connections_are_closed_in_time(server: Server) -> None:
    async with AsyncExitStack() as stack:
        connections = await open_connections(stack, server, 500)
        last = time.monotonic()
        waits = sorted([await server.ask() for _ in range(50)])
        assert await asyncio.gather(*(wait_for_close_code(connection) for connection in connections)) == [4408] * 500
        seconds = time.monotonic() - last

    print(f"the last was gone after {seconds:.2f} s; a query meanwhile: median {waits[25] * 1e3:.1f} ms")  # noqa: T201
    assert seconds < 6


@pytest.mark.timeout(120)
async def test_a_client_that_does_not_read_is_disconnected_without_using_memory(server: Server) -> None:
    query = "{ " + " ".join(f"a{n}: __typename" for n in range(60)) + " }"
    host, _, port = server.address.partition(":")
    before = server.memory
    readers = []
    for _ in range(20):
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        raw.connect((host, int(port)))
        raw.setblocking(False)
        readers.append(raw)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(raw, upgrade(server))
        await loop.sock_sendall(raw, frame(CONNECTION_INIT))
    started_at = time.monotonic()
    dropped = 0
    loop = asyncio.get_running_loop()

    async def flood(raw: socket.socket) -> float:
        n = 0
        with suppress(ConnectionError):
            while True:
                n += 1
                await loop.sock_sendall(raw, frame(subscribe(query, str(n))) + frame({"type": "ping"}) * 5)
        return time.monotonic() - started_at

    async with asyncio.timeout(60):
        waits = await asyncio.gather(*(flood(raw) for raw in readers))
    for raw in readers:
        raw.close()
    dropped = len(waits)
    megabytes = (server.memory - before) / 1e6
    print(f"{dropped} dropped after {min(waits):.1f} to {max(waits):.1f} s, holding {megabytes:.1f} MB")  # noqa: T201
    assert max(waits) < 30
    assert megabytes < 20
    assert await server.ask() < 1


def upgrade(server: Server) -> bytes:
    """The request that opens a WebSocket."""
    return (
        f"GET /graphql HTTP/1.1\r\nHost: {server.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    ).encode()


def frame(content: object, first: int = 0x81, *, masked: bool = True, length: int | None = None) -> bytes:
    """A frame of a client: bytes, or a value as JSON; the mask is zero."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    size = len(data) if length is None else length
    mask = 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first, mask | size)
    elif size < 65_536:
        head = struct.pack("!BBH", first, mask | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask | 127, size)
    return head + (b"\0\0\0\0" if masked else b"") + data


SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}
MALFORMED_FRAMES = {
    "not masked": (frame(CONNECTION_INIT, masked=False), 1002),
    "first reserved bit": (frame(CONNECTION_INIT, 0xC1), 1002),
    "second reserved bit": (frame(CONNECTION_INIT, 0xA1), 1002),
    "third reserved bit": (frame(CONNECTION_INIT, 0x91), 1002),
    "unknown opcode": (frame(CONNECTION_INIT, 0x83), 1002),
    "unknown control opcode": (frame(b"", 0x8B), 1002),
    "continuation without a start": (frame(CONNECTION_INIT, 0x80), 1002),
    "two first frames": (frame(b"{", 0x01) + frame(b"}", 0x81), 1002),
    "fragmented ping": (frame(b"", 0x09), 1002),
    "large ping": (frame(b"x" * 126, 0x89), 1002),
    "close frame of one byte": (frame(b"\x03", 0x88), 1002),
    "close with an invalid code": (frame(struct.pack("!H", 999), 0x88), 1002),
    "close with an invalid reason": (frame(struct.pack("!H", 1000) + b"\xff", 0x88), 1007),
    "not UTF-8": (frame(b'{"type": "\xff"}'), 1007),
    "surrogate": (frame(b'{"type": "\xed\xa0\x80"}'), 1007),
    "64 KB and one byte": (frame(b" " * 65_537), 1009),
    "half a terabyte": (frame(b"", length=2**39), 1009),
    "63 bits of length": (frame(b"", length=2**63 - 1), 1009),
    "large fragmented message": (frame(b" " * 40_000, 0x01) + frame(b" " * 40_000, 0x80), 1009),
    "binary message": (frame(CONNECTION_INIT, 0x82), 4400),
    "empty message": (frame(b""), 4400),
    "deep list": (frame(b"[" * 60_000), 4400),
    "escaped surrogate": (frame(rb'{"type": "subscribe", "id": "\ud800", "payload": {"query": "{ a }"}}'), 4400),
    "id of 65 characters": (frame(CONNECTION_INIT) + frame(SUBSCRIBE | {"id": "1" * 65}), 4400),
    "long number": (frame(b'{"type": "ping", "payload": {"a": ' + b"9" * 5_000 + b"}}"), 4400),
    "infinite number": (frame(b'{"type": "ping", "payload": {"a": 1e999}}'), 4400),
    "subscribe before connection_init": (frame(SUBSCRIBE), 4401),
}


@pytest.mark.timeout(60)
async def test_every_malformed_frame_has_its_close_code(server: Server) -> None:
    codes = {name: await close_code(server, sent) for name, (sent, _) in MALFORMED_FRAMES.items()}

    assert codes == {name: code for name, (_, code) in MALFORMED_FRAMES.items()}
    assert await server.ask() < 1


async def close_code(server: Server, sent: bytes) -> int | None:
    """The close code of the server after these bytes; None without a close frame."""
    host, _, port = server.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(upgrade(server))
    await reader.readuntil(b"\r\n\r\n")
    writer.write(sent)
    try:
        async with asyncio.timeout(4):
            while True:
                opcode, size = await reader.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await reader.readexactly(2))
                data = await reader.readexactly(size)
                if opcode == 0x88:
                    return int.from_bytes(data[:2])
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
