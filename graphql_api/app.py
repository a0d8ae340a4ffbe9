"""The ASGI application: routes, what every request and answer has, start and end. Everything meets here."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.database.listen import Events
from graphql_api.errors import Refusal, Unavailable
from graphql_api.gateways.object_store import Store
from graphql_api.http import explorer, responses, status, uploads
from graphql_api.http.api_key_usage import Usage
from graphql_api.http.endpoint import Endpoint
from graphql_api.http.executor import ACTING_USER, Server
from graphql_api.http.open_connections import Live
from graphql_api.http.persisted_documents import Persisted
from graphql_api.http.rejections import Rejected
from graphql_api.http.requests import PREFLIGHTED
from graphql_api.http.websockets import Sockets
from graphql_api.limits.load_shedding import Pressure, abandoned
from graphql_api.limits.rate_limiter import Rates
from graphql_api.observability import error_masking
from graphql_api.observability.metrics import Metrics
from graphql_api.observability.operation_stats import Tally
from graphql_api.planner import Planner
from graphql_api.server.slow_clients import Gate
from graphql_api.settings import Settings
from schema import schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CORS_SECONDS = 600
WRITTEN_EVERY = 2.0
"""Seconds for which counts may stay in memory."""
YEAR = 31_536_000
BAD = 400
"""The first status of a request that was refused."""
LEAVING = "The server is being stopped: try again."
GONE = 499
"""What is counted, as proxies do, where the client closed the connection before an answer."""
SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers of every answer that does not set its own."""


def create(settings: Settings | None = None, *, database: Database | None = None, store: Store | None = None) -> Shell:
    """The application by the settings, which are the environment's unless given.

    Raises ValueError where a setting is missing; a database that is away is found out by the requests.
    """
    settings = settings or Settings()
    signer = Signer(tuple(settings.secret_keys), settings.salt)
    database = database or Database.connect(settings)
    metrics = Metrics(database)
    usage = Usage(database)
    pressure = Pressure.of(settings, database)
    store, persisted, rates = store or Store.connect(settings), Persisted.of(settings), Rates.of(settings)
    events, live = Events(settings.listen_url), Live(database, settings)
    server = Server(schema, database, settings, signer, store, metrics, usage, pressure, persisted, rates, events, live)
    planner = Planner.of(schema, database, settings)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[Mapping[str, object]]:
        # What is there now stays; the collector need not walk it at each growing answer.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        ending = asyncio.Event()
        writing = asyncio.create_task(_write_down(metrics, usage, pressure, ending))
        yield {"pressure": pressure, "live": live, "gate": Gate(settings, metrics)}
        ending.set()
        await writing
        await events.close()
        await live.close()
        await usage.close()
        await planner.close()
        await rates.close()
        await database.close()

    middleware = []
    if settings.cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["content-type", ACTING_USER, *PREFLIGHTED],
                expose_headers=["retry-after", "x-request-id"],
                max_age=CORS_SECONDS,
            )
        )
    endpoint = Endpoint(server, planner)
    app = Starlette(
        routes=_routes(server, endpoint),
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={HTTPException: _plain, Exception: _broken},
    )
    app.router.redirect_slashes = False
    app.state.server = server
    app.state.figures = status.Figures(database)
    return Shell(app, settings, metrics, pressure, {"/graphql": endpoint})


async def _write_down(metrics: Metrics, usage: Usage, pressure: Pressure, ending: asyncio.Event) -> None:
    """Write down what has been counted, every few seconds, and at the end."""
    while not ending.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), WRITTEN_EVERY)
        try:
            metrics.rejected(503, pressure.turned_away)
            pressure.turned_away = 0
            metrics.refresh()
            await usage.flush()
        except Exception as fault:  # noqa: BLE001 - what is counted next must be written down all the same
            error_masking.fault(fault)


def _routes(server: Server, endpoint: Endpoint) -> list[BaseRoute]:
    routes: list[BaseRoute] = [
        Route("/graphql", endpoint),
        WebSocketRoute("/graphql", Sockets(server)),
        Route("/uploads", _uploads, methods=["POST"]),
        Route("/_status", status.status, methods=["GET", "POST"]),
        Route("/_status/live-service-and-organisation-counts", status.live_counts, methods=["GET"]),
        Route("/metrics", status.metrics, methods=["GET"]),
    ]
    if server.settings.development:
        routes += [Route("/", explorer.page, methods=["GET"]), Mount("/assets", explorer.assets())]
    return routes


async def _uploads(request: Request) -> Response:
    server: Server = request.app.state.server
    try:
        actor = await server.actor_of(request.headers, request.scope)
    except Refusal as refusal:
        return responses.refuse(refusal)
    since = time.perf_counter()
    response = await uploads.receive(
        request, actor=actor, database=server.database, store=server.store, settings=server.settings
    )
    if actor.api_key_id:
        failed, seconds = response.status_code >= BAD, time.perf_counter() - since
        server.usage.called(actor.api_key_id, failed=failed, seconds=seconds, told=Tally())
    return response


async def _plain(request: Request, error: Exception) -> Response:
    """An address or a method that is not there."""
    del request
    if not isinstance(error, HTTPException):
        raise error
    headers = {name.replace("-", "_"): value for name, value in (error.headers or {}).items()}
    code = {401: "UNAUTHENTICATED", 404: "NOT_FOUND"}.get(error.status_code, "BAD_REQUEST")
    return responses.reject(Rejected(error.status_code, error.detail, code=code, **headers))


async def _broken(request: Request, error: Exception) -> Response:
    """A fault, which the shell logs."""
    del request, error
    return _apology(structlog.contextvars.get_contextvars()["request_id"])


def _apology(request_id: str) -> Response:
    extensions = {"code": error_masking.INTERNAL, "requestId": request_id}
    return responses.respond({"errors": [{"message": error_masking.APOLOGY, "extensions": extensions}]}, 500)


class Shell:
    """Around every request: an id, the headers that protect a browser, and an answer that tells nothing of a fault."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        metrics: Metrics,
        pressure: Pressure,
        shortcuts: Mapping[str, ASGIApp] | None = None,
    ) -> None:
        """Stand around an application; what it has at some paths is asked without it, unless by a page elsewhere."""
        self._app = app
        self._shortcuts = shortcuts or {}
        self._metrics = metrics
        self._pressure = pressure
        headers = dict(SECURITY)
        if settings.environment == "production":
            headers["strict-transport-security"] = f"max-age={YEAR}"
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._stay(scope, receive, send)
            return
        request_id = error_masking.new_id()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        since = time.perf_counter()
        status = 0

        async def protected(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                given = {name for name, _ in headers}
                message["headers"] = [
                    *headers,
                    (b"x-request-id", request_id.encode()),
                    *(header for header in self._headers if header[0] not in given),
                ]
            await send(message)

        app = self._shortcuts.get(scope["path"])
        if app is None or any(name == b"origin" for name, _ in scope["headers"]):
            app = self._app
        try:
            await app(scope, receive, protected)
        except asyncio.CancelledError:
            if not self._pressure.leaving and not abandoned(scope):
                raise
            if not status and not abandoned(scope):
                # The time that requests have to end is over.
                await responses.refuse(Unavailable(LEAVING))(scope, receive, protected)
        except Exception as fault:  # noqa: BLE001 - the last place where it can be caught
            error_masking.fault(fault)
            if not status:
                await _apology(request_id)(scope, receive, protected)
        finally:
            # Nothing was answered to whoever was gone before.
            self._metrics.responded(scope["path"], scope["method"], status or GONE, time.perf_counter() - since)

    async def _stay(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep up a WebSocket, which is no work by itself; or the life of the application."""
        sockets = scope["type"] == "websocket"
        self._pressure.aside += sockets
        try:
            await self._app(scope, receive, send)
        finally:
            self._pressure.aside -= sockets
