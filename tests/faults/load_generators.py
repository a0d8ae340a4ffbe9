"""An open-loop load generator: sends requests at a fixed rate, whatever the response times."""

from __future__ import annotations

import gc
import select
import socket
import statistics
import time
from dataclasses import dataclass, field

HOST = "127.0.0.1"
RECEIVE_BYTES = 1 << 16
DRAIN_TIMEOUT_SECONDS = 20.0
"""Time to wait for responses after the last request."""


@dataclass
class LoadResult:
    """Outcomes of the requests."""

    seconds: float
    """Duration of the load."""
    ok_latencies: list[float] = field(default_factory=list, repr=False)
    """Seconds to each response with status 200."""
    rejected_latencies: list[float] = field(default_factory=list, repr=False)
    """Seconds to each response with status 503 and Retry-After."""
    other_count: int = 0
    """Other responses, and lost connections."""
    unsent_count: int = 0
    """Requests that were not sent, because every connection was waiting for a response."""

    @property
    def goodput(self) -> float:
        """Responses with status 200 per second."""
        return len(self.ok_latencies) / self.seconds

    @property
    def offered_rate(self) -> float:
        """Requests sent per second."""
        return (len(self.ok_latencies) + len(self.rejected_latencies) + self.other_count) / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.offered_rate:.0f}/s offered ({self.unsent_count} late), {self.goodput:.0f}/s accepted "
            f"(p50 {1000 * percentile(self.ok_latencies, 50):.0f}, "
            f"p99 {1000 * percentile(self.ok_latencies, 99):.0f} ms), "
            f"{len(self.rejected_latencies) / self.seconds:.0f}/s rejected "
            f"(p50 {1000 * percentile(self.rejected_latencies, 50):.1f}, "
            f"p99 {1000 * percentile(self.rejected_latencies, 99):.1f} ms), {self.other_count} others"
        )


def percentile(values: list[float], percent: int) -> float:
    """The percentile of the values; 0 for fewer than two."""
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else 0.0


class _Connection:
    __slots__ = ("buffer", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.buffer = b""


def generate_load(port: int, request: bytes, *, rate: float, seconds: float, connections: int) -> LoadResult:
    """Send `rate` requests a second, each on an idle connection."""
    load = _LoadGenerator(port, request, connections, seconds)
    gc.disable()
    started_at = time.perf_counter()
    while (elapsed := time.perf_counter() - started_at) < seconds or (
        load.waiting_count and elapsed < seconds + DRAIN_TIMEOUT_SECONDS
    ):
        load.send(int(min(elapsed, seconds) * rate))
        load.read(0.0005 if elapsed < seconds else 0.1)
    gc.enable()
    return load.close()


class _LoadGenerator:
    def __init__(self, port: int, request: bytes, connections: int, seconds: float) -> None:
        self.connections = {
            connection.socket.fileno(): connection for connection in (_Connection(port) for _ in range(connections))
        }
        self.idle_connections = list(self.connections.values())
        self.poll = select.epoll()
        for descriptor in self.connections:
            self.poll.register(descriptor, select.EPOLLIN)
        self.request = request
        self.result = LoadResult(seconds)
        self.due_count = self.waiting_count = 0

    def send(self, due: int) -> None:
        """Send requests until `due` have been sent or skipped."""
        for _ in range(due - self.due_count):
            if not self.idle_connections:
                self.result.unsent_count += 1
                continue
            connection = self.idle_connections.pop()
            connection.sent_at = time.perf_counter()
            connection.socket.sendall(self.request)
            self.waiting_count += 1
        self.due_count = due

    def read(self, seconds: float) -> None:
        """Read the responses that arrive within some seconds."""
        for descriptor, _ in self.poll.poll(seconds):
            connection = self.connections[descriptor]
            head = _read_response_head(connection)
            if head is None:
                continue
            latency = time.perf_counter() - connection.sent_at
            self.waiting_count -= 1
            if head.startswith(b"HTTP/1.1 200"):
                self.result.ok_latencies.append(latency)
            elif head.startswith(b"HTTP/1.1 503") and b"\r\nretry-after: " in head.lower():
                self.result.rejected_latencies.append(latency)
            else:
                self.result.other_count += 1
            if head:
                self.idle_connections.append(connection)
            else:
                self.poll.unregister(descriptor)

    def close(self) -> LoadResult:
        """Close the connections; requests without a response count as other outcomes."""
        self.result.other_count += self.waiting_count
        self.poll.close()
        for connection in self.connections.values():
            connection.socket.close()
        return self.result


def _read_response_head(connection: _Connection) -> bytes | None:
    """The head of a complete response; empty for a closed connection; None while it is incomplete."""
    data = connection.socket.recv(RECEIVE_BYTES)
    if not data:
        return b""
    connection.buffer += data
    head, end, body = connection.buffer.partition(b"\r\n\r\n")
    if not end:
        return None
    start = head.lower().index(b"content-length:")
    if len(body) < int(head[start + 15 :].split(b"\r\n")[0]):
        return None
    connection.buffer = b""
    return head
