"""Slow clients: incomplete and large heads, silence, endless bodies, and responses that are not read."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from websockets import Subprotocol
from websockets.asyncio.client import connect

from graphql_api.commands import serve as serve_module
from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from graphql_api.server import slow_clients
from graphql_api.settings import Settings
from tests.app_server import serve_settings
from tests.waiting import WAIT_TIMEOUT_SECONDS, until

BODY = b'{"query":"{ __typename }"}'
RESPONSE_BODY = b'{"data":{"__typename":"Query"},"extensions":{"cost":{"requested":1,"actual":1}}}'
REQUEST = (
    b"POST /graphql HTTP/1.1\r\nHost: notify\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (
        len(BODY),
        BODY,
    )
)
STATUS_REQUEST = b"GET /_status?simple HTTP/1.1\r\nHost: notify\r\n%b\r\n"
SHORT_SECONDS = 0.3
LONGER_SECONDS = 1.5
"""A timeout for tests whose client also sends something in time."""
TIMEOUT_NAMES = ("HEAD_TIMEOUT_SECONDS", "LATE_BODY_TIMEOUT_SECONDS", "RESPONSE_READ_INTERVAL_SECONDS")

Serving = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def _short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set short timeouts, for tests in which nothing arrives in time."""
    for name in TIMEOUT_NAMES:
        monkeypatch.setattr(slow_clients, name, SHORT_SECONDS)


@pytest.fixture
def _short_read_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "RESPONSE_READ_INTERVAL_SECONDS", SHORT_SECONDS)


@pytest.fixture
def _longer_head_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEAD_TIMEOUT_SECONDS", "LATE_BODY_TIMEOUT_SECONDS"):
        monkeypatch.setattr(slow_clients, name, LONGER_SECONDS)


@pytest.fixture(autouse=True)
def _long_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set long timeouts, except in tests of timeouts: a busy machine may be slow itself."""
    for name in TIMEOUT_NAMES:
        monkeypatch.setattr(slow_clients, name, WAIT_TIMEOUT_SECONDS)


@pytest.fixture
def serving(settings: Settings, database: Database, store: Store) -> Serving:
    """Serve with some settings changed."""

    @asynccontextmanager
    async def with_settings(**changes: Any) -> AsyncIterator[str]:
        async with serve_settings(settings.model_copy(update=changes), database, store) as address:
            yield address

    return with_settings


class Client:
    """A connection that sends and receives bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def connect(cls, address: str) -> AsyncIterator["Client"]:
        """Open a connection, and close it at the end."""
        host, _, port = address.partition(":")
        client = cls(*await asyncio.open_connection(host, int(port)))
        yield client
        client.writer.close()

    async def send(self, *chunks: bytes) -> tuple[int, bytes]:
        """Send bytes, and read one response: its status and its body."""
        for chunk in chunks:
            self.writer.write(chunk)
            await self.writer.drain()
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_TIMEOUT_SECONDS)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head.split()[1]), await self.reader.readexactly(length)

    async def read_to_end(self) -> bytes:
        """Read until the server closes the connection."""
        return await asyncio.wait_for(self.reader.read(), WAIT_TIMEOUT_SECONDS)


def message(body: bytes) -> str:
    """The message of a response's only error."""
    (error,) = json.loads(body)["errors"]
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    return str(error["message"])


@pytest.mark.usefixtures("_short_timeouts")
async def test_a_silent_connection_is_closed(serving: Serving) -> None:
    async with serving() as address:
        started_at = time.monotonic()
        async with Client.connect(address) as client:
            assert await client.read_to_end() == b""

    assert time.monotonic() - started_at >= SHORT_SECONDS


@pytest.mark.usefixtures("_short_timeouts")
@pytest.mark.parametrize("head", [b"POST /graphql HT", REQUEST[:60], b"\r\n"], ids=["line", "headers", "empty line"])
async def test_an_incomplete_head_times_out(serving: Serving, head: bytes) -> None:
    async with serving() as address, Client.connect(address) as client:
        status, body = await client.send(head)

        assert (status, message(body)) == (408, "The headers did not arrive in time.")
        assert await client.read_to_end() == b""


@pytest.mark.usefixtures("_short_timeouts")
async def test_a_slow_head_times_out(serving: Serving) -> None:
    async with serving() as address, Client.connect(address) as client:
        response = asyncio.create_task(client.send(b"GET /"))
        while not response.done():
            await asyncio.sleep(SHORT_SECONDS / 4)
            client.writer.write(b"x")

        assert (await response)[0] == 408


@pytest.mark.usefixtures("_longer_head_timeouts")
async def test_the_second_head_on_a_connection_times_out_too(serving: Serving) -> None:
    async with serving() as address, Client.connect(address) as client:
        first = await client.send(REQUEST)
        async with Client.connect(address) as silent:
            assert await silent.read_to_end() == b""
        second = await client.send(REQUEST)
        third, _ = await client.send(REQUEST[:30])

    assert (first, second, third) == ((200, RESPONSE_BODY), (200, RESPONSE_BODY), 408)


@pytest.mark.usefixtures("_longer_head_timeouts")
async def test_an_empty_line_after_a_response_does_not_keep_the_connection_open(serving: Serving) -> None:
    async with serving() as address, Client.connect(address) as client:
        await client.send(REQUEST)
        status, _ = await client.send(b"\r\n")

        assert status == 408


@pytest.mark.parametrize("writes", [1, 40])
async def test_a_head_over_16_kilobytes_is_too_large(serving: Serving, writes: int) -> None:
    head = STATUS_REQUEST % b"".join(b"X-%05d: %b\r\n" % (number, b"x" * 990) for number in range(17))
    size = len(head) // writes + 1
    async with serving() as address, Client.connect(address) as client:
        status, body = await client.send(*(head[start : start + size] for start in range(0, len(head), size)))

    assert (status, message(body)) == (431, "The request line and headers may have at most 16,384 bytes.")


async def test_a_request_line_over_16_kilobytes_is_too_large(serving: Serving) -> None:
    async with serving() as address, Client.connect(address) as client:
        status, _ = await client.send(b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: notify\r\n\r\n")

    assert status == 431


async def test_a_smaller_head_is_accepted(serving: Serving) -> None:
    async with serving() as address, Client.connect(address) as client:
        status, body = await client.send(STATUS_REQUEST % (b"X-Long: " + b"x" * 16_000 + b"\r\n"))

    assert (status, json.loads(body)) == (200, {"status": "ok"})


@pytest.mark.parametrize("text", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nA B: 1\r\n\r\n"])
async def test_malformed_http_is_a_bad_request(serving: Serving, text: bytes) -> None:
    async with serving() as address, Client.connect(address) as client:
        status, body = await client.send(text)

        assert (status, message(body)) == (400, "Malformed HTTP request.")
        assert await client.read_to_end() == b""


@pytest.mark.usefixtures("_short_timeouts")
async def test_an_endless_body_is_cut_off_after_its_response(serving: Serving) -> None:
    async with serving() as address, Client.connect(address) as client:
        status, _ = await client.send(b"POST /nowhere HTTP/1.1\r\nHost: notify\r\nContent-Length: 1000\r\n\r\nx")

        assert status == 404
        assert await client.read_to_end() == b""


@pytest.mark.usefixtures("_longer_head_timeouts")
async def test_a_body_that_ends_after_its_response_keeps_the_connection_open(serving: Serving) -> None:
    async with serving() as address, Client.connect(address) as client:
        status, _ = await client.send(b"POST /nowhere HTTP/1.1\r\nHost: notify\r\nContent-Length: 3\r\n\r\nx")
        client.writer.write(b"yz")
        async with Client.connect(address) as silent:
            assert await silent.read_to_end() == b""

        assert status == 404
        assert await client.send(REQUEST) == (200, RESPONSE_BODY)


async def test_requests_may_be_pipelined(serving: Serving) -> None:
    async with serving() as address, Client.connect(address) as client:
        first = await client.send(REQUEST * 3 + REQUEST[:50])
        responses = [first, await client.send(), await client.send(REQUEST[50:]), await client.send()]

    assert responses == [(200, RESPONSE_BODY)] * 4


async def test_many_pipelined_requests_are_not_one_large_head(serving: Serving) -> None:
    async with serving() as address, Client.connect(address) as client:
        client.writer.write(REQUEST * 200 + REQUEST[:50])
        responses = [await client.send() for _ in range(200)] + [await client.send(REQUEST[50:])]

    assert responses == [(200, RESPONSE_BODY)] * 201


async def test_the_connections_of_an_address_are_limited(serving: Serving) -> None:
    async with serving(connections_per_address=2, proxies=[]) as address:
        async with Client.connect(address) as first, Client.connect(address) as second:
            assert [await first.send(REQUEST), await second.send(REQUEST)] == [(200, RESPONSE_BODY)] * 2
            async with Client.connect(address) as third:
                status, body = await third.send()
                text = "Too many open connections from this address: reuse them."
                assert (status, message(body)) == (429, text)
        await until(lambda: accepts_connection(address))


async def test_a_websocket_counts_as_a_connection_of_its_address(serving: Serving) -> None:
    protocol = [Subprotocol("graphql-transport-ws")]
    async with serving(connections_per_address=1, proxies=[]) as address:
        async with connect(f"ws://{address}/graphql", subprotocols=protocol), Client.connect(address) as client:
            assert (await client.send())[0] == 429
        await until(lambda: accepts_connection(address))


async def accepts_connection(address: str) -> bool:
    """Whether the server accepts one more connection from this address."""
    async with Client.connect(address) as client:
        response = await client.send(REQUEST)
    assert response[0] == 429 or response == (200, RESPONSE_BODY)
    return response[0] == 200


async def test_a_proxy_is_not_limited(serving: Serving) -> None:
    networks = [ip_network("127.0.0.0/8")]
    async with (
        serving(connections_per_address=1, proxies=networks) as address,
        Client.connect(address) as first,
        Client.connect(address) as second,
    ):
        assert [await first.send(REQUEST), await second.send(REQUEST)] == [(200, RESPONSE_BODY)] * 2


@pytest.mark.usefixtures("_short_read_interval")
async def test_a_client_that_reads_no_responses_is_disconnected(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen = serve_module.listen

    def listen_with_small_buffer(host: str, port: int) -> socket.socket:
        listener = listen(host, port)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        return listener

    monkeypatch.setattr(serve_module, "listen", listen_with_small_buffer)
    async with serving() as address:
        host, _, port = address.partition(":")
        silent = socket.socket()
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        silent.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(silent, (host, int(port)))

        async def flood() -> None:
            while True:
                await loop.sock_sendall(silent, REQUEST * 10)

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(flood(), WAIT_TIMEOUT_SECONDS)
        silent.close()

        async with Client.connect(address) as client:
            assert await client.send(REQUEST) == (200, RESPONSE_BODY)
