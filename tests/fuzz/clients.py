"""Eight clients that keep their connections and send what mutants they are given, and a ledger of what came back."""

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

from tests.faults.servers import ROOT
from tests.fuzz.mutations import MalformedRequests

HOST = "127.0.0.1"
CLIENT_COUNT = 8
RESPONSE_TIMEOUT_SECONDS = 2.0
"""Seconds within which everything is answered, or closed."""
LEAK_PATTERN = re.compile(
    rb"Traceback|asyncpg|sqlalchemy|psycopg|uvicorn|strawberry|graphql_api|site-packages|\.py\b|/usr/|/tmp/"
    rb"|\bSELECT\b|\bINSERT INTO\b|\bUPDATE \w+ SET\b|\bWHERE \w|\bpg_\w|\$2b\$|\$argon2"
    rb"|constraint \"|relation \"|INTERNAL|" + re.escape(bytes(ROOT))
)
"""What an answer never has: words of ours, of the driver's and of the database's, and faults."""
OVERLOAD_MESSAGE = b"The server is overloaded"
MAX_FRAME_BYTES = 65_536
EXPECTED_CLOSE_CODES = {1000, 1002, 1003, 1007, 1009, 4400, 4401, 4403, 4406, 4408, 4409, 4429}
"""Codes with which a WebSocket may be closed."""


@dataclass
class Report:
    """What came back."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list, repr=False)
    """Of each answer over HTTP."""
    faults: list[str] = field(default_factory=list)
    """What should not have come back, or did not come, with what was sent."""

    def percentile_seconds(self, percent: int) -> float:
        """The seconds within which so many percent of the answers came."""
        return statistics.quantiles(self.seconds, n=100)[percent - 1]

    def record(self, status: str, sent: bytes, answer: bytes) -> None:
        """Look at an answer."""
        self.statuses[status] += 1
        leak = LEAK_PATTERN.search(answer)
        if leak and leak[0] not in sent:
            self.faults.append(f"leaks {leak[0]!r}: {sent!r:.3000} -> {answer!r:.3000}")
        if status.startswith("5") and OVERLOAD_MESSAGE not in answer:
            self.faults.append(f"{status}: {sent!r:.3000} -> {answer!r:.3000}")


async def fuzz_http(port: int, mutants: MalformedRequests, requests: int, ledger: Report) -> None:
    """Send requests from all the clients."""
    left = iter([mutants.request() for _ in range(requests)])
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENT_COUNT):
            group.create_task(_client(port, left, ledger))


async def _client(port: int, left: Iterator[tuple[bytes, bool]], ledger: Report) -> None:
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for sent, honest in left:
        if connection is None or connection[1].is_closing() or connection[0].at_eof():
            connection = await asyncio.open_connection(HOST, port, limit=1 << 24)
        reader, writer = connection
        began = time.perf_counter()
        try:
            async with asyncio.timeout(RESPONSE_TIMEOUT_SECONDS):
                writer.write(sent)
                await writer.drain()
                if not honest:
                    # It may not be over yet, as far as the server can tell.
                    await asyncio.sleep(0.02)
                    writer.write_eof()
                answer = await _read_response(reader, well_framed=honest)
        except TimeoutError:
            ledger.faults.append(f"hung: {sent!r:.3000}")
            answer = b""
        except ConnectionError:
            answer = b""
        if honest and answer:
            ledger.seconds.append(time.perf_counter() - began)
        ledger.record(answer[9:12].decode() or "closed", sent, answer)
        if not honest or not answer or b"connection: close" in answer.lower():
            writer.close()
            connection = None
    if connection:
        connection[1].close()


async def _read_response(reader: asyncio.StreamReader, *, well_framed: bool) -> bytes:
    """One answer, or all that comes before the connection ends."""
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


async def fuzz_websockets(port: int, mutants: MalformedRequests, frames: int, ledger: Report) -> None:
    """Open WebSockets one after the other, and say things that make no sense."""
    said = 0
    while said < frames:
        script = mutants.frames()
        said += len(script)
        sent = repr(script).encode()
        try:
            async with asyncio.timeout(5 * RESPONSE_TIMEOUT_SECONDS):
                code, heard = await _run_websocket(port, script)
        except TimeoutError:
            ledger.faults.append(f"hung: {sent!r:.3000}")
            continue
        ledger.record(f"ws {code}", sent, heard)
        # Whoever is still sending a long frame when the server closes does not hear why.
        if code not in EXPECTED_CLOSE_CODES and not (
            code == 1006 and any(len(frame) > MAX_FRAME_BYTES for frame in script)
        ):
            ledger.faults.append(f"closed by {code}: {sent!r:.3000}")


async def _run_websocket(port: int, frames: list[str | bytes]) -> tuple[int, bytes]:
    """Say a script, and ask at the end whether anybody is still there; the code of the end, and all that was heard."""
    heard = b""
    protocol = websockets.Subprotocol("graphql-transport-ws")
    async with connect(f"ws://{HOST}:{port}/graphql", subprotocols=[protocol], max_size=1 << 24) as socket:
        try:
            for frame in [*frames, '{"type": "ping"}']:
                await socket.send(frame)
            while b'"pong"' not in heard[-40:]:
                message = await asyncio.wait_for(socket.recv(), RESPONSE_TIMEOUT_SECONDS)
                heard += message.encode() if isinstance(message, str) else message
        except websockets.ConnectionClosed as end:
            return (end.rcvd.code if end.rcvd else 1006), heard
        except TimeoutError:
            # An initialised connection answers a ping; another is closed after five seconds.
            await asyncio.wait_for(socket.wait_closed(), 4 * RESPONSE_TIMEOUT_SECONDS)
            return socket.close_code or 1006, heard
    return 1000, heard
