"""The load: a fixed number of connections, each of which asks again as soon as it has its answer."""

from __future__ import annotations

import gc
import select
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

HOST = "127.0.0.1"
RECEIVE_BYTES = 1 << 18
RESPONSE_TIMEOUT_SECONDS = 60.0
"""Seconds without any answer after which a server is taken for dead."""


@dataclass
class TurnResult:
    """What one server did in one turn."""

    seconds: float
    """From the first question to the last answer."""
    latencies: list[float] = field(repr=False)
    """Seconds, of each right answer."""
    failures: int
    """Answers of another status, or of another length than was expected."""

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0


class _Connection:
    """One connection: what it waits for."""

    __slots__ = ("body_bytes", "head_chunks", "ok", "remaining_bytes", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=RESPONSE_TIMEOUT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.head_chunks: list[bytes] = []
        self.remaining_bytes: int | None = None
        self.body_bytes = 0
        self.ok = False

    def feed(self, data: bytes) -> bool:
        """Take what has come; True when the answer is whole."""
        if self.remaining_bytes is None:
            if self.head_chunks:
                data = b"".join((*self.head_chunks, data))
                self.head_chunks.clear()
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.head_chunks.append(data)
                return False
            head = data[:end].lower()
            place = head.find(b"\r\ncontent-length:")
            if place < 0:
                raise RuntimeError("An answer has no Content-Length.")
            stop = head.find(b"\r", place + 2)
            self.body_bytes = int(head[place + 17 : stop if stop > 0 else end])
            self.ok = head[9:12] == b"200"
            self.remaining_bytes = self.body_bytes - (len(data) - end - 4)
        else:
            self.remaining_bytes -= len(data)
        if self.remaining_bytes > 0:
            return False
        self.remaining_bytes = None
        return True


class Client:
    """Open connections to one server; leaving the context closes them."""

    def __init__(self, port: int, connections: int) -> None:
        self._connections = {one.socket.fileno(): one for one in (_Connection(port) for _ in range(connections))}
        self._poll = select.epoll()
        for descriptor in self._connections:
            self._poll.register(descriptor, select.EPOLLIN)

    def run(
        self,
        make_request: Callable[[], bytes],
        *,
        seconds: float,
        expected_bytes: int | None = None,
        max_requests: int = 1 << 60,
    ) -> TurnResult:
        """Ask for so long, or so many times, and wait for the answers that are still to come.

        An answer whose body has not the expected `length` in bytes is a failure.
        """
        connections, poll, clock = self._connections, self._poll, time.perf_counter
        latencies: list[float] = []
        failures, left, waiting = 0, max_requests, 0
        gc.disable()
        began = last = clock()
        until = began + seconds
        for one in connections.values():
            if left:
                left -= 1
                waiting += 1
                one.sent_at = clock()
                one.socket.sendall(make_request())
        while waiting:
            events = poll.poll(RESPONSE_TIMEOUT_SECONDS)
            if not events:
                raise TimeoutError(f"No answer came for {RESPONSE_TIMEOUT_SECONDS:g} seconds.")
            for descriptor, _ in events:
                one = connections[descriptor]
                data = one.socket.recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("A server closed a connection.")
                if not one.feed(data):
                    continue
                last = clock()
                if one.ok and (expected_bytes is None or one.body_bytes == expected_bytes):
                    latencies.append(last - one.sent_at)
                else:
                    failures += 1
                if last < until and left:
                    left -= 1
                    one.sent_at = last
                    one.socket.sendall(make_request())
                else:
                    waiting -= 1
        gc.enable()
        return TurnResult(last - began, latencies, failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._poll.close()
        for one in self._connections.values():
            one.socket.close()


def fetch(port: int, request: bytes) -> tuple[int, bytes]:
    """Ask once: the status, and the body."""
    with socket.create_connection((HOST, port), timeout=RESPONSE_TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data:
            data += _receive(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        length = int(lines[b"content-length"])
        while len(body) < length:
            body += _receive(connection)
        return int(head[9:12]), body


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(RECEIVE_BYTES)
    if not data:
        raise ConnectionError("The server closed the connection.")
    return data


def post(path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """A request as it goes over the wire."""
    lines = {"host": HOST, "content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    head = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
    return "\r\n".join(head).encode() + body
