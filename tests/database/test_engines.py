"""Connections to the database, from their beginning."""

from __future__ import annotations

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from graphql_api.database.database import Database
from graphql_api.errors import Unavailable
from graphql_api.settings import Settings


@pytest.mark.parametrize("error", [asyncpg.InternalClientError("an unknown state"), asyncpg.InterfaceError("closed")])
async def test_a_connection_lost_while_it_is_opened_is_an_outage(
    error: Exception, database_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    async def fetchrow(*_: object) -> None:
        attempts.append(1)
        raise error

    hasty = {"database_url": SecretStr(database_url), "database_patience": 0.1}
    database = Database.connect(settings.model_copy(update=hasty))
    try:
        with monkeypatch.context() as patch:
            patch.setattr(asyncpg.Connection, "fetchrow", fetchrow)
            with pytest.raises(Unavailable):
                await database.read(lambda connection: connection.scalar(text("SELECT 1")))
            with pytest.raises(Unavailable):
                async with database.transaction() as tx:
                    await tx.execute(text("SELECT 1"))

        assert len(attempts) > 1
        assert await database.read(lambda connection: connection.scalar(text("SELECT 1"))) == 1
    finally:
        await database.close()
