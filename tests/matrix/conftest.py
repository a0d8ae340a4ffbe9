"""The tenants and callers of the matrix, created once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_api.auth.crypto import Signer
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings
from tests.matrix import ground_truth
from tests.matrix.ground_truth import GroundTruth
from tests.matrix.worlds import SharedConnectionDatabase, World, WorldBuilder


@pytest_asyncio.fixture(scope="module")
async def world(engine: AsyncEngine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Both tenants, shared by all tests that change nothing."""
    settings = Settings.model_validate(
        {
            "environment": "test",
            "data_dir": tmp_path_factory.mktemp("matrix"),
            "secret_key": ["matrix-secret-key"],
            "dangerous_salt": "matrix-salt",
        }
    )
    signer = Signer(tuple(settings.secret_keys), settings.salt)
    async with engine.connect() as connection:
        transaction = await connection.begin()
        yield await WorldBuilder(
            SharedConnectionDatabase(connection), settings, signer, Store.connect(settings)
        ).build()
        await transaction.rollback()


@pytest_asyncio.fixture(scope="module")
async def truth(world: World) -> GroundTruth:
    """All rows, as the platform reads them."""
    return await ground_truth.read_ground_truth(world)
