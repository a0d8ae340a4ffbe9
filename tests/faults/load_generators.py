"""A load that does not wait for answers: so many requests a second come, whatever becomes of them."""

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
"""Seconds for which answers are waited for, after the last request."""


@dataclass
class LoadResult:
    """What became of the requests."""

    seconds: float
    """For which they came."""
    ok_latencies: list[float] = field(default_factory=list, repr=False)
    """Seconds until each answer of status 200."""
    rejected_latencies: list[float] = field(default_factory=list, repr=False)
    """Seconds until each answer of status 503 that said when to come again."""
    other_count: int = 0
    """Other answers, and connections that were lost."""
    unsent_count: int = 0
    """Requests that could not be sent in time, because every connection waited for an answer."""

    @property
    def goodput(self) -> float:
        """Answers of status 200, per second."""
        return len(self.ok_latencies) / self.seconds

    @property
    def offered_rate(self) -> float:
        """Requests sent, per second."""
        return (len(self.ok_latencies) + len(self.rejected_latencies) + self.other_count) / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.offered_rate:.0f}/s offered ({self.unsent_count} late), {self.goodput:.0f}/s answered "
            f"(p50 {1000 * percentile(self.ok_latencies, 50):.0f}, "
            f"p99 {1000 * percentile(self.ok_latencies, 99):.0f} ms), "
            f"{len(self.rejected_latencies) / self.seconds:.0f}/s refused "
            f"(p50 {1000 * percentile(self.rejected_latencies, 50):.1f}, "
            f"p99 {1000 * percentile(self.rejected_latencies, 99):.1f} ms), {self.other_count} others"
        )


def percentile(values: list[float], percent: int) -> float:
    """The value below which so many percent are."""
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else 0.0


class _Connection:
    __slots__ = ("buffer", "sent_at", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.buffer = b""


def generate_load(port: int, request: bytes, *, rate: float, seconds: float, connections: int) -> LoadResult:
    """Send so many requests a second, each on whichever connection is free."""
    load = _LoadGenerator(port, request, connections, seconds)
    gc.disable()
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds or (
        load.waiting_count and passed < seconds + DRAIN_TIMEOUT_SECONDS
    ):
        load.send(int(min(passed, seconds) * rate))
        load.read(0.0005 if passed < seconds else 0.1)
    gc.enable()
    return load.close()


class _LoadGenerator:
    def __init__(self, port: int, request: bytes, connections: int, seconds: float) -> None:
        self.connections = {one.socket.fileno(): one for one in (_Connection(port) for _ in range(connections))}
        self.idle_connections = list(self.connections.values())
        self.poll = select.epoll()
        for descriptor in self.connections:
            self.poll.register(descriptor, select.EPOLLIN)
        self.request = request
        self.result = LoadResult(seconds)
        self.due_count = self.waiting_count = 0

    def send(self, due: int) -> None:
        """Send what is due by now."""
        for _ in range(due - self.due_count):
            if not self.idle_connections:
                self.result.unsent_count += 1
                continue
            one = self.idle_connections.pop()
            one.sent_at = time.perf_counter()
            one.socket.sendall(self.request)
            self.waiting_count += 1
        self.due_count = due

    def read(self, seconds: float) -> None:
        """Read what comes within so long."""
        for descriptor, _ in self.poll.poll(seconds):
            one = self.connections[descriptor]
            answer = _read_response_head(one)
            if answer is None:
                continue
            took = time.perf_counter() - one.sent_at
            self.waiting_count -= 1
            if answer.startswith(b"HTTP/1.1 200"):
                self.result.ok_latencies.append(took)
            elif answer.startswith(b"HTTP/1.1 503") and b"\r\nretry-after: " in answer.lower():
                self.result.rejected_latencies.append(took)
            else:
                self.result.other_count += 1
            if answer:
                self.idle_connections.append(one)
            else:
                self.poll.unregister(descriptor)

    def close(self) -> LoadResult:
        """Close everything; what has not been answered by now never will be."""
        self.result.other_count += self.waiting_count
        self.poll.close()
        for one in self.connections.values():
            one.socket.close()
        return self.result


def _read_response_head(connection: _Connection) -> bytes | None:
    """The head of a whole answer; nothing of a connection that was closed; None while more is to come."""
    data = connection.socket.recv(RECEIVE_BYTES)
    if not data:
        return b""
    connection.buffer += data
    head, end, body = connection.buffer.partition(b"\r\n\r\n")
    if not end:
        return None
    place = head.lower().index(b"content-length:")
    if len(body) < int(head[place + 15 :].split(b"\r\n")[0]):
        return None
    connection.buffer = b""
    return head
