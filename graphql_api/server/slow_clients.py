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
from graphql_api.http.rejections import HTTPRejection

if TYPE_CHECKING:
    from graphql_api.observability.metrics import Metrics
    from graphql_api.settings import Settings

MAX_HEAD_BYTES = 16_384
"""Of the first line of a request and its headers, together; and of what comes between the parts of a body."""
HEAD_TIMEOUT_SECONDS = 5.0
"""From the first byte of a head to its last; and to the first, on a new connection."""
LATE_BODY_TIMEOUT_SECONDS = 10.0
"""Seconds for a body that is still coming when its request has been answered."""
RESPONSE_READ_INTERVAL_SECONDS = 20.0
MIN_RESPONSE_READ_BYTES = 65_536
"""Bytes of an answer that a client must read in so many seconds."""

_HOST_HEADER = re.compile(rb"[\w.~!$&'()*+;=%:\[\]-]*")

HEAD_TOO_LARGE = HTTPRejection(431, f"The address and the headers may have {MAX_HEAD_BYTES:,} bytes at most.")
HEAD_TIMED_OUT = HTTPRejection(408, "The headers did not arrive in time.")
TOO_MANY_CONNECTIONS = HTTPRejection(
    429, "Your address has too many connections open: use them again.", retry_after="1"
)
MALFORMED_REQUEST = HTTPRejection(400, "Malformed HTTP request.")


class ConnectionLimiter:
    """The connections of a process, by the addresses that they come from."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Let in as many as the settings say."""
        self._max_per_address = settings.connections_per_address
        self._is_proxy = settings.is_proxy
        self._open_by_address: Counter[str] = Counter()
        self.metrics = metrics

    def acquire(self, address: str) -> bool:
        """Take one more from an address, unless it has enough; proxies speak for many and are not counted."""
        if self._open_by_address[address] >= self._max_per_address and not self._is_proxy(address):
            return False
        self._open_by_address[address] += 1
        return True

    def release(self, address: str) -> None:
        """Forget one."""
        self._open_by_address[address] -= 1
        if not self._open_by_address[address]:
            del self._open_by_address[address]


class _CompletedCycle:
    """A request of which nothing is to be done any more."""

    response_complete = True
    response_started = True
    more_body = False
    disconnected = False
    keep_alive = False
    message_event = asyncio.Event()


COMPLETED_CYCLE: Any = _CompletedCycle()


class SlowClientProtection(HttpToolsProtocol):
    """A connection that is closed where its client only holds it."""

    _connection_limiter: ConnectionLimiter | None = None
    _address = ""
    _awaiting_head = True
    """Whether the head of a request is next."""
    _request_ended = False
    """Whether the end of a request was the last thing to come."""
    _head_completed = False
    """Whether the end of a head was among what came last."""
    _head_bytes = 0
    """Bytes that came of a head, as long as it is not whole."""
    _body_received = False
    """Whether a part of a body was among what came last."""
    _framing_bytes = 0
    """Bytes that came since one did: sizes of chunks and what is said of them, and headers after the last."""
    _upgrade_offset: int | None = None
    """Where, in what came last, the head ends of a request that offers another protocol."""
    _receive_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None
    _unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if this address may have one more."""
        super().connection_made(transport)
        limiter: ConnectionLimiter | None = self.app_state.get("connection_limiter")
        if limiter and self.client:
            if not limiter.acquire(self.client[0]):
                limiter.metrics.record_rejections(TOO_MANY_CONNECTIONS.status)
                self._respond_and_close(TOO_MANY_CONNECTIONS)
                return
            self._connection_limiter, self._address = limiter, self.client[0]
        self._start_receive_timer(HEAD_TIMEOUT_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        super().connection_lost(exc)
        self._cancel_receive_timer()
        self.resume_writing()
        self._release_connection()

    def data_received(self, data: bytes) -> None:
        """Take what has come; what is no whole head must become one soon."""
        self._request_ended = self._head_completed = self._body_received = False
        rest = data
        while rest:
            rest = self._feed_parser(rest)
        if self._request_ended:
            return
        if self._awaiting_head:
            if not self._head_bytes:
                self._start_receive_timer(HEAD_TIMEOUT_SECONDS)
            self._head_bytes += 1 if self._head_completed else len(data)
        else:
            self._framing_bytes = 0 if self._body_received or self._head_completed else self._framing_bytes + len(data)
        if max(self._head_bytes, self._framing_bytes) > MAX_HEAD_BYTES:
            self._reject(HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._request_ended = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Go on to the body, unless the head is too large."""
        if self._offers_unsupported_upgrade():
            return
        self._awaiting_head, self._head_completed = False, True
        self._head_bytes = self._framing_bytes = 0
        self._cancel_receive_timer()
        size, hosts = len(self.url), 0
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            if name == b"host":
                hosts += 1 if _HOST_HEADER.fullmatch(value) else 2
            elif name == b"transfer-encoding" and value.lower() != b"chunked":
                self._reject(MALFORMED_REQUEST)
        if hosts != 1 and (hosts or self.parser.get_http_version() != "1.0"):
            self._reject(MALFORMED_REQUEST)
        if size > MAX_HEAD_BYTES:
            self._reject(HEAD_TOO_LARGE)
        if self.transport.is_closing():
            self.cycle = COMPLETED_CYCLE
        else:
            self.accept_request()
        if not self.parser.should_upgrade():
            # Headers that come after the body are nobody's: whatever stands before us has not looked at them.
            self.headers = []

    def accept_request(self) -> None:
        """Take on a request whose head is good."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._body_received = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; the next thing is the head of another."""
        if self._offers_unsupported_upgrade():
            return
        self._awaiting_head = self._request_ended = True
        self._cancel_receive_timer()
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            self._start_receive_timer(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        """End an answer, which may be there before the request is."""
        super().on_response_complete()
        if not self._awaiting_head:
            self._unset_keepalive_if_required()
            self._start_receive_timer(LATE_BODY_TIMEOUT_SECONDS)

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._read_timer = self.loop.call_later(RESPONSE_READ_INTERVAL_SECONDS, self._check_read_progress)

    def resume_writing(self) -> None:
        """Go on: it does."""
        super().resume_writing()
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def handle_websocket_upgrade(self) -> None:
        """Become a WebSocket, which is a connection of the same address."""
        super().handle_websocket_upgrade()
        socket: Any = self.transport.get_protocol()
        lost = socket.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            lost(exc)
            self._release_connection()

        socket.connection_lost = connection_lost

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that has been silent, though something may be left to be read."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed."""
        del msg
        self._reject(MALFORMED_REQUEST)

    def _offers_unsupported_upgrade(self) -> bool:
        """Whether a request offers to go on in a protocol that is not ours, as some clients always do."""
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Note where the parser has stopped, which takes such an offer for the end of HTTP."""
        stopped = sys.exc_info()[1]
        self._upgrade_offset = None if stopped is None else int(stopped.args[0])

    def _feed_parser(self, data: bytes) -> bytes:
        """Read what has come; answers what to read again, where an offer of another protocol was read in it."""
        super().data_received(data)
        if self._upgrade_offset is None:
            return b""
        body, self._upgrade_offset = data[self._upgrade_offset :], None
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._reject(MALFORMED_REQUEST)
            return b""
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = type(self.parser)(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, self.url, version, b"".join(lines), body)

    def _start_receive_timer(self, seconds: float) -> None:
        self._cancel_receive_timer()
        if not self.transport.is_closing():
            self._receive_timer = self.loop.call_later(seconds, self._receive_timed_out)

    def _cancel_receive_timer(self) -> None:
        if self._receive_timer is not None:
            self._receive_timer.cancel()
            self._receive_timer = None

    def _receive_timed_out(self) -> None:
        """Close a connection on which something did not come in time."""
        self._receive_timer = None
        if self._head_bytes:
            self._reject(HEAD_TIMED_OUT)
        else:
            self.transport.close()

    def _check_read_progress(self) -> None:
        """See whether a client has read anything since."""
        unread = self.transport.get_write_buffer_size()
        if unread > self._unread_bytes - MIN_RESPONSE_READ_BYTES:
            self.transport.abort()
            return
        self._unread_bytes = unread
        self._read_timer = self.loop.call_later(RESPONSE_READ_INTERVAL_SECONDS, self._check_read_progress)

    def _reject(self, rejection: HTTPRejection) -> None:
        if self._connection_limiter:
            self._connection_limiter.metrics.record_rejections(rejection.status)
        self._respond_and_close(rejection)

    def _respond_and_close(self, rejection: HTTPRejection) -> None:
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
        self.transport.write(_RESPONSE_BY_STATUS[rejection.status])
        self.transport.close()

    def _release_connection(self) -> None:
        if self._connection_limiter:
            self._connection_limiter.release(self._address)
            self._connection_limiter = None


def _response_bytes(rejection: HTTPRejection) -> bytes:
    answer = responses.rejection_response(rejection)
    headers = [*answer.raw_headers, (b"x-content-type-options", b"nosniff"), (b"connection", b"close")]
    line = b"HTTP/1.1 %d %b\r\n" % (rejection.status, HTTPStatus(rejection.status).phrase.encode())
    return line + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + answer.body


_RESPONSE_BY_STATUS = {
    one.status: _response_bytes(one)
    for one in (HEAD_TOO_LARGE, HEAD_TIMED_OUT, TOO_MANY_CONNECTIONS, MALFORMED_REQUEST)
}
