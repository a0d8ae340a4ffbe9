"""Fixtures of the tests with a real primary, replica and PgBouncer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from graphql_api import migrate
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.settings import Settings
from tests.builders import Builders
from tests.cluster import clusters
from tests.worker.harnesses import UniqueBuilders

Connect = Callable[..., AbstractAsyncContextManager[Database]]


@pytest_asyncio.fixture(scope="session")
async def cluster() -> AsyncIterator[clusters.Cluster]:
    """The three servers, migrated; skips the tests if a program is missing."""
    if missing := clusters.find_missing_program():
        pytest.skip(missing)
    with clusters.running_cluster() as cluster:
        await migrate.upgrade(cluster.url(cluster.primary.port))
        cluster.wait_for_replay()
        yield cluster


@pytest.fixture
def healthy_cluster(cluster: clusters.Cluster) -> Iterator[clusters.Cluster]:
    """The cluster with every server running and without lag, before and after the test."""
    cluster.wait_for_replay()
    yield cluster
    for server in (cluster.primary, cluster.replica):
        if server.process is None:
            server.start()
    cluster.resume_replay()
    cluster.wait_for_streaming()


@pytest.fixture
def cluster_settings(healthy_cluster: clusters.Cluster, tmp_path: Path) -> Callable[..., Settings]:
    """Settings of the cluster: the primary, and bulk reads from the replica with the primary as fallback."""

    def build_settings(**changes: Any) -> Settings:
        values = {
            "environment": "test",
            "data_dir": tmp_path,
            "database_url": healthy_cluster.url(healthy_cluster.primary.port),
            "database_url_bulk": healthy_cluster.url(healthy_cluster.replica.port, healthy_cluster.primary.port),
            "secret_key": ["test-secret-key"],
            "dangerous_salt": "test-salt",
        }
        return Settings.model_validate(values | changes)

    return build_settings


@pytest.fixture
def connect(cluster_settings: Callable[..., Settings]) -> Connect:
    """A process's connections: `async with connect(setting=value) as database`."""

    @asynccontextmanager
    async def connected(**changes: Any) -> AsyncIterator[Database]:
        database = Database.connect(cluster_settings(**changes))
        try:
            yield database
        finally:
            await database.close()

    return connected


@pytest.fixture
def signer(cluster_settings: Callable[..., Settings]) -> Signer:
    """The signer of these settings."""
    settings = cluster_settings()
    return Signer(tuple(settings.secret_keys), settings.salt)


@pytest_asyncio.fixture
async def database(connect: Connect) -> AsyncIterator[Database]:
    """Connections by the unchanged settings."""
    async with connect() as database:
        yield database


@pytest_asyncio.fixture
async def make(database: Database, signer: Signer) -> Builders:
    """Builders of rows; names never repeat."""
    return UniqueBuilders(database, signer)
