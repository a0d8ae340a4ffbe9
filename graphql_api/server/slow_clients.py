"""What a client may hold of a server: some connections, each with a small head, soon, and an answer that it reads."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from graphql_api.http import responses
from graphql_api.http.rejections import Rejected

if TYPE_CHECKING:
    from graphql_api.observability.metrics import Metrics
    from graphql_api.settings import Settings

BYTES = 16_384
"""Of the first line of a request and its headers, together; and of what comes between the parts of a body."""
SECONDS = 5.0
"""From the first byte of a head to its last; and to the first, on a new connection."""
STRAGGLING = 10.0
"""Seconds for a body that is still coming when its request has been answered."""
STALLED = 20.0
LEAST = 65_536
"""Bytes of an answer that a client must read in so many seconds."""

_HOST = re.compile(rb"[\w.~!$&'()*+;=%:\[\]-]*")

TOO_LARGE = Rejected(431, f"The address and the headers may have {BYTES:,} bytes at most.")
TOO_SLOW = Rejected(408, "The headers did not arrive in time.")
TOO_MANY = Rejected(429, "Your address has too many connections open: use them again.", retry_after="1")
MALFORMED = Rejected(400, "This is not HTTP.")


class Gate:
    """The connections of a process, by the addresses that they come from."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Let in as many as the settings say."""
        self._most = settings.connections_per_address
        self._is_proxy = settings.is_proxy
        self._open: Counter[str] = Counter()
        self.metrics = metrics

    def enter(self, address: str) -> bool:
        """Take one more from an address, unless it has enough; proxies speak for many and are not counted."""
        if self._open[address] >= self._most and not self._is_proxy(address):
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Forget one."""
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


class _Answered:
    """A request of which nothing is to be done any more."""

    response_complete = True
    response_started = True
    more_body = False
    disconnected = False
    keep_alive = False
    message_event = asyncio.Event()


ANSWERED: Any = _Answered()


class Guarded(HttpToolsProtocol):
    """A connection that is closed where its client only holds it."""

    _gate: Gate | None = None
    _address = ""
    _awaiting = True
    """Whether the head of a request is next."""
    _ended = False
    """Whether the end of a request was the last thing to come."""
    _whole = False
    """Whether the end of a head was among what came last."""
    _head = 0
    """Bytes that came of a head, as long as it is not whole."""
    _fed = False
    """Whether a part of a body was among what came last."""
    _between = 0
    """Bytes that came since one did: sizes of chunks and what is said of them, and headers after the last."""
    _declined: int | None = None
    """Where, in what came last, the head ends of a request that offers another protocol."""
    _timer: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if this address may have one more."""
        super().connection_made(transport)
        gate: Gate | None = self.app_state.get("gate")
        if gate and self.client:
            if not gate.enter(self.client[0]):
                gate.metrics.rejected(TOO_MANY.status)
                self._refuse(TOO_MANY)
                return
            self._gate, self._address = gate, self.client[0]
        self._expect(SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._stop_expecting()
        self.resume_writing()
        self._leave()

    def data_received(self, data: bytes) -> None:
        """Take what has come; what is no whole head must become one soon."""
        self._ended = self._whole = self._fed = False
        rest = data
        while rest:
            rest = self._feed(rest)
        if self._ended:
            return
        if self._awaiting:
            if not self._head:
                self._expect(SECONDS)
            self._head += 1 if self._whole else len(data)
        else:
            self._between = 0 if self._fed or self._whole else self._between + len(data)
        if max(self._head, self._between) > BYTES:
            self._reject(TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._ended = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Go on to the body, unless the head is too large."""
        if self._offers_another():
            return
        self._awaiting, self._whole = False, True
        self._head = self._between = 0
        self._stop_expecting()
        size, hosts = len(self.url), 0
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            if name == b"host":
                hosts += 1 if _HOST.fullmatch(value) else 2
            elif name == b"transfer-encoding" and value.lower() != b"chunked":
                self._reject(MALFORMED)
        if hosts != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            self._reject(MALFORMED)
        if size > BYTES:
            self._reject(TOO_LARGE)
        if self.transport.is_closing():
            self.cycle = ANSWERED
        else:
            self.take()
        if not self.parser.should_upgrade():
            # Headers that come after the body are nobody's: whatever stands before us has not looked at them.
            self.headers = []

    def take(self) -> None:
        """Take on a request whose head is good."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._fed = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; the next thing is the head of another."""
        if self._offers_another():
            return
        self._awaiting = self._ended = True
        self._stop_expecting()
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            self._expect(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        """End an answer, which may be there before the request is."""
        super().on_response_complete()
        if not self._awaiting:
            self._unset_keepalive_if_required()
            self._expect(STRAGGLING)

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(STALLED, self._look)

    def resume_writing(self) -> None:
        """Go on: it does."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def handle_websocket_upgrade(self) -> None:
        """Become a WebSocket, which is a connection of the same address."""
        super().handle_websocket_upgrade()
        socket: Any = self.transport.get_protocol()
        lost = socket.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            lost(exc)
            self._leave()

        socket.connection_lost = connection_lost

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been silent, though something may be left to be read."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed."""
        del msg
        self._reject(MALFORMED)

    def _offers_another(self) -> bool:
        """Whether a request offers to go on in a protocol that is not ours, as some clients always do."""
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Note where the parser has stopped, which takes such an offer for the end of HTTP."""
        stopped = sys.exc_info()[1]
        self._declined = None if stopped is None else int(stopped.args[0])

    def _feed(self, data: bytes) -> bytes:
        """Read what has come; answers what to read again, where an offer of another protocol was read in it."""
        super().data_received(data)
        if self._declined is None:
            return b""
        body, self._declined = data[self._declined :], None
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._reject(MALFORMED)
            return b""
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = type(self.parser)(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, self.url, version, b"".join(lines), body)

    def _expect(self, seconds: float) -> None:
        self._stop_expecting()
        if not self.transport.is_closing():
            self._timer = self.loop.call_later(seconds, self._late)

    def _stop_expecting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        """Close a connection on which something did not come in time."""
        self._timer = None
        if self._head:
            self._reject(TOO_SLOW)
        else:
            self.transport.close()

    def _look(self) -> None:
        """See whether a client has read anything since."""
        unread = self.transport.get_write_buffer_size()
        if unread > self._unread - LEAST:
            self.transport.abort()
            return
        self._unread = unread
        self._reading = self.loop.call_later(STALLED, self._look)

    def _reject(self, rejected: Rejected) -> None:
        if self._gate:
            self._gate.metrics.rejected(rejected.status)
        self._refuse(rejected)

    def _refuse(self, rejected: Rejected) -> None:
        """Answer, where no other answer is under way, and close."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_started and not self.pipeline:
            # The rest of its body will never come.
            cycle.disconnected = True
        elif cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False
            return
        self.transport.write(_ANSWERS[rejected.status])
        self.transport.close()

    def _leave(self) -> None:
        if self._gate:
            self._gate.leave(self._address)
            self._gate = None


def _whole(rejected: Rejected) -> bytes:
    answer = responses.reject(rejected)
    headers = [*answer.raw_headers, (b"x-content-type-options", b"nosniff"), (b"connection", b"close")]
    line = b"HTTP/1.1 %d %b\r\n" % (rejected.status, HTTPStatus(rejected.status).phrase.encode())
    return line + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + answer.body


_ANSWERS = {one.status: _whole(one) for one in (TOO_LARGE, TOO_SLOW, TOO_MANY, MALFORMED)}
