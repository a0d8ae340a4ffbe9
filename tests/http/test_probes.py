"""Unusual and wrong requests over a real connection: the exact response, soon, and nothing else."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_api.auth import tokens
from graphql_api.auth.crypto import Signer
from graphql_api.domain import sessions
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings
from tests.app_server import serve_settings
from tests.builders import Builders
from tests.conftest import SingleConnectionDatabase
from tests.fuzz.clients import LEAK_PATTERN
from tests.http.probes import PROBES
from tests.http.probes.requests import TOKEN, TYPENAME_BODY, Probe, body, document
from tests.waiting import WAIT_TIMEOUT_SECONDS

TYPENAME_RESPONSE = b'{"data":{"__typename":"Query"},"extensions":{"cost":{"requested":1,"actual":1}}}'


@pytest_asyncio.fixture(scope="module")
async def server(engine: AsyncEngine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, bytes]]:
    """The address of a server in this process, and the token of a platform admin."""
    folder: Path = tmp_path_factory.mktemp("probes")
    settings = Settings.model_validate(
        {
            "environment": "test",
            "points_per_minute": 0,
            "request_timeout": 3,
            "data_dir": folder,
            "secret_key": ["test-secret-key"],
            "dangerous_salt": "test-salt",
        }
    )
    signer = Signer(tuple(settings.secret_keys), settings.salt)
    async with engine.connect() as connection:
        transaction = await connection.begin()
        database = SingleConnectionDatabase(connection)
        user = await Builders(database, signer).user(platform_admin=True)
        async with database.transaction() as tx:
            session = await sessions.start(tx, await tx.merge(user))
            token = tokens.create_session_token(signer, user.id, session.id)
        async with serve_settings(settings, database, Store.connect(settings)) as address:
            yield address, token.encode()
        await transaction.rollback()


class Client:
    """A connection that sends and receives bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    @asynccontextmanager
    async def connect(cls, address: str) -> AsyncIterator[Client]:
        """Open a connection, and close it at the end."""
        host, _, port = address.partition(":")
        client = cls(*await asyncio.open_connection(host, int(port)))
        try:
            yield client
        finally:
            client.writer.close()

    async def send(self, request: bytes) -> tuple[int, bytes, bytes]:
        """Send a request, and read the response: its status, its head and its body."""
        self.writer.write(request)
        return await self.receive(has_body=not request.startswith(b"HEAD"))

    async def receive(self, *, has_body: bool = True) -> tuple[int, bytes, bytes]:
        """Read one response, after any 100 Continue."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 100 "):
            return await self.receive(has_body=has_body)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return int(head.split()[1]), head, await self.reader.readexactly(length) if has_body else b""


def test_every_probe_has_its_own_name() -> None:
    assert len({probe.name for probe in PROBES}) == len(PROBES)


@pytest.mark.parametrize("probe", PROBES, ids=[probe.name for probe in PROBES])
async def test_a_probe_gets_its_response_and_leaves_no_trace(
    probe: Probe, server: tuple[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    address, token = server
    async with Client.connect(address) as client, asyncio.timeout(WAIT_TIMEOUT_SECONDS):
        status, head, content = await client.send(probe.request.replace(TOKEN, token))
        # No byte of the request may be read as part of the next one.
        closing = b"\r\nconnection: close\r\n" in head.lower()
        after = await client.reader.read() if closing else (await client.send(body(TYPENAME_BODY)))[2]

    errors = json.loads(content).get("errors", []) if content else []
    leak = LEAK_PATTERN.search(head + content)
    codes = {error["extensions"]["code"] for error in errors}
    assert (status, codes) == (probe.status, {probe.code} if probe.code else set()), content
    assert leak is None or leak[0] in probe.request
    assert after == (b"" if closing else TYPENAME_RESPONSE)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


HEAD = b"POST /graphql HTTP/1.1\r\nHost: notify\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%b\r\n" % (len(TYPENAME_BODY), TYPENAME_BODY)
SMUGGLED = b"GET /_status?simple HTTP/1.1\r\nHost: notify\r\n\r\n"
"""A request within the bytes of another, which must never get a response."""


def framed(*lines: bytes) -> bytes:
    """A request with these lines about its length; its body may hold another request."""
    return HEAD + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + b"0\r\n\r\n" + SMUGGLED


LENGTH = b"Content-Length: 5"
AMBIGUOUS_REQUESTS = {
    "a length and chunks": framed(LENGTH, b"Transfer-Encoding: chunked"),
    "chunks and a length": framed(b"Transfer-Encoding: chunked", LENGTH),
    "two lengths": framed(LENGTH, b"Content-Length: 0"),
    "the same length twice": framed(LENGTH, LENGTH),
    "a list of lengths": framed(b"Content-Length: 5, 5"),
    **{f"length {length!r}": framed(b"Content-Length: " + length) for length in (
        b"+5", b"-5", b"0x5", b"5e0", b"5.0", b"5;", b"5 5", b"5\x0b", b"\xb2", b"", b"9" * 20,
        b"18446744073709551621")},
    **{f"coding {coding!r}": framed(b"Transfer-Encoding: " + coding) for coding in (
        b"xchunked", b"identity", b"gzip", b"gzip, chunked", b"chunked, identity", b"chunked, chunked", b'"chunked"',
        b"chunked;q=1", b"\x0bchunked", b"chunked\x0b", b"chunk ed", b"chun\0ked", b"")},
    "chunks twice": framed(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "chunks twice, once otherwise": framed(b"Transfer-Encoding: chunked", b"Transfer-encoding: x"),
    **{f"line {line!r}": framed(line, LENGTH) for line in (
        b"Transfer-Encoding : chunked", b"Transfer-Encoding\r\n : chunked", b"X: x\r\n\tTransfer-Encoding: chunked",
        b"X: x\nTransfer-Encoding: chunked", b"X: x\rTransfer-Encoding: chunked", b"X: \0",
        b" Transfer-Encoding: chunked",
        b"Transfer-Encoding", b": chunked", b"\0Transfer-Encoding: chunked", b"Transfer\x0bEncoding: chunked")},
    "lines that end by half": (HEAD + LENGTH + b"\r\n\r\n").replace(b"\r\n", b"\n") + b"0\r\n\r\n" + SMUGGLED,
    **{f"chunk {chunk!r:.40}": CHUNKED + chunk + SMUGGLED for chunk in (
        b"0x1a\r\n", b"+1a\r\n", b"-1\r\n", b" 1a\r\n", b"1a \r\n", b"\r\n", b"g\r\n", b"1a\n" + TYPENAME_BODY,
        b"f" * 17 + b"\r\n",
        b"1a;\0\r\n", b"1a\r\n" + TYPENAME_BODY + b"0\r\n\r\n", b"1a\r\n" + TYPENAME_BODY + b"\n0\r\n\r\n",
        CHUNK + b"0\r\n \r\n\r\n",
        CHUNK + b"0\r\nX\r\n\r\n", CHUNK + b"0\r\nContent-Length: 5\r\n\r\n",
        CHUNK + b"0\r\nTransfer-Encoding: x\r\n\r\n",
        CHUNK + b"0\n\n")},
}  # fmt: skip


@pytest.mark.parametrize("ambiguous", AMBIGUOUS_REQUESTS.values(), ids=list(AMBIGUOUS_REQUESTS))
@pytest.mark.parametrize("writes", [1, 2], ids=["at once", "head first"])
async def test_a_request_of_ambiguous_length_is_rejected_and_smuggles_no_other(
    ambiguous: bytes, writes: int, server: tuple[str, bytes]
) -> None:
    head, end, rest = ambiguous.partition(b"\r\n\r\n")
    async with Client.connect(server[0]) as client, asyncio.timeout(WAIT_TIMEOUT_SECONDS):
        if writes == 2 and rest:
            client.writer.write(head + end)
            await asyncio.sleep(0.005)
            ambiguous = rest
        status, _, content = await client.send(ambiguous)

        assert (status, b"Malformed HTTP request." in content) == (400, True), (status, content)
        assert await client.reader.read() == b""


@pytest.mark.parametrize(
    "chunks",
    [
        CHUNK + b"0\r\n\r\n",
        CHUNK.replace(b"\r\n", b";a=b;c\r\n", 1) + b"0;d\r\n\r\n",
        b"".join(b"1\r\n%c\r\n" % byte for byte in TYPENAME_BODY) + b"000\r\n\r\n",
        CHUNK.replace(b"1a", b"1A") + b"0\r\nX: y\r\n\r\n",
        CHUNK + b"0\r\nAuthorization: Bearer x.y.z\r\nContent-Type: text/plain\r\nHost: x\r\n\r\n",
    ],
    ids=["plain", "with extensions", "of one byte each", "in capitals", "and trailers that repeat headers"],
)
async def test_a_body_may_be_chunked_and_its_trailers_are_ignored(chunks: bytes, server: tuple[str, bytes]) -> None:
    async with Client.connect(server[0]) as client, asyncio.timeout(WAIT_TIMEOUT_SECONDS):
        for _ in range(2):
            assert (await client.send(CHUNKED + chunks))[2] == TYPENAME_RESPONSE


@pytest.mark.parametrize(
    "start", [CHUNK + b"0\r\nX: ", CHUNK + b"0\r\n", b"1a;"], ids=["a header", "headers", "a size"]
)
async def test_chunk_sizes_and_trailers_are_limited_in_length(start: bytes, server: tuple[str, bytes]) -> None:
    async with Client.connect(server[0]) as client, asyncio.timeout(WAIT_TIMEOUT_SECONDS):
        client.writer.write(CHUNKED + start)
        for number in range(17):
            await asyncio.sleep(0.001)
            client.writer.write(b"X-%06d: %b\r\n" % (number, b"x" * 1_000) if start.endswith(b"\n") else b"x" * 1_000)

        assert (await client.receive())[0] == 431


@pytest.mark.parametrize("protocol", [b"h2c", b"TLS/1.0", b"websocket/13", b"h2c, websocket"])
@pytest.mark.parametrize("pause", [0, 0.01])
async def test_an_upgrade_to_another_protocol_is_ignored(
    protocol: bytes, pause: float, server: tuple[str, bytes]
) -> None:
    lines = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nUpgrade: " + protocol
    async with Client.connect(server[0]) as client, asyncio.timeout(WAIT_TIMEOUT_SECONDS):
        client.writer.write(HEAD + lines + b"\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED))
        await asyncio.sleep(pause)
        status, _, _ = await client.send(SMUGGLED)
        received = [
            (await client.send(HEAD + lines + b"\r\n" + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNK + b"0\r\n\r\n"))
        ]
        client.writer.write(
            (HEAD + lines + b"\r\nContent-Length: %d\r\n\r\n%b" % (len(TYPENAME_BODY), TYPENAME_BODY)) * 300
        )
        received += [await client.receive() for _ in range(300)]

    assert status == 400
    assert {content for _, _, content in received} == {TYPENAME_RESPONSE}


async def test_a_thousand_pipelined_requests_are_answered_in_order(server: tuple[str, bytes]) -> None:
    address, token = server

    def numbered(number: int) -> bytes:
        field = "services { totalCount }" if number % 10 == 0 else "__typename"
        return document(f"{{ a{number}: {field} }}").replace(TOKEN, token)

    async with Client.connect(address) as client, asyncio.timeout(WAIT_TIMEOUT_SECONDS):
        client.writer.write(b"".join(map(numbered, range(1_000))))
        contents = [json.loads((await client.receive())[2]) for _ in range(1_000)]
        after = await client.send(body(TYPENAME_BODY))

    assert [list(content["data"]) for content in contents] == [[f"a{number}"] for number in range(1_000)]
    assert after[2] == TYPENAME_RESPONSE
