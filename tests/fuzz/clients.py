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
from tests.fuzz.mutations import Mutants

HOST = "127.0.0.1"
CLIENTS = 8
HUNG = 2.0
"""Seconds within which everything is answered, or closed."""
LEAKS = re.compile(
    rb"Traceback|asyncpg|sqlalchemy|psycopg|uvicorn|strawberry|graphql_api|site-packages|\.py\b|/usr/|/tmp/"
    rb"|\bSELECT\b|\bINSERT INTO\b|\bUPDATE \w+ SET\b|\bWHERE \w|\bpg_\w|\$2b\$|\$argon2"
    rb"|constraint \"|relation \"|INTERNAL|" + re.escape(bytes(ROOT))
)
"""What an answer never has: words of ours, of the driver's and of the database's, and faults."""
BUSY = b"The server has too much to do"
LONGEST_FRAME = 65_536
CLOSINGS = {1000, 1002, 1003, 1007, 1009, 4400, 4401, 4403, 4406, 4408, 4409, 4429}
"""Codes with which a WebSocket may be closed."""


@dataclass
class Ledger:
    """What came back."""

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list, repr=False)
    """Of each answer over HTTP."""
    faults: list[str] = field(default_factory=list)
    """What should not have come back, or did not come, with what was sent."""

    def part(self, percent: int) -> float:
        """The seconds within which so many percent of the answers came."""
        return statistics.quantiles(self.seconds, n=100)[percent - 1]

    def note(self, status: str, sent: bytes, answer: bytes) -> None:
        """Look at an answer."""
        self.statuses[status] += 1
        leak = LEAKS.search(answer)
        if leak and leak[0] not in sent:
            self.faults.append(f"leaks {leak[0]!r}: {sent!r:.3000} -> {answer!r:.3000}")
        if status.startswith("5") and BUSY not in answer:
            self.faults.append(f"{status}: {sent!r:.3000} -> {answer!r:.3000}")


async def over_http(port: int, mutants: Mutants, requests: int, ledger: Ledger) -> None:
    """Send requests from all the clients."""
    left = iter([mutants.request() for _ in range(requests)])
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(_client(port, left, ledger))


async def _client(port: int, left: Iterator[tuple[bytes, bool]], ledger: Ledger) -> None:
    connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for sent, honest in left:
        if connection is None or connection[1].is_closing() or connection[0].at_eof():
            connection = await asyncio.open_connection(HOST, port, limit=1 << 24)
        reader, writer = connection
        began = time.perf_counter()
        try:
            async with asyncio.timeout(HUNG):
                writer.write(sent)
                await writer.drain()
                if not honest:
                    # It may not be over yet, as far as the server can tell.
                    await asyncio.sleep(0.02)
                    writer.write_eof()
                answer = await _answer(reader, honest=honest)
        except TimeoutError:
            ledger.faults.append(f"hung: {sent!r:.3000}")
            answer = b""
        except ConnectionError:
            answer = b""
        if honest and answer:
            ledger.seconds.append(time.perf_counter() - began)
        ledger.note(answer[9:12].decode() or "closed", sent, answer)
        if not honest or not answer or b"connection: close" in answer.lower():
            writer.close()
            connection = None
    if connection:
        connection[1].close()


async def _answer(reader: asyncio.StreamReader, *, honest: bool) -> bytes:
    """One answer, or all that comes before the connection ends."""
    if not honest:
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


async def over_sockets(port: int, mutants: Mutants, frames: int, ledger: Ledger) -> None:
    """Open WebSockets one after the other, and say things that make no sense."""
    said = 0
    while said < frames:
        script = mutants.frames()
        said += len(script)
        sent = repr(script).encode()
        try:
            async with asyncio.timeout(5 * HUNG):
                code, heard = await _socket(port, script)
        except TimeoutError:
            ledger.faults.append(f"hung: {sent!r:.3000}")
            continue
        ledger.note(f"ws {code}", sent, heard)
        # Whoever is still sending a long frame when the server closes does not hear why.
        if code not in CLOSINGS and not (code == 1006 and any(len(frame) > LONGEST_FRAME for frame in script)):
            ledger.faults.append(f"closed by {code}: {sent!r:.3000}")


async def _socket(port: int, script: list[str | bytes]) -> tuple[int, bytes]:
    """Say a script, and ask at the end whether anybody is still there; the code of the end, and all that was heard."""
    heard = b""
    protocol = websockets.Subprotocol("graphql-transport-ws")
    async with connect(f"ws://{HOST}:{port}/graphql", subprotocols=[protocol], max_size=1 << 24) as socket:
        try:
            for frame in [*script, '{"type": "ping"}']:
                await socket.send(frame)
            while b'"pong"' not in heard[-40:]:
                message = await asyncio.wait_for(socket.recv(), HUNG)
                heard += message.encode() if isinstance(message, str) else message
        except websockets.ConnectionClosed as end:
            return (end.rcvd.code if end.rcvd else 1006), heard
        except TimeoutError:
            # An initialised connection answers a ping; another is closed after five seconds.
            await asyncio.wait_for(socket.wait_closed(), 4 * HUNG)
            return socket.close_code or 1006, heard
    return 1000, heard
