"""Fixtures of the tests of compatibility with GOV.UK Notify."""

from __future__ import annotations

import pytest
import pytest_asyncio
from sqlalchemy import text

from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.settings import Settings
from tests.jwt_builders import Authenticator
from tests.notify.dumps import notify

__all__ = ["notify"]

CREATE_NOTIFY_VERSION_TABLE = "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)"
"""The table by which a database of Notify's own migrations is recognised."""


@pytest_asyncio.fixture
async def made_by_notify(database: Database) -> None:
    """Make the database look like one of Notify's own migrations."""
    async with database.transaction() as tx:
        await tx.execute(text(CREATE_NOTIFY_VERSION_TABLE))


@pytest_asyncio.fixture(params=[True, False], ids=["shared", "alone"])
async def shared(request: pytest.FixtureRequest, database: Database) -> bool:
    """Whether Notify shares the database."""
    if request.param:
        async with database.transaction() as tx:
            await tx.execute(text(CREATE_NOTIFY_VERSION_TABLE))
    return bool(request.param)


@pytest.fixture
def authenticator(database: Database, settings: Settings, signer: Signer) -> Authenticator:
    """The authenticator on the test's database."""
    return Authenticator(database, settings, signer)
