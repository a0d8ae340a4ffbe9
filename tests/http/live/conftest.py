"""What tests of connections that stay open need: a database that keeps what is written, and servers on it."""

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
    """What it answers with."""


@asynccontextmanager
async def running_server(rig: WorkerHarness, **settings: Any) -> AsyncIterator[RunningServer]:
    """A server with connections of its own."""
    changed = rig.settings.model_copy(update=settings)
    application = app.create(changed)
    async with serve_app(application) as address:
        yield RunningServer(address, application._app.state.executor)  # type: ignore[attr-defined]  # noqa: SLF001


@pytest_asyncio.fixture
async def server(harness: WorkerHarness) -> AsyncIterator[RunningServer]:
    """A server whose changes are kept, and so heard of."""
    async with running_server(harness) as served:
        yield served


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each check of the callers with open connections: whether it found one whose access has ended."""
    found: list[bool] = []
    look = authentication.find_ended_identities

    async def noted(actors: Iterable[Actor], *, database: Database) -> Any:
        number = len(found)
        found.append(False)
        ended = await look(actors, database=database)
        found[number] = bool(ended)
        return ended

    monkeypatch.setattr(authentication, "find_ended_identities", noted)
    return found


@dataclass
class Team:
    """A service, a template, and a key that sees both."""

    service: models.Service
    template: models.Template
    key: models.ApiKey
    token: str
    """The key as a client sends it."""


@pytest_asyncio.fixture
async def team(harness: WorkerHarness) -> Team:
    """One that exists in the database."""
    make, secret = harness.make, str(uuid4())
    service = await make.service()
    key = await make.api_key(service, secret=secret)
    return Team(service, await make.template(service), key, f"key-{service.id}-{secret}")
