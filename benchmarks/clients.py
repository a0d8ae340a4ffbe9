"""The client: a fixed number of connections, each of which sends a request as soon as it has the last response."""

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
"""Seconds without any response after which a run fails."""


@dataclass
class TurnResult:
    """Results of one turn."""

    seconds: float
    """Seconds from the first request to the last response."""
    latencies: list[float] = field(repr=False)
    """Seconds until each correct response."""
    failures: int
    """Number of responses with another status or length than expected."""

    @property
    def rate(self) -> float:
        """Correct responses per second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0


class _Connection:
    """One connection, and the state of the response that it reads."""

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
        """Take received data; True when the response is complete."""
        if self.remaining_bytes is None:
            if self.head_chunks:
                data = b"".join((*self.head_chunks, data))
                self.head_chunks.clear()
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.head_chunks.append(data)
                return False
            head = data[:end].lower()
            header = head.find(b"\r\ncontent-length:")
            if header < 0:
                raise RuntimeError("A response has no Content-Length.")
            stop = head.find(b"\r", header + 2)
            self.body_bytes = int(head[header + 17 : stop if stop > 0 else end])
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
        self._connections = {
            connection.socket.fileno(): connection for connection in (_Connection(port) for _ in range(connections))
        }
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
        """Send requests for some seconds or up to a number, and wait for the last responses.

        A response whose body is not `expected_bytes` long is a failure.
        """
        connections, poll, clock = self._connections, self._poll, time.perf_counter
        latencies: list[float] = []
        failures, left, waiting = 0, max_requests, 0
        gc.disable()
        started = last = clock()
        deadline = started + seconds
        for connection in connections.values():
            if left:
                left -= 1
                waiting += 1
                connection.sent_at = clock()
                connection.socket.sendall(make_request())
        while waiting:
            events = poll.poll(RESPONSE_TIMEOUT_SECONDS)
            if not events:
                raise TimeoutError(f"No response for {RESPONSE_TIMEOUT_SECONDS:g} seconds.")
            for descriptor, _ in events:
                connection = connections[descriptor]
                data = connection.socket.recv(RECEIVE_BYTES)
                if not data:
                    raise ConnectionError("A server closed a connection.")
                if not connection.feed(data):
                    continue
                last = clock()
                if connection.ok and (expected_bytes is None or connection.body_bytes == expected_bytes):
                    latencies.append(last - connection.sent_at)
                else:
                    failures += 1
                if last < deadline and left:
                    left -= 1
                    connection.sent_at = last
                    connection.socket.sendall(make_request())
                else:
                    waiting -= 1
        gc.enable()
        return TurnResult(last - started, latencies, failures)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._poll.close()
        for connection in self._connections.values():
            connection.socket.close()


def fetch(port: int, request: bytes) -> tuple[int, bytes]:
    """Send one request; its status and body."""
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
    """The bytes of a request."""
    lines = {"host": HOST, "content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    head = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
    return "\r\n".join(head).encode() + body
