"""Fixtures for tests of open connections: a database that commits, and servers on it."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from graphql_api import app, models
from graphql_api.auth import authentication
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.http.executor import Executor
from tests.app_server import serve_app
from tests.worker.harnesses import WorkerHarness, harness, worker_url

__all__ = ["harness", "worker_url"]


@dataclass
class RunningServer:
    """A server of this process."""

    address: str
    executor: Executor
    """The executor that it uses."""


@asynccontextmanager
async def running_server(harness: WorkerHarness, **settings: Any) -> AsyncIterator[RunningServer]:
    """A server with its own database connections."""
    changed = harness.settings.model_copy(update=settings)
    application = app.create(changed)
    async with serve_app(application) as address:
        yield RunningServer(address, application._app.state.executor)  # type: ignore[attr-defined]  # noqa: SLF001


@pytest_asyncio.fixture
async def server(harness: WorkerHarness) -> AsyncIterator[RunningServer]:
    """A server on a database that commits, and so notifies."""
    async with running_server(harness) as served:
        yield served


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each check of the callers with open connections: whether it found one whose access has ended."""
    results: list[bool] = []
    find_ended_identities = authentication.find_ended_identities

    async def record_check(actors: Iterable[Actor], *, database: Database) -> Any:
        number = len(results)
        results.append(False)
        ended = await find_ended_identities(actors, database=database)
        results[number] = bool(ended)
        return ended

    monkeypatch.setattr(authentication, "find_ended_identities", record_check)
    return results


@dataclass
class Team:
    """A service, a template, and an API key of the service."""

    service: models.Service
    template: models.Template
    key: models.ApiKey
    token: str
    """The bearer token of the key."""


@pytest_asyncio.fixture
async def team(harness: WorkerHarness) -> Team:
    """A team whose rows are committed."""
    make, secret = harness.make, str(uuid4())
    service = await make.service()
    key = await make.api_key(service, secret=secret)
    return Team(service, await make.template(service), key, f"key-{service.id}-{secret}")
