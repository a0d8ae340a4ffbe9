"""uvicorn's HTTP protocol, with load shedding and cancellation on disconnect."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from graphql_api.errors import Unavailable
from graphql_api.http import disconnects, responses
from graphql_api.server.slow_clients import COMPLETED_CYCLE, SlowClientProtection

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from graphql_api.limits.load_shedding import LoadShedder

EXEMPT_PATH_PREFIXES = (b"/_status", b"/metrics")
"""Paths that are never shed: operators need them under any load."""

_SHED_RESPONSE = responses.error_response(Unavailable("The server is overloaded: try again in a moment."))
SHED_RESPONSE_HEAD = b"HTTP/1.1 503 Service Unavailable\r\n" + b"".join(
    b"%b: %b\r\n" % header for header in (*_SHED_RESPONSE.raw_headers, (b"x-content-type-options", b"nosniff"))
)
_SHED_RESPONSE_BODY = b"\r\n" + _SHED_RESPONSE.body


class HTTPProtocol(SlowClientProtection):
    """One connection; a request over capacity is shed before it costs a task, routing or the application."""

    _load_shedder: LoadShedder | None = None
    _task: asyncio.Task[None] | None = None
    _receiving_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Read the load shedder of the application."""
        super().connection_made(transport)
        self._load_shedder = self.app_state.get("load_shedder")

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel a request that only reads."""
        cycle, task = self.cycle, self._task
        super().connection_lost(exc)
        self._finish_receiving_body()
        if task is None or task.done() or cycle is None or cycle.response_complete:
            return
        disconnects.cancel(cast("dict[str, Any]", cycle.scope), task)

    def data_received(self, data: bytes) -> None:
        """Exclude a request from the load until its body has arrived."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return
        if cycle.more_body and not self._receiving_body and self._load_shedder:
            self._receiving_body = True
            self._load_shedder.excluded_requests += 1

    def accept_request(self) -> None:
        """Start a request, or shed it."""
        load_shedder = self._load_shedder
        if load_shedder is None or (self.parser.should_upgrade() and self._should_upgrade()):
            super().accept_request()
            return
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and load_shedder.is_full(len(self.tasks)) and not self.url.startswith(EXEMPT_PATH_PREFIXES):
            self._shed(load_shedder)
            return
        super().accept_request()
        if load_shedder.shutting_down:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Count the request once its body has arrived."""
        super().on_message_complete()
        self._finish_receiving_body()

    def on_response_complete(self) -> None:
        """Count the response."""
        self._finish_receiving_body()
        if self._load_shedder:
            self._load_shedder.completed_requests += 1
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        self._task = self.loop.create_task(self._run_cycle(cycle, app))
        self.tasks.add(self._task)

    async def _run_cycle(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:
        try:
            await cycle.run_asgi(app)  # type: ignore[arg-type]
        finally:
            # A done-callback runs later: a client that sends its next request at once would be counted twice.
            self.tasks.discard(asyncio.current_task())

    def _shed(self, load_shedder: LoadShedder) -> None:
        load_shedder.shed_requests += 1
        self.cycle = COMPLETED_CYCLE
        closing = load_shedder.shutting_down or self.expect_100_continue or not self.parser.should_keep_alive()
        origin = next((value for name, value in self.headers if name == b"origin"), b"")
        self.transport.write(
            SHED_RESPONSE_HEAD
            + (b"access-control-allow-origin: %b\r\n" % origin if origin in load_shedder.cors_origins else b"")
            + (b"connection: close\r\n" if closing else b"")
            + _SHED_RESPONSE_BODY
        )
        if closing:
            self.transport.close()
        else:
            super().on_response_complete()

    def _finish_receiving_body(self) -> None:
        if self._receiving_body and self._load_shedder:
            self._receiving_body = False
            self._load_shedder.excluded_requests -= 1
