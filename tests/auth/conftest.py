"""What tests of tokens share."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.settings import Settings
from tests.jwt_builders import Authenticator

API_KEY_SECRET = "f75845b1-cd29-40c4-aeb6-7ddc42b9840d"
"""Of a key whose token is known."""


@pytest.fixture
def authenticator(database: Database, settings: Settings, signer: Signer) -> Authenticator:
    """The door of the test's database."""
    return Authenticator(database, settings, signer)


async def execute_sql(database: Database, statement: str, **values: Any) -> None:
    """Change rows past the models."""
    async with database.transaction() as tx:
        await tx.execute(text(statement), values)
