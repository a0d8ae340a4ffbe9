"""The server process: a socket to listen on, and uvicorn as we want it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import tempfile
import time
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn
from uvicorn.supervisors import Multiprocess, multiprocess

from graphql_api.errors import Complaint
from graphql_api.observability import logs
from graphql_api.server.http_protocol import Connection
from graphql_api.server.websocket_protocol import Frames
from graphql_api.settings import Settings

if TYPE_CHECKING:
    from types import FrameType

    from starlette.types import ASGIApp

    from graphql_api.http.open_connections import Live
    from graphql_api.limits.load_shedding import Pressure

LONGEST_FRAME = 65_536
"""Bytes of a WebSocket's frame."""
GRACE = 10
"""Seconds that requests have to end when the server is told to stop."""
KEEP_ALIVE = 65
"""Seconds that a silent connection stays open: longer than load balancers keep theirs."""
BACKLOG = 2_048
log = structlog.get_logger(__name__)


def from_environment() -> ASGIApp:
    """The application of a process of its own, which has its own logs."""
    from graphql_api import app  # noqa: PLC0415 - a port that is taken should be said before a schema is made

    settings = Settings()
    logs.configure(readable=settings.development)
    return app.create(settings)


def listen(host: str, port: int) -> socket.socket:
    """A socket on the address; raises `Complaint`, which tells what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once only where the protocol is told.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Complaint(
                f"Port {port} of {host} is taken: stop what listens there, or set PORT to another."
            ) from error
        why = error.strerror or str(error)
        raise Complaint(f"The server cannot listen on {host}, port {port} ({why}).") from error
    except OverflowError as error:
        listener.close()
        raise Complaint(f"PORT is {port}, which is none: it goes from 0 to 65535.") from error
    listener.set_inheritable(True)
    return listener


def configuration(
    *, workers: int = 1, application: Any = "graphql_api.commands.serve:from_environment"
) -> uvicorn.Config:
    """What uvicorn is told."""
    return uvicorn.Config(
        application,
        factory=isinstance(application, str),
        workers=workers,
        lifespan="on",
        http=Connection,
        ws=Frames,
        ws_max_size=LONGEST_FRAME,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )


def serve(listener: socket.socket, *, workers: int) -> None:
    """Serve until SIGTERM or SIGINT, in this process or in several."""
    config = configuration(workers=workers)
    if workers == 1:
        Server(config).run(sockets=[listener])
        return
    with tempfile.TemporaryDirectory(prefix="notify-graphql-metrics-") as folder:
        # Where they count together: read by `metrics` in each.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        multiprocess.Process = Worker  # type: ignore[misc]  # uvicorn has no setting for it
        Multiprocess(config, sockets=[listener]).run()


class Server(uvicorn.Server):
    """A server that is told to end in time: first it says so, then it takes no more, and ends what is under way."""

    _leaves_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say where."""
        await super().startup(sockets)
        for one in sockets or ():
            host, port, *_ = one.getsockname()
            log.info("listening", host=host, port=port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note a signal: the first SIGTERM lets whoever sends requests find another server, any other ends at once."""
        if sig != signal.SIGTERM or self._leaves_at is not None:
            super().handle_exit(sig, frame)
            return
        notice = 0.0
        if self._pressure is not None:
            self._pressure.leaving = True
            notice = self._pressure.notice
        self._leaves_at = time.monotonic() + notice

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to end."""
        if self._leaves_at is not None and time.monotonic() >= self._leaves_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, and end."""
        if self._pressure is not None:
            self._pressure.leaving = True
            live: Live = self.lifespan.state["live"]
            await live.drain(GRACE / 2)
        await super().shutdown(sockets)

    @property
    def _pressure(self) -> Pressure | None:
        return self.lifespan.state.get("pressure") if self.started else None


class Worker(multiprocess.Process):
    """One of several processes that serve."""

    @property
    def server(self) -> Server:
        """The server of this process."""
        if self._server is None:
            self._server = Server(self.config)
        return self._server  # type: ignore[return-value]
