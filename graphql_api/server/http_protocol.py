"""A connection of a client, as uvicorn has it: what turns requests away, and notices that somebody has left."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from graphql_api.errors import Unavailable
from graphql_api.http import responses
from graphql_api.limits.load_shedding import ABANDON, ABANDONED
from graphql_api.server.slow_clients import ANSWERED, Guarded

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from graphql_api.limits.load_shedding import Pressure

FREE = (b"/_status", b"/metrics")
"""Beginnings of the paths that answer under any pressure: whoever runs the service has to see it."""

_REFUSAL = responses.refuse(Unavailable("The server has too much to do: try again in a moment."))
TURNED_AWAY = b"HTTP/1.1 503 Service Unavailable\r\n" + b"".join(
    b"%b: %b\r\n" % header for header in (*_REFUSAL.raw_headers, (b"x-content-type-options", b"nosniff"))
)
_BODY = b"\r\n" + _REFUSAL.body


class Connection(Guarded):
    """One connection; requests beyond what the process takes on cost no task, no routing and no application."""

    _pressure: Pressure | None = None
    _task: asyncio.Task[None] | None = None
    _arriving = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(transport)
        self._pressure = self.app_state.get("pressure")

    def connection_lost(self, exc: Exception | None) -> None:
        """End; what was asked and only reads is broken off."""
        cycle, task = self.cycle, self._task
        super().connection_lost(exc)
        self._arrived()
        if task is None or task.done() or cycle is None or cycle.response_complete:
            return
        if cycle.scope.get(ABANDON):
            cycle.scope[ABANDONED] = True  # type: ignore[literal-required]
            task.cancel()

    def data_received(self, data: bytes) -> None:
        """Take what has come; a request whose body is still to come is nothing to do yet."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return
        if cycle.more_body and not self._arriving and self._pressure:
            self._arriving = True
            self._pressure.aside += 1

    def take(self) -> None:
        """Begin a request, or turn it away."""
        pressure = self._pressure
        if pressure is None or (self.parser.should_upgrade() and self._should_upgrade()):
            super().take()
            return
        free = self.cycle is None or self.cycle.response_complete
        if free and pressure.full(len(self.tasks)) and not self.url.startswith(FREE):
            self._turn_away(pressure)
            return
        super().take()
        if pressure.leaving:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """See that the body is there."""
        super().on_message_complete()
        self._arrived()

    def on_response_complete(self) -> None:
        """Count an answer."""
        self._arrived()
        if self._pressure:
            self._pressure.ended += 1
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        self._task = self.loop.create_task(self._run(cycle, app))
        self.tasks.add(self._task)

    async def _run(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:
        try:
            await cycle.run_asgi(app)  # type: ignore[arg-type]
        finally:
            # A callback would be called later: whoever asks again at once would be counted twice.
            self.tasks.discard(asyncio.current_task())

    def _turn_away(self, pressure: Pressure) -> None:
        pressure.turned_away += 1
        self.cycle = ANSWERED
        closing = pressure.leaving or self.expect_100_continue or not self.parser.should_keep_alive()
        origin = next((value for name, value in self.headers if name == b"origin"), b"")
        self.transport.write(
            TURNED_AWAY
            + (b"access-control-allow-origin: %b\r\n" % origin if origin in pressure.origins else b"")
            + (b"connection: close\r\n" if closing else b"")
            + _BODY
        )
        if closing:
            self.transport.close()
        else:
            super().on_response_complete()

    def _arrived(self) -> None:
        if self._arriving and self._pressure:
            self._arriving = False
            self._pressure.aside -= 1
