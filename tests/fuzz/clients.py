"""Eight clients with persistent connections that send mutated requests, and the record of the responses."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import websockets
from websockets.asyncio.client import connect

from tests.cluster.servers import ROOT
from tests.fuzz.mutations import MalformedRequests

HOST = "127.0.0.1"
CLIENT_COUNT = 8
RESPONSE_TIMEOUT_SECONDS = 30.0
"""Seconds within which every request has a response or the connection is closed."""
LEAK_PATTERN = re.compile(
    rb"Traceback|asyncpg|sqlalchemy|psycopg|uvicorn|strawberry|graphql_api|site-packages|\.py\b|/usr/|/tmp/"
    rb"|\bSELECT\b|\bINSERT INTO\b|\bUPDATE \w+ SET\b|\bWHERE \w|\bpg_\w|\$2b\$|\$argon2"
    rb"|constraint \"|relation \"|INTERNAL|" + re.escape(bytes(ROOT))
)
"""Texts that no response may contain: names of modules, of the driver and of the database, and exceptions."""
OVERLOAD_MESSAGE = b"The server has too much to do"
MAX_FRAME_BYTES = 65_536
EXPECTED_CLOSE_CODES = {1000, 1002, 1003, 1007, 1009, 4400, 4401, 4403, 4406, 4408, 4409, 4429}
"""Close codes that a WebSocket may have."""


@dataclass
class Report:
    """Record of the responses."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list, repr=False)
    """Seconds until each response over HTTP."""
    failures: list[str] = field(default_factory=list)
    """Wrong and missing responses, with the requests."""

    def percentile_seconds(self, percent: int) -> float:
        """A percentile of the response times, in seconds."""
        return statistics.quantiles(self.seconds, n=100)[percent - 1]

    def record(self, status: str, sent: bytes, answer: bytes) -> None:
        """Check a response."""
        self.statuses[status] += 1
        leak = LEAK_PATTERN.search(answer)
        if leak and leak[0] not in sent:
            self.failures.append(f"leaks {leak[0]!r}: {sent!r:.3000} -> {answer!r:.3000}")
        if status.startswith("5") and OVERLOAD_MESSAGE not in answer:
            self.failures.append(f"{status}: {sent!r:.3000} -> {answer!r:.3000}")


async def fuzz_http(port: int, malformed: MalformedRequests, requests: int, report: Report) -> None:
    """Send requests from all clients."""
    left = iter([malformed.request() for _ in range(requests)])
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENT_COUNT):
            group.create_task(_client(port, left, report))


async def _client(port: int, left: Iterator[tuple[bytes, bool]], report: Report) -> None:
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for sent, honest in left:
        if connection is None or connection[1].is_closing() or connection[0].at_eof():
            connection = await asyncio.open_connection(HOST, port, limit=1 << 24)
        reader, writer = connection
        started = time.perf_counter()
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT_SECONDS):
                writer.write(sent)
                await writer.drain()
                if not honest:
                    # The server may still wait for the rest of the request.
                    await asyncio.sleep(0.02)
                    writer.write_eof()
                answer = await _read_response(reader, well_framed=honest)
        except TimeoutError:
            report.failures.append(f"no response: {sent!r:.3000}")
            answer = b""
        except ConnectionError:
            answer = b""
        if honest and answer:
            report.seconds.append(time.perf_counter() - started)
        report.record(answer[9:12].decode() or "closed", sent, answer)
        if not honest or not answer or b"connection: close" in answer.lower():
            writer.close()
            connection = None
    if connection:
        connection[1].close()


async def _read_response(reader: asyncio.StreamReader, *, well_framed: bool) -> bytes:
    """One response, or all data until the connection ends."""
    if not well_framed:
        return await reader.read(1 << 24)
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        if length:
            return head + await reader.readexactly(int(length[1]))
        body = b""
        while b"0\r\n\r\n" not in body[-7:]:
            piece = await reader.read(1 << 16)
            if not piece:
                break
            body += piece
        return head + body
    except asyncio.IncompleteReadError as error:
        return error.partial


async def fuzz_websockets(port: int, malformed: MalformedRequests, frames: int, report: Report) -> None:
    """Open WebSockets one after the other, and send malformed messages."""
    message_count = 0
    while message_count < frames:
        script = malformed.frames()
        message_count += len(script)
        sent = repr(script).encode()
        try:
            async with asyncio.timeout(5 * RESPONSE_TIMEOUT_SECONDS):
                code, received = await _run_websocket(port, script)
        except TimeoutError:
            report.failures.append(f"no response: {sent!r:.3000}")
            continue
        report.record(f"ws {code}", sent, received)
        # A client that still sends a long frame when the server closes does not receive the close code.
        if code not in EXPECTED_CLOSE_CODES and not (
            code == 1006 and any(len(frame) > MAX_FRAME_BYTES for frame in script)
        ):
            report.failures.append(f"closed by {code}: {sent!r:.3000}")


async def _run_websocket(port: int, frames: list[str | bytes]) -> tuple[int, bytes]:
    """Send a script, then a ping; returns the close code and all received data."""
    received = b""
    protocol = websockets.Subprotocol("graphql-transport-ws")
    async with connect(f"ws://{HOST}:{port}/graphql", subprotocols=[protocol], max_size=1 << 24) as socket:
        try:
            for frame in [*frames, '{"type": "ping"}']:
                await socket.send(frame)
            while b'"pong"' not in received[-40:]:
                message = await asyncio.wait_for(socket.recv(), RESPONSE_TIMEOUT_SECONDS)
                received += message.encode() if isinstance(message, str) else message
        except websockets.ConnectionClosed as end:
            return (end.rcvd.code if end.rcvd else 1006), received
        except TimeoutError:
            # An initialised connection answers a ping; another is closed after five seconds.
            await asyncio.wait_for(socket.wait_closed(), 4 * RESPONSE_TIMEOUT_SECONDS)
            return socket.close_code or 1006, received
    return 1000, received
