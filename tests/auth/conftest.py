"""Fixtures of the tests of authentication."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.settings import Settings
from tests.jwt_builders import Authenticator

API_KEY_SECRET = "f75845b1-cd29-40c4-aeb6-7ddc42b9840d"
"""The secret of the test's API key."""


@pytest.fixture
def authenticator(database: Database, settings: Settings, signer: Signer) -> Authenticator:
    """Authentication with the test's database."""
    return Authenticator(database, settings, signer)


async def execute_sql(database: Database, statement: str, **values: Any) -> None:
    """Execute a statement without the models."""
    async with database.transaction() as tx:
        await tx.execute(text(statement), values)
