"""uvicorn's WebSocket protocol; it aborts a connection whose client does not read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGISendEvent

WRITE_STALL_TIMEOUT_SECONDS = 10.0
"""Seconds for which a client may leave sent data unread."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection."""

    _abort_timer: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """Abort the connection after some seconds; closing it would wait for the client, too."""
        super().pause_writing()
        self._abort_timer = self.loop.call_later(WRITE_STALL_TIMEOUT_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Cancel the abort."""
        self._cancel_abort()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the abort."""
        self._cancel_abort()
        super().connection_lost(exc)

    async def send(self, message: ASGISendEvent) -> None:
        """Send a message; mark a rejected handshake as complete, or uvicorn would log an error."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True

    def _cancel_abort(self) -> None:
        if self._abort_timer is not None:
            self._abort_timer.cancel()
            self._abort_timer = None
