"""A load that does not wait for answers: so many requests a second come, whatever becomes of them."""

from __future__ import annotations

import gc
import select
import socket
import statistics
import time
from dataclasses import dataclass, field

HOST = "127.0.0.1"
CHUNK = 1 << 16
ENOUGH = 20.0
"""Seconds for which answers are waited for, after the last request."""


@dataclass
class Flood:
    """What became of the requests."""

    seconds: float
    """For which they came."""
    answered: list[float] = field(default_factory=list, repr=False)
    """Seconds until each answer of status 200."""
    refused: list[float] = field(default_factory=list, repr=False)
    """Seconds until each answer of status 503 that said when to come again."""
    others: int = 0
    """Other answers, and connections that were lost."""
    late: int = 0
    """Requests that could not be sent in time, because every connection waited for an answer."""

    @property
    def goodput(self) -> float:
        """Answers of status 200, per second."""
        return len(self.answered) / self.seconds

    @property
    def offered(self) -> float:
        """Requests sent, per second."""
        return (len(self.answered) + len(self.refused) + self.others) / self.seconds

    def __str__(self) -> str:
        return (
            f"{self.offered:.0f}/s offered ({self.late} late), {self.goodput:.0f}/s answered "
            f"(p50 {1000 * part(self.answered, 50):.0f}, p99 {1000 * part(self.answered, 99):.0f} ms), "
            f"{len(self.refused) / self.seconds:.0f}/s refused (p50 {1000 * part(self.refused, 50):.1f}, "
            f"p99 {1000 * part(self.refused, 99):.1f} ms), {self.others} others"
        )


def part(values: list[float], percent: int) -> float:
    """The value below which so many percent are."""
    return statistics.quantiles(values, n=100)[percent - 1] if len(values) > 1 else 0.0


class _Connection:
    __slots__ = ("read", "sent", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0.0
        self.read = b""


def flood(port: int, request: bytes, *, rate: float, seconds: float, connections: int) -> Flood:
    """Send so many requests a second, each on whichever connection is free."""
    load = _Load(port, request, connections, seconds)
    gc.disable()
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds or (load.waiting and passed < seconds + ENOUGH):
        load.send(int(min(passed, seconds) * rate))
        load.read(0.0005 if passed < seconds else 0.1)
    gc.enable()
    return load.end()


class _Load:
    def __init__(self, port: int, request: bytes, connections: int, seconds: float) -> None:
        self.known = {one.socket.fileno(): one for one in (_Connection(port) for _ in range(connections))}
        self.free = list(self.known.values())
        self.poll = select.epoll()
        for descriptor in self.known:
            self.poll.register(descriptor, select.EPOLLIN)
        self.request = request
        self.found = Flood(seconds)
        self.due = self.waiting = 0

    def send(self, due: int) -> None:
        """Send what is due by now."""
        for _ in range(due - self.due):
            if not self.free:
                self.found.late += 1
                continue
            one = self.free.pop()
            one.sent = time.perf_counter()
            one.socket.sendall(self.request)
            self.waiting += 1
        self.due = due

    def read(self, seconds: float) -> None:
        """Read what comes within so long."""
        for descriptor, _ in self.poll.poll(seconds):
            one = self.known[descriptor]
            answer = _read(one)
            if answer is None:
                continue
            took = time.perf_counter() - one.sent
            self.waiting -= 1
            if answer.startswith(b"HTTP/1.1 200"):
                self.found.answered.append(took)
            elif answer.startswith(b"HTTP/1.1 503") and b"\r\nretry-after: " in answer.lower():
                self.found.refused.append(took)
            else:
                self.found.others += 1
            if answer:
                self.free.append(one)
            else:
                self.poll.unregister(descriptor)

    def end(self) -> Flood:
        """Close everything; what has not been answered by now never will be."""
        self.found.others += self.waiting
        self.poll.close()
        for one in self.known.values():
            one.socket.close()
        return self.found


def _read(one: _Connection) -> bytes | None:
    """The head of a whole answer; nothing of a connection that was closed; None while more is to come."""
    data = one.socket.recv(CHUNK)
    if not data:
        return b""
    one.read += data
    head, end, body = one.read.partition(b"\r\n\r\n")
    if not end:
        return None
    place = head.lower().index(b"content-length:")
    if len(body) < int(head[place + 15 :].split(b"\r\n")[0]):
        return None
    one.read = b""
    return head
