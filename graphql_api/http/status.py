"""The status endpoints: health, live counts, and metrics for Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from graphql_api.domain import health
from graphql_api.errors import RequestError
from graphql_api.http import requests, responses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client.core import Metric
    from sqlalchemy.ext.asyncio import AsyncConnection
    from starlette.requests import Request

    from graphql_api.database.database import Database
    from graphql_api.http.executor import Executor
    from graphql_api.settings import Settings

DATABASE_METRICS_CACHE_SECONDS = 5.0
PROMETHEUS_MEDIA_TYPE = "text/plain; version=1.0.0; charset=utf-8"
DATABASE_ERRORS = (RequestError, SQLAlchemyError, OSError)
DATABASE_UNAVAILABLE_MESSAGE = "The database is unavailable."


async def metrics(request: Request) -> Response:
    """Metrics for Prometheus, which sends `METRICS_TOKEN`."""
    executor: Executor = request.app.state.executor
    database_metrics: DatabaseMetrics = request.app.state.database_metrics
    _require_metrics_token(request, executor.settings)
    return Response(executor.metrics.render(await database_metrics.read()), media_type=PROMETHEUS_MEDIA_TYPE)


def _require_metrics_token(request: Request, settings: Settings) -> None:
    """Raise HTTPException: 404 where no token is set, except in development; 401 for a wrong token."""
    expected = settings.metrics_token
    if expected is None or not expected.get_secret_value():
        if settings.is_development:
            return
        raise HTTPException(404)
    try:
        token = requests.bearer_token(request.headers) or ""
    except RequestError:
        token = ""
    if not hmac.compare_digest(token.encode(errors="replace"), expected.get_secret_value().encode()):
        raise HTTPException(401, headers={"www-authenticate": "Bearer"})


class DatabaseMetrics:
    """Metrics of the whole service, read from the database; the same in every process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._cached: tuple[float, list[Metric]] | None = None

    async def read(self) -> list[Metric]:
        """The metrics, cached for some seconds; only `database_up` while the database is unavailable."""
        async with self._lock:
            if self._cached is None or time.monotonic() - self._cached[0] > DATABASE_METRICS_CACHE_SECONDS:
                self._cached = time.monotonic(), await self._collect()
            return self._cached[1]

    async def _collect(self) -> list[Metric]:
        up = GaugeMetricFamily("database_up", "1 while the database is available, else 0.")
        try:
            families = await self._database.read(_metric_families)
        except DATABASE_ERRORS:
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *families]


async def _metric_families(connection: AsyncConnection) -> list[Metric]:
    tasks = GaugeMetricFamily("queue_tasks", "Tasks in the queue.", labels=["task", "state"])
    oldest = GaugeMetricFamily(
        "queue_oldest_seconds", "Seconds for which the oldest waiting task has been due; 0 for none.", labels=["task"]
    )
    for queued in await health.queued_tasks(connection):
        for state in ("waiting", "later", "running", "held"):
            tasks.add_metric([queued.task, state], getattr(queued, state))
        oldest.add_metric([queued.task], queued.oldest_seconds or 0)
    runs = GaugeMetricFamily(
        "schedule_seconds_since_run", "Seconds since each scheduled task last ran.", labels=["schedule"]
    )
    for name, seconds in (await health.seconds_since_last_runs(connection)).items():
        runs.add_metric([name], seconds)
    messages = GaugeMetricFamily(
        "messages_last_hour",
        "Messages created within the last hour, by status.",
        labels=["channel", "status"],
    )
    for count in await health.recent_message_counts(connection):
        messages.add_metric([count.channel, count.status], count.messages)
    unsent = GaugeMetricFamily(
        "messages_oldest_unsent_seconds",
        "Age of the oldest message that is not yet handed to a provider; 0 for none.",
        labels=["channel"],
    )
    waiting = await health.oldest_unsent_seconds(connection)
    for channel in ("sms", "email"):
        unsent.add_metric([channel], waiting.get(channel, 0))
    return [tasks, oldest, runs, messages, unsent]


async def status(request: Request) -> Response:
    """What this process runs and its database's revision; 503 where no request should be sent to it.

    `?simple` leaves the database out.
    """
    executor: Executor = request.app.state.executor
    settings, database = executor.settings, executor.database
    if "simple" in request.query_params:
        return responses.json_response({"status": "ok"}, 200)
    body: dict[str, Any] = {
        "status": "ok",
        "git_commit": settings.git_commit,
        "build_time": settings.built_at,
        "db_version": None,
        "db_bulk_version": None,
    }
    if executor.load_shedder.shutting_down:
        return _unavailable("This process is being stopped.", body)
    try:
        body["db_version"] = await database.read(health.schema_revision)
    except DATABASE_ERRORS:
        return _unavailable(DATABASE_UNAVAILABLE_MESSAGE, body)
    if body["db_version"] is None:
        return _unavailable("The database has no tables of this API: migrate it (`./run migrate`).", body)
    with contextlib.suppress(*DATABASE_ERRORS):  # reads fall back to the primary while the replica is unavailable
        body["db_bulk_version"] = await database.read(health.schema_revision, bulk=True)
    return responses.json_response(body, 200)


async def live_counts(request: Request) -> Response:
    """How many services are live, and how many organisations have one."""
    executor: Executor = request.app.state.executor
    try:
        counts = await executor.database.read(health.live_counts, bulk=True)
    except DATABASE_ERRORS:
        return _unavailable(DATABASE_UNAVAILABLE_MESSAGE)
    return responses.json_response({"organisations": counts.organisations, "services": counts.services}, 200)


def _unavailable(message: str, body: Mapping[str, Any] | None = None) -> Response:
    return responses.json_response({**(body or {}), "status": "error", "message": message}, 503)
