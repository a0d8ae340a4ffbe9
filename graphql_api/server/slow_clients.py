"""Protection against slow clients: limits of connections, of head sizes, and of the times to send and to read."""

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
"""Limit of a request line and headers together, and of the framing between chunks of a body."""
HEAD_TIMEOUT_SECONDS = 5.0
"""From the first byte of a head to its last, and from a new connection to its first byte."""
LATE_BODY_TIMEOUT_SECONDS = 10.0
"""Seconds for the rest of a body after the response."""
RESPONSE_READ_INTERVAL_SECONDS = 20.0
MIN_RESPONSE_READ_BYTES = 65_536
"""Bytes of a response that a client must read in `RESPONSE_READ_INTERVAL_SECONDS`."""

_HOST_HEADER = re.compile(rb"[\w.~!$&'()*+;=%:\[\]-]*")

HEAD_TOO_LARGE = HTTPRejection(431, f"The request line and headers may have at most {MAX_HEAD_BYTES:,} bytes.")
HEAD_TIMED_OUT = HTTPRejection(408, "The headers did not arrive in time.")
TOO_MANY_CONNECTIONS = HTTPRejection(429, "Too many open connections from this address: reuse them.", retry_after="1")
MALFORMED_REQUEST = HTTPRejection(400, "Malformed HTTP request.")


class ConnectionLimiter:
    """The open connections of a process, counted by address."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._max_per_address = settings.connections_per_address
        self._is_proxy = settings.is_proxy
        self._open_by_address: Counter[str] = Counter()
        self.metrics = metrics

    def acquire(self, address: str) -> bool:
        """Count a connection; False where its address has too many, unless it is a proxy."""
        if self._open_by_address[address] >= self._max_per_address and not self._is_proxy(address):
            return False
        self._open_by_address[address] += 1
        return True

    def release(self, address: str) -> None:
        """Count a connection that has closed."""
        self._open_by_address[address] -= 1
        if not self._open_by_address[address]:
            del self._open_by_address[address]


class _CompletedCycle:
    """Stands for a request that needs no more handling."""

    response_complete = True
    response_started = True
    more_body = False
    disconnected = False
    keep_alive = False
    message_event = asyncio.Event()


COMPLETED_CYCLE: Any = _CompletedCycle()


class SlowClientProtection(HttpToolsProtocol):
    """A connection that closes where its client is too slow or sends too much."""

    _connection_limiter: ConnectionLimiter | None = None
    _address = ""
    _awaiting_head = True
    """The head of a request is next."""
    _request_ended = False
    """The last received data ended with the end of a request."""
    _head_completed = False
    """The last received data held the end of a head."""
    _head_bytes = 0
    """Bytes of an incomplete head."""
    _body_received = False
    """The last received data held part of a body."""
    _framing_bytes = 0
    """Bytes since the last part of a body: chunk sizes, extensions and trailers."""
    _upgrade_offset: int | None = None
    """Offset in the last received data where the head of a request with an unsupported Upgrade ends."""
    _receive_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None
    _unread_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Close the connection at once where its address has too many."""
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
        """Cancel the timers, and count the connection as closed."""
        super().connection_lost(exc)
        self._cancel_receive_timer()
        self.resume_writing()
        self._release_connection()

    def data_received(self, data: bytes) -> None:
        """Parse received data; start the timer of an incomplete head."""
        self._request_ended = self._head_completed = self._body_received = False
        unparsed = data
        while unparsed:
            unparsed = self._feed_parser(unparsed)
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
        """Start a request."""
        self._request_ended = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Check the head of a request, and accept it."""
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
            # Trailers are dropped: a proxy in front of the server may not have checked them.
            self.headers = []

    def accept_request(self) -> None:
        """Start a request whose head is valid."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Receive part of a body."""
        self._body_received = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; the next data is the head of another."""
        if self._offers_unsupported_upgrade():
            return
        self._awaiting_head = self._request_ended = True
        self._cancel_receive_timer()
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            self._start_receive_timer(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        """End a response; limit the time for the rest of its request's body."""
        super().on_response_complete()
        if not self._awaiting_head:
            self._unset_keepalive_if_required()
            self._start_receive_timer(LATE_BODY_TIMEOUT_SECONDS)

    def pause_writing(self) -> None:
        """Start to check that the client reads."""
        super().pause_writing()
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._read_timer = self.loop.call_later(RESPONSE_READ_INTERVAL_SECONDS, self._check_read_progress)

    def resume_writing(self) -> None:
        """Stop checking: the client has read."""
        super().resume_writing()
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def handle_websocket_upgrade(self) -> None:
        """Become a WebSocket, which is still counted for its address."""
        super().handle_websocket_upgrade()
        websocket: Any = self.transport.get_protocol()
        websocket_connection_lost = websocket.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            websocket_connection_lost(exc)
            self._release_connection()

        websocket.connection_lost = connection_lost

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, even with unread data."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """Reject a request that cannot be parsed."""
        del msg
        self._reject(MALFORMED_REQUEST)

    def _offers_unsupported_upgrade(self) -> bool:
        """Whether a request has an Upgrade to a protocol that is not supported, as some clients always send."""
        return self.parser.should_upgrade() and not self._should_upgrade()

    def _unsupported_upgrade_warning(self) -> None:
        """Keep the offset at which the parser stopped, which expects no more HTTP after an Upgrade."""
        upgrade = sys.exc_info()[1]
        self._upgrade_offset = None if upgrade is None else int(upgrade.args[0])

    def _feed_parser(self, data: bytes) -> bytes:
        """Parse data; return the data to parse again, without an unsupported Upgrade."""
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
        """Close a connection whose data did not arrive in time."""
        self._receive_timer = None
        if self._head_bytes:
            self._reject(HEAD_TIMED_OUT)
        else:
            self.transport.close()

    def _check_read_progress(self) -> None:
        """Abort the connection where the client has read too little since the last check."""
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
        """Send the response, unless another is being sent, and close."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and cycle.more_body and not cycle.response_started and not self.pipeline:
            # The rest of its body will not arrive.
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
    response = responses.rejection_response(rejection)
    headers = [*response.raw_headers, (b"x-content-type-options", b"nosniff"), (b"connection", b"close")]
    line = b"HTTP/1.1 %d %b\r\n" % (rejection.status, HTTPStatus(rejection.status).phrase.encode())
    return line + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + response.body


_RESPONSE_BY_STATUS = {
    rejection.status: _response_bytes(rejection)
    for rejection in (HEAD_TOO_LARGE, HEAD_TIMED_OUT, TOO_MANY_CONNECTIONS, MALFORMED_REQUEST)
}
