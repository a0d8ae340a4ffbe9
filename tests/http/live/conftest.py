"""What tests of connections that stay open need: a database that keeps what is written, and servers on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest_asyncio

from graphql_api import app, models
from graphql_api.http.executor import Server
from tests.app_server import serving_app
from tests.worker.harnesses import Rig, rig, worker_url

__all__ = ["rig", "worker_url"]


@dataclass
class Served:
    """A server of this process."""

    address: str
    server: Server
    """What it answers with."""


@asynccontextmanager
async def serving(rig: Rig, **settings: Any) -> AsyncIterator[Served]:
    """A server with connections of its own."""
    changed = rig.settings.model_copy(update=settings)
    application = app.create(changed)
    async with serving_app(application) as address:
        yield Served(address, application._app.state.server)  # type: ignore[attr-defined]  # noqa: SLF001


@pytest_asyncio.fixture
async def served(rig: Rig) -> AsyncIterator[Served]:
    """A server whose changes are kept, and so heard of."""
    async with serving(rig) as served:
        yield served


@dataclass
class Team:
    """A service, a template, and a key that sees both."""

    service: models.Service
    template: models.Template
    key: models.ApiKey
    token: str
    """The key as a client sends it."""


@pytest_asyncio.fixture
async def team(rig: Rig) -> Team:
    """One that exists in the database."""
    make, secret = rig.make, str(uuid4())
    service = await make.service()
    key = await make.api_key(service, secret=secret)
    return Team(service, await make.template(service), key, f"key-{service.id}-{secret}")
