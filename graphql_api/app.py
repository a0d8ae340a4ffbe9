"""The ASGI application: its parts, routes, middleware, start-up and shutdown."""

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
from graphql_api.database.listen import JobChanges
from graphql_api.errors import Unavailable, code_of_http_status
from graphql_api.gateways.object_store import Store
from graphql_api.http import disconnects, explorer, responses, status, uploads
from graphql_api.http.api_key_usage import ApiKeyUsageRecorder
from graphql_api.http.endpoint import Endpoint
from graphql_api.http.executor import ACTING_USER_HEADER, Executor
from graphql_api.http.open_connections import ConnectionRegistry
from graphql_api.http.persisted_documents import PersistedDocuments
from graphql_api.http.rejections import HTTPRejection
from graphql_api.http.requests import PREFLIGHT_HEADERS
from graphql_api.http.websockets import WebSocketEndpoint
from graphql_api.limits.load_shedding import LoadShedder
from graphql_api.limits.rate_limiter import RateLimiter
from graphql_api.observability import error_masking
from graphql_api.observability.metrics import Metrics
from graphql_api.planner import Planner
from graphql_api.server.slow_clients import ConnectionLimiter
from graphql_api.settings import Settings
from schema import schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CORS_MAX_AGE_SECONDS = 600
FLUSH_INTERVAL_SECONDS = 2.0
"""Seconds for which metrics and API key usage may stay in memory."""
HSTS_MAX_AGE_SECONDS = 31_536_000
SHUTDOWN_MESSAGE = "The server is being stopped: try again."
CLIENT_CLOSED_REQUEST_STATUS = 499
"""The status counted, as by proxies, where the client closed the connection before the response."""
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers of every response that does not set them itself."""


def create(
    settings: Settings | None = None,
    *,
    database: Database | None = None,
    store: Store | None = None,
    planner: bool = True,
) -> EnvelopeMiddleware:
    """Build the application; `settings` are read from the environment by default.

    `planner=False` leaves every operation to graphql-core. Raises ValueError for a missing setting; no connection to
    the database is opened before the first request.
    """
    settings = settings or Settings()
    database = database or Database.connect(settings)
    query_planner = Planner.of(schema, database, settings) if planner else None
    executor = Executor(
        schema=schema,
        database=database,
        settings=settings,
        signer=Signer(tuple(settings.secret_keys), settings.salt),
        store=store or Store.connect(settings),
        metrics=Metrics(database),
        api_key_usage=ApiKeyUsageRecorder(database),
        load_shedder=LoadShedder.from_settings(settings, database),
        persisted_documents=PersistedDocuments.from_settings(settings),
        rate_limiter=RateLimiter.from_settings(settings),
        job_changes=JobChanges(settings.listen_url),
        connection_registry=ConnectionRegistry(database, settings),
        planner=query_planner,
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[Mapping[str, object]]:
        # Objects made at start-up live as long as the process: the garbage collector need not traverse them.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        stop = asyncio.Event()
        flushing = asyncio.create_task(_flush_periodically(executor, stop))
        yield {
            "load_shedder": executor.load_shedder,
            "connection_registry": executor.connection_registry,
            "connection_limiter": ConnectionLimiter(settings, executor.metrics),
        }
        stop.set()
        await flushing
        await executor.job_changes.close()
        await executor.connection_registry.close()
        await executor.api_key_usage.close()
        if query_planner is not None:
            await query_planner.close()
        await executor.rate_limiter.close()
        await database.close()

    middleware = []
    if settings.cors_origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["content-type", ACTING_USER_HEADER, *PREFLIGHT_HEADERS],
                expose_headers=["retry-after", "x-request-id"],
                max_age=CORS_MAX_AGE_SECONDS,
            )
        )
    endpoint = Endpoint(executor)
    app = Starlette(
        routes=_routes(executor, endpoint),
        middleware=middleware,
        lifespan=lifespan,
        exception_handlers={HTTPException: _handle_http_exception, Exception: _handle_exception},
    )
    app.router.redirect_slashes = False
    app.state.executor = executor
    app.state.database_metrics = status.DatabaseMetrics(database)
    return EnvelopeMiddleware(app, settings, executor.metrics, executor.load_shedder, {"/graphql": endpoint})


async def _flush_periodically(executor: Executor, stop: asyncio.Event) -> None:
    """Write buffered metrics and API key usage every few seconds, and once more after `stop`."""
    metrics, load_shedder = executor.metrics, executor.load_shedder
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), FLUSH_INTERVAL_SECONDS)
        try:
            metrics.record_rejections(503, load_shedder.shed_requests)
            load_shedder.shed_requests = 0
            metrics.flush()
            await executor.api_key_usage.flush()
        except Exception as error:  # noqa: BLE001 - the next flush must still run
            error_masking.log_internal_error(error)


def _routes(executor: Executor, endpoint: Endpoint) -> list[BaseRoute]:
    routes: list[BaseRoute] = [
        Route("/graphql", endpoint),
        WebSocketRoute("/graphql", WebSocketEndpoint(executor)),
        Route("/uploads", uploads.receive, methods=["POST"]),
        Route("/_status", status.status, methods=["GET", "POST"]),
        Route("/_status/live-service-and-organisation-counts", status.live_counts, methods=["GET"]),
        Route("/metrics", status.metrics, methods=["GET"]),
    ]
    if executor.settings.is_development:
        routes += [Route("/", explorer.index_page, methods=["GET"]), Mount("/assets", explorer.assets())]
    return routes


async def _handle_http_exception(request: Request, error: Exception) -> Response:
    """Respond to an unknown path or a method that is not allowed."""
    del request
    if not isinstance(error, HTTPException):
        raise error
    headers = {name.replace("-", "_"): value for name, value in (error.headers or {}).items()}
    code = code_of_http_status(error.status_code)
    return responses.rejection_response(HTTPRejection(error.status_code, error.detail, code=code, **headers))


async def _handle_exception(request: Request, error: Exception) -> Response:
    """Respond to an internal error, which `EnvelopeMiddleware` logs."""
    del request, error
    return responses.internal_error_response(structlog.contextvars.get_contextvars()["request_id"])


class EnvelopeMiddleware:
    """Gives every request an id, every response its security headers, and internal errors a masked response."""

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        metrics: Metrics,
        load_shedder: LoadShedder,
        fast_routes: Mapping[str, ASGIApp] | None = None,
    ) -> None:
        """`fast_routes` are applications by path, called without the router, but not with an `Origin` header."""
        self._app = app
        self._fast_routes = fast_routes or {}
        self._metrics = metrics
        self._load_shedder = load_shedder
        headers = dict(SECURITY_HEADERS)
        if settings.environment == "production":
            headers["strict-transport-security"] = f"max-age={HSTS_MAX_AGE_SECONDS}"
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, WebSocket or lifespan."""
        if scope["type"] != "http":
            await self._pass_through(scope, receive, send)
            return
        request_id = error_masking.new_request_id()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started_at = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                names = {name for name, _ in headers}
                message["headers"] = [
                    *headers,
                    (b"x-request-id", request_id.encode()),
                    *(header for header in self._headers if header[0] not in names),
                ]
            await send(message)

        app = self._fast_routes.get(scope["path"])
        if app is None or any(name == b"origin" for name, _ in scope["headers"]):
            app = self._app
        try:
            await app(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            if not self._load_shedder.shutting_down and not disconnects.is_cancelled(scope):
                raise
            if not status and not disconnects.is_cancelled(scope):
                # The time for requests to end is over.
                await responses.error_response(Unavailable(SHUTDOWN_MESSAGE))(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001 - the last place where it can be caught
            error_masking.log_internal_error(error)
            if not status:
                await responses.internal_error_response(request_id)(scope, receive, send_with_headers)
        finally:
            self._metrics.record_response(
                scope["path"], scope["method"], status or CLIENT_CLOSED_REQUEST_STATUS, time.perf_counter() - started_at
            )

    async def _pass_through(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run a WebSocket, which takes no capacity while it is idle, or the lifespan."""
        is_websocket = scope["type"] == "websocket"
        self._load_shedder.excluded_requests += is_websocket
        try:
            await self._app(scope, receive, send)
        finally:
            self._load_shedder.excluded_requests -= is_websocket
