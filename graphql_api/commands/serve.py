"""The server process: a socket to listen on, and uvicorn."""

from __future__ import annotations

import errno
import os
import signal
import socket
import tempfile
import time
from typing import TYPE_CHECKING

import structlog
import uvicorn
from uvicorn.supervisors import Multiprocess, multiprocess

from graphql_api.errors import CommandError
from graphql_api.observability import logs
from graphql_api.server.http_protocol import HTTPProtocol
from graphql_api.server.websocket_protocol import WebSocketProtocol
from graphql_api.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from starlette.types import ASGIApp

    from graphql_api.http.open_connections import ConnectionRegistry
    from graphql_api.limits.load_shedding import LoadShedder

MAX_WEBSOCKET_MESSAGE_BYTES = 65_536
SHUTDOWN_TIMEOUT_SECONDS = 10
"""Seconds in which requests may end after the server has stopped accepting."""
KEEP_ALIVE_TIMEOUT_SECONDS = 65
"""Seconds that an idle connection stays open: longer than load balancers keep theirs."""
LISTEN_BACKLOG = 2_048
APP_FACTORY = "graphql_api.commands.serve:create_app"
log = structlog.get_logger(__name__)


def create_app(*, planner: bool = True) -> ASGIApp:
    """Configure the process's logs and build the application."""
    from graphql_api import app  # noqa: PLC0415 - building the schema takes long: an error of the port comes first

    settings = Settings()
    logs.configure(readable=settings.is_development)
    return app.create(settings, planner=planner)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises CommandError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the socket names its protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(LISTEN_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CommandError(
                f"Port {port} of {host} is in use: stop the process that listens there, or set another PORT."
            ) from error
        reason = error.strerror or str(error)
        raise CommandError(f"The server cannot listen on {host}, port {port} ({reason}).") from error
    except OverflowError as error:
        listener.close()
        raise CommandError("PORT must be between 0 and 65535.") from error
    listener.set_inheritable(True)
    return listener


def uvicorn_config(app_factory: str | Callable[[], ASGIApp] = APP_FACTORY, *, workers: int = 1) -> uvicorn.Config:
    """Configure uvicorn; several workers need the factory's name, as `module:function`."""
    return uvicorn.Config(
        app_factory,
        factory=True,
        workers=workers,
        lifespan="on",
        http=HTTPProtocol,
        ws=WebSocketProtocol,
        ws_max_size=MAX_WEBSOCKET_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_TIMEOUT_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_SECONDS,
    )


def serve(listener: socket.socket, *, workers: int, app_factory: str = APP_FACTORY) -> None:
    """Serve until SIGTERM or SIGINT, in this process or in several."""
    config = uvicorn_config(app_factory, workers=workers)
    if workers == 1:
        DrainingServer(config).run(sockets=[listener])
        return
    with tempfile.TemporaryDirectory(prefix="notify-graphql-metrics-") as folder:
        # The folder in which the processes share their metrics.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        multiprocess.Process = ServerProcess  # type: ignore[misc]  # uvicorn has no setting for it
        Multiprocess(config, sockets=[listener]).run()


class DrainingServer(uvicorn.Server):
    """A server that drains: after SIGTERM `/_status` is 503, then it stops accepting and ends running requests."""

    _exits_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and log the addresses."""
        await super().startup(sockets)
        for listener in sockets or ():
            host, port, *_ = listener.getsockname()
            log.info("listening", host=host, port=port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal: the first SIGTERM starts draining, any other signal stops accepting at once."""
        if sig != signal.SIGTERM or self._exits_at is not None:
            super().handle_exit(sig, frame)
            return
        notice_seconds = 0.0
        if self._load_shedder is not None:
            self._load_shedder.shutting_down = True
            notice_seconds = self._load_shedder.shutdown_notice_seconds
        self._exits_at = time.monotonic() + notice_seconds

    async def on_tick(self, counter: int) -> bool:
        """Return whether to stop accepting."""
        if self._exits_at is not None and time.monotonic() >= self._exits_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, close open connections, and end."""
        if self._load_shedder is not None:
            self._load_shedder.shutting_down = True
            connections: ConnectionRegistry = self.lifespan.state["connection_registry"]
            await connections.drain(SHUTDOWN_TIMEOUT_SECONDS / 2)
        await super().shutdown(sockets)

    @property
    def _load_shedder(self) -> LoadShedder | None:
        return self.lifespan.state.get("load_shedder") if self.started else None


class ServerProcess(multiprocess.Process):
    """One of several server processes."""

    @property
    def server(self) -> DrainingServer:
        """The server of this process."""
        if self._server is None:
            self._server = DrainingServer(self.config)
        return self._server  # type: ignore[return-value]
