"""Clients that hold connections: half heads, large ones, silence, bodies without end, answers that nobody reads."""

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

from graphql_api.commands import serve as serving_module
from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from graphql_api.server import slow_clients
from graphql_api.settings import Settings
from tests.app_server import serve_settings
from tests.waiting import PATIENCE, until

BODY = b'{"query":"{ __typename }"}'
ANSWER = b'{"data":{"__typename":"Query"},"extensions":{"cost":{"requested":1,"actual":1}}}'
ASK = b"POST /graphql HTTP/1.1\r\nHost: notify\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
STATUS = b"GET /_status?simple HTTP/1.1\r\nHost: notify\r\n%b\r\n"
SOON = 0.3
LATER = 1.5
"""The same for connections on which something must come in time as well."""

Serving = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server wait for next to nothing: for tests in which nothing comes in time."""
    for name in ("SECONDS", "STRAGGLING", "STALLED"):
        monkeypatch.setattr(slow_clients, name, SOON)


@pytest.fixture
def _stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "RESPONSE_READ_INTERVAL_SECONDS", SOON)


@pytest.fixture
def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECONDS", "STRAGGLING"):
        monkeypatch.setattr(slow_clients, name, LATER)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it wait long, unless a test is about that: a busy machine may be late itself."""
    for name in ("SECONDS", "STRAGGLING", "STALLED"):
        monkeypatch.setattr(slow_clients, name, PATIENCE)


@pytest.fixture
def serving(settings: Settings, database: Database, store: Store) -> Serving:
    """A server that listens, with some settings changed."""

    @asynccontextmanager
    async def with_settings(**changes: Any) -> AsyncIterator[str]:
        async with serve_settings(settings.model_copy(update=changes), database, store) as address:
            yield address

    return with_settings


class Client:
    """One connection, of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def to(cls, address: str) -> AsyncIterator["Client"]:
        """Open one, and close it."""
        host, _, port = address.partition(":")
        client = cls(*await asyncio.open_connection(host, int(port)))
        yield client
        client.writer.close()

    async def ask(self, *pieces: bytes) -> tuple[int, bytes]:
        """Send something, and read one answer: its status and its body."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head.split()[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """What comes until the server closes."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE)


def message(body: bytes) -> str:
    """What the one error of an answer says."""
    (error,) = json.loads(body)["errors"]
    assert error["extensions"] == {"code": "BAD_REQUEST"}
    return str(error["message"])


@pytest.mark.usefixtures("_soon")
async def test_a_connection_that_says_nothing_is_closed(serving: Serving) -> None:
    async with serving() as address:
        began = time.monotonic()
        async with Client.to(address) as client:
            assert await client.rest() == b""

    assert time.monotonic() - began >= SOON


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("piece", [b"POST /graphql HT", ASK[:60], b"\r\n"], ids=["line", "headers", "empty line"])
async def test_a_head_that_stays_half_is_too_late(serving: Serving, piece: bytes) -> None:
    async with serving() as address, Client.to(address) as client:
        status, body = await client.ask(piece)

        assert (status, message(body)) == (408, "The headers did not arrive in time.")
        assert await client.rest() == b""


@pytest.mark.usefixtures("_soon")
async def test_a_head_that_trickles_is_too_late(serving: Serving) -> None:
    async with serving() as address, Client.to(address) as client:
        answer = asyncio.create_task(client.ask(b"GET /"))
        while not answer.done():
            await asyncio.sleep(SOON / 4)
            client.writer.write(b"x")

        assert (await answer)[0] == 408


@pytest.mark.usefixtures("_later")
async def test_the_second_head_on_a_connection_is_no_more_patiently_waited_for(serving: Serving) -> None:
    async with serving() as address, Client.to(address) as client:
        first = await client.ask(ASK)
        async with Client.to(address) as silent:
            assert await silent.rest() == b""
        second = await client.ask(ASK)
        third, _ = await client.ask(ASK[:30])

    assert (first, second, third) == ((200, ANSWER), (200, ANSWER), 408)


@pytest.mark.usefixtures("_later")
async def test_an_empty_line_after_an_answer_does_not_hold_the_connection(serving: Serving) -> None:
    async with serving() as address, Client.to(address) as client:
        await client.ask(ASK)
        status, _ = await client.ask(b"\r\n")

        assert status == 408


@pytest.mark.parametrize("pieces", [1, 40])
async def test_a_head_of_over_16_kilobytes_is_too_large(serving: Serving, pieces: int) -> None:
    head = STATUS % b"".join(b"X-%05d: %b\r\n" % (number, b"x" * 990) for number in range(17))
    size = len(head) // pieces + 1
    async with serving() as address, Client.to(address) as client:
        status, body = await client.ask(*(head[start : start + size] for start in range(0, len(head), size)))

    assert (status, message(body)) == (431, "The address and the headers may have 16,384 bytes at most.")


async def test_an_address_of_over_16_kilobytes_is_too_large(serving: Serving) -> None:
    async with serving() as address, Client.to(address) as client:
        status, _ = await client.ask(b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: notify\r\n\r\n")

    assert status == 431


async def test_a_head_of_less_is_read(serving: Serving) -> None:
    async with serving() as address, Client.to(address) as client:
        status, body = await client.ask(STATUS % (b"X-Long: " + b"x" * 16_000 + b"\r\n"))

    assert (status, json.loads(body)) == (200, {"status": "ok"})


@pytest.mark.parametrize("text", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nA B: 1\r\n\r\n"])
async def test_what_is_not_http_is_told_so(serving: Serving, text: bytes) -> None:
    async with serving() as address, Client.to(address) as client:
        status, body = await client.ask(text)

        assert (status, message(body)) == (400, "This is not HTTP.")
        assert await client.rest() == b""


@pytest.mark.usefixtures("_soon")
async def test_a_body_that_never_ends_holds_no_connection_after_its_answer(serving: Serving) -> None:
    async with serving() as address, Client.to(address) as client:
        status, _ = await client.ask(b"POST /nowhere HTTP/1.1\r\nHost: notify\r\nContent-Length: 1000\r\n\r\nx")

        assert status == 404
        assert await client.rest() == b""


@pytest.mark.usefixtures("_later")
async def test_a_body_that_comes_after_its_answer_leaves_the_connection_as_it_is(serving: Serving) -> None:
    async with serving() as address, Client.to(address) as client:
        status, _ = await client.ask(b"POST /nowhere HTTP/1.1\r\nHost: notify\r\nContent-Length: 3\r\n\r\nx")
        client.writer.write(b"yz")
        async with Client.to(address) as silent:
            assert await silent.rest() == b""

        assert status == 404
        assert await client.ask(ASK) == (200, ANSWER)


async def test_requests_may_come_before_the_answers_to_others(serving: Serving) -> None:
    async with serving() as address, Client.to(address) as client:
        first = await client.ask(ASK * 3 + ASK[:50])
        answers = [first, await client.ask(), await client.ask(ASK[50:]), await client.ask()]

    assert answers == [(200, ANSWER)] * 4


async def test_many_requests_at_once_are_not_one_large_head(serving: Serving) -> None:
    async with serving() as address, Client.to(address) as client:
        client.writer.write(ASK * 200 + ASK[:50])
        answers = [await client.ask() for _ in range(200)] + [await client.ask(ASK[50:])]

    assert answers == [(200, ANSWER)] * 201


async def test_one_address_holds_so_many_connections(serving: Serving) -> None:
    async with serving(connections_per_address=2, proxies=[]) as address:
        async with Client.to(address) as first, Client.to(address) as second:
            assert [await first.ask(ASK), await second.ask(ASK)] == [(200, ANSWER)] * 2
            async with Client.to(address) as third:
                status, body = await third.ask()
                told = "Your address has too many connections open: use them again."
                assert (status, message(body)) == (429, told)
        await until(lambda: answers(address))


async def test_a_websocket_is_one_of_them_until_it_ends(serving: Serving) -> None:
    protocol = [Subprotocol("graphql-transport-ws")]
    async with serving(connections_per_address=1, proxies=[]) as address:
        async with connect(f"ws://{address}/graphql", subprotocols=protocol), Client.to(address) as client:
            assert (await client.ask())[0] == 429
        await until(lambda: answers(address))


async def answers(address: str) -> bool:
    """Whether one more connection is answered."""
    async with Client.to(address) as client:
        answer = await client.ask(ASK)
    assert answer[0] == 429 or answer == (200, ANSWER)
    return answer[0] == 200


async def test_a_proxy_speaks_for_many(serving: Serving) -> None:
    networks = [ip_network("127.0.0.0/8")]
    async with (
        serving(connections_per_address=1, proxies=networks) as address,
        Client.to(address) as first,
        Client.to(address) as second,
    ):
        assert [await first.ask(ASK), await second.ask(ASK)] == [(200, ANSWER)] * 2


@pytest.mark.usefixtures("_stalled")
async def test_a_client_that_reads_no_answers_is_dropped(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    listen = serving_module.listen

    def narrow(host: str, port: int) -> socket.socket:
        listener = listen(host, port)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        return listener

    monkeypatch.setattr(serving_module, "listen", narrow)
    async with serving() as address:
        host, _, port = address.partition(":")
        silent = socket.socket()
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        silent.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(silent, (host, int(port)))

        async def flood() -> None:
            while True:
                await loop.sock_sendall(silent, ASK * 10)

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(flood(), PATIENCE)
        silent.close()

        async with Client.to(address) as client:
            assert await client.ask(ASK) == (200, ANSWER)
