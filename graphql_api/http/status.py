"""What the people who run the service ask: whether it can do its work, and its figures."""

from __future__ import annotations

import asyncio
import hmac
import time
from typing import TYPE_CHECKING, Any

from prometheus_client.core import GaugeMetricFamily
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from graphql_api.domain import health
from graphql_api.errors import RequestError
from graphql_api.http import requests, responses

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from sqlalchemy.ext.asyncio import AsyncConnection
    from starlette.requests import Request

    from graphql_api.database.database import Database
    from graphql_api.http.executor import Executor
    from graphql_api.settings import Settings

DATABASE_METRICS_CACHE_SECONDS = 5.0
"""Seconds for which figures of the whole service are good, however many ask."""
PROMETHEUS_MEDIA_TYPE = "text/plain; version=1.0.0; charset=utf-8"


async def metrics(request: Request) -> Response:
    """Figures for Prometheus, for whoever has `METRICS_TOKEN`; there is nothing here for others."""
    executor: Executor = request.app.state.executor
    figures: DatabaseMetrics = request.app.state.figures
    _require_metrics_token(request, executor.settings)
    return Response(executor.metrics.render(await figures.read()), media_type=PROMETHEUS_MEDIA_TYPE)


def _require_metrics_token(request: Request, settings: Settings) -> None:
    """Raise HTTPException: 404 where nobody may ask, 401 for another token. On a developer's machine all may."""
    wanted = settings.metrics_token
    if wanted is None or not wanted.get_secret_value():
        if settings.is_development:
            return
        raise HTTPException(404)
    try:
        given = requests.bearer_token(request.headers) or ""
    except RequestError:
        given = ""
    if not hmac.compare_digest(given.encode(errors="replace"), wanted.get_secret_value().encode()):
        raise HTTPException(401, headers={"www-authenticate": "Bearer"})


class DatabaseMetrics:
    """Figures of the whole service, which are the same whichever process is asked."""

    def __init__(self, database: Database) -> None:
        """Read from this database."""
        self._database = database
        self._lock = asyncio.Lock()
        self._cached: tuple[float, list[Metric]] | None = None

    async def read(self) -> list[Metric]:
        """The figures of a moment ago; while the database is away, only that it is."""
        async with self._lock:
            if self._cached is None or time.monotonic() - self._cached[0] > DATABASE_METRICS_CACHE_SECONDS:
                self._cached = time.monotonic(), await self._collect()
            return self._cached[1]

    async def _collect(self) -> list[Metric]:
        up = GaugeMetricFamily("database_up", "Whether the database answers.")
        try:
            families = await self._database.read(_metric_families)
        except (RequestError, SQLAlchemyError, OSError):
            up.add_metric([], 0)
            return [up]
        up.add_metric([], 1)
        return [up, *families]


async def _metric_families(connection: AsyncConnection) -> list[Metric]:
    tasks = GaugeMetricFamily("queue_tasks", "Tasks in the queue.", labels=["task", "state"])
    oldest = GaugeMetricFamily(
        "queue_oldest_seconds", "How long the oldest waiting task has been due; 0 for none.", labels=["task"]
    )
    for one in await health.queued_tasks(connection):
        for state in ("waiting", "later", "running", "held"):
            tasks.add_metric([one.task, state], getattr(one, state))
        oldest.add_metric([one.task], one.oldest_seconds or 0)
    runs = GaugeMetricFamily(
        "schedule_seconds_since_run", "How long ago each scheduled task last ran.", labels=["schedule"]
    )
    for name, seconds in (await health.seconds_since_last_runs(connection)).items():
        runs.add_metric([name], seconds)
    messages = GaugeMetricFamily(
        "messages_last_hour",
        "Messages made within the last hour, by what became of them.",
        labels=["channel", "status"],
    )
    for count in await health.recent_message_counts(connection):
        messages.add_metric([count.channel, count.status], count.messages)
    unsent = GaugeMetricFamily(
        "messages_oldest_unsent_seconds",
        "How long the oldest message that nobody has handed over has waited; 0 for none.",
        labels=["channel"],
    )
    waiting = await health.oldest_unsent_seconds(connection)
    for channel in ("sms", "email"):
        unsent.add_metric([channel], waiting.get(channel, 0))
    return [tasks, oldest, runs, messages, unsent]


async def status(request: Request) -> Response:
    """What runs here, and with `?simple` no more; 503 where no request should be sent."""
    executor: Executor = request.app.state.executor
    settings = executor.settings
    if "simple" in request.query_params:
        return responses.json_response({"status": "ok"}, 200)
    told: dict[str, Any] = {
        "status": "ok",
        "git_commit": settings.git_commit,
        "build_time": settings.built_at,
        "db_version": None,
        "db_bulk_version": None,
    }
    if executor.load_shedder.shutting_down:
        return responses.json_response({**told, "status": "error", "message": "This process is being stopped."}, 503)
    try:
        told["db_version"] = await _database_revision(executor.database)
    except (RequestError, SQLAlchemyError, OSError):
        return responses.json_response({**told, "status": "error", "message": "The database is away."}, 503)
    if told["db_version"] is None:
        message = "The database has none of our tables yet: migrate it (`./run migrate`)."
        return responses.json_response({**told, "status": "error", "message": message}, 503)
    told["db_bulk_version"] = await _replica_revision(executor.database)
    return responses.json_response(told, 200)


async def live_counts(request: Request) -> Response:
    """How many services are live, and how many organisations have any."""
    executor: Executor = request.app.state.executor

    async def count(connection: AsyncConnection) -> Any:
        return (await connection.execute(_LIVE_COUNTS)).one()

    try:
        row = await executor.database.read(count, bulk=True)
    except (RequestError, SQLAlchemyError, OSError):
        return responses.json_response({"status": "error", "message": "The database is away."}, 503)
    return responses.json_response({"organisations": row.organisations, "services": row.services}, 200)


_LIVE_COUNTS = text(
    """
    SELECT count(*) AS services, count(DISTINCT service.organisation_id) FILTER (WHERE organisation.active)
        AS organisations
    FROM services AS service LEFT JOIN organisation ON organisation.id = service.organisation_id
    WHERE service.active AND NOT service.restricted AND service.count_as_live
    """
)


async def _database_revision(database: Database, *, bulk: bool = False) -> str | None:
    """The revision of the database's tables; None where our migrations have not been."""

    async def find(connection: AsyncConnection) -> str | None:
        there = await connection.scalar(text("SELECT to_regclass('graphql_api_version') IS NOT NULL"))
        return await connection.scalar(text("SELECT version_num FROM graphql_api_version")) if there else None

    return await database.read(find, bulk=bulk)


async def _replica_revision(database: Database) -> str | None:
    """The replica's, which may be a moment behind; None while it is away, for we do without it."""
    try:
        return await _database_revision(database, bulk=True)
    except (RequestError, SQLAlchemyError, OSError):
        return None
