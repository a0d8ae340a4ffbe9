"""A database that GOV.UK Notify itself wrote, restored, with our tables added.

Skipped without `NOTIFY_DUMP`, the path of a `pg_dump` in custom format whose secrets are the ones below.
"""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from graphql_api import migrate, postgres
from graphql_api.auth.authentication import authenticate
from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings
from schema import schema
from tests.models.databases import scratch_database

DUMP_PATH = os.environ.get("NOTIFY_DUMP")
needs_dump = pytest.mark.skipif(not DUMP_PATH, reason="NOTIFY_DUMP names no dump of a Notify database")


@dataclass
class RestoredDump:
    """The restored database, and queries of it."""

    database: Database
    settings: Settings
    signer: Signer
    store: Store

    async def ask(self, document: str, token: str, person: str | None = None, **variables: Any) -> dict[str, Any]:
        """Run a query with a token; asserts that there are no errors."""
        actor = await authenticate(token, person, database=self.database, settings=self.settings, signer=self.signer)
        context = Context(actor, self.database, self.settings, self.signer, self.store)
        result: Any = await schema.execute(document, variable_values=variables, context_value=context)
        assert not result.errors, result.errors
        data: dict[str, Any] = result.data
        return data

    async def rows(self, statement: str) -> list[Any]:
        """Rows as stored."""
        async with self.database.read_connection() as connection:
            return list((await connection.execute(text(statement))).all())


@pytest_asyncio.fixture(scope="module")
async def notify(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RestoredDump]:
    """The dump, restored, with our tables added."""
    async with scratch_database(postgres_url) as url:
        restore = [
            str(postgres.find_binaries() / "pg_restore"),
            "--no-owner",
            "--dbname",
            url,
            str(Path(DUMP_PATH or "")),
        ]
        await asyncio.to_thread(subprocess.run, restore, check=True, capture_output=True)
        await migrate.upgrade(url)
        settings = Settings.model_validate(
            {
                "environment": "test",
                "data_dir": tmp_path_factory.mktemp("data"),
                "database_url": url,
                "secret_key": "dev-notify-secret-key",
                "dangerous_salt": "dev-notify-salt",
                "internal_client_api_keys": {"notify-admin": ["dev-notify-secret-key"]},
            }
        )
        database = Database.connect(settings)
        signer = Signer(tuple(settings.secret_keys), settings.salt)
        yield RestoredDump(database, settings, signer, Store.connect(settings))
        await database.close()
