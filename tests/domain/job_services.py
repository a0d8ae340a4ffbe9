"""A service that creates jobs as the schema does, and reads what was written."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.domain import jobs, recipients
from graphql_api.errors import (
    DomainError,
)
from graphql_api.gateways.object_store import Store

VALID_CSV = "phone number,name\n07700900001,Zoë\n07700900002,Åsa 🎉\n"


def csv_source(content: str, file_name: str = "people.csv") -> dict[str, Any]:
    return {"csv": {"file_name": file_name, "content": content}}


class JobService:
    """Creates and checks jobs as the schema does, and reads what was written."""

    def __init__(self, database: Database, store: Store, folder: Path) -> None:
        self.database = database
        self.store = store
        self.folder = folder

    async def create(self, actor: Actor, template: models.Template, source: Any = None, **arguments: Any) -> models.Job:
        values: dict[str, Any] = {"service_id": template.service_id} | arguments
        request = jobs.JobRequest(template_id=template.id, source=source or csv_source(VALID_CSV), **values)
        return await jobs.create(self.database.transaction, actor, self.store, request)

    async def expect_error(
        self, actor: Actor, template: models.Template, source: Any = None, **arguments: Any
    ) -> DomainError:
        """The error of a call that writes nothing."""
        before = await self.row_counts(), self.stored_files()
        with pytest.raises(DomainError) as raised:
            await self.create(actor, template, source, **arguments)
        assert (await self.row_counts(), self.stored_files()) == before
        return raised.value

    async def check(self, actor: Actor, template: models.Template, source: Any = None) -> recipients.RecipientCheck:
        before = await self.row_counts(), self.stored_files()
        result = await recipients.check(
            self.database.transaction,
            actor,
            self.store,
            service_id=template.service_id,
            template_id=template.id,
            source=source or csv_source(VALID_CSV),
        )
        assert (await self.row_counts(), self.stored_files()) == before
        return result

    async def row_counts(self) -> list[int]:
        """Row counts of the tables that a job writes to, except token buckets."""
        tables = ("jobs", "job_runs", "pgqueuer", "idempotency_keys", "daily_usage", "notifications")
        async with self.database.read_connection() as connection:
            return [(await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() for table in tables]

    def stored_files(self) -> list[str]:
        """Paths in the object store."""
        objects = self.folder / "objects"
        return sorted(str(path.relative_to(objects)) for path in objects.rglob("*") if path.is_file())

    async def queued_tasks(self) -> list[tuple[str, str, timedelta]]:
        """Queued tasks: name, payload, and delay."""
        statement = "SELECT entrypoint, payload, execute_after - created AS wait FROM pgqueuer ORDER BY id"
        async with self.database.read_connection() as connection:
            rows = await connection.execute(text(statement))
            return [(row.entrypoint, row.payload.decode(), row.wait) for row in rows]

    async def load_run(self, job: models.Job) -> models.JobRun:
        async with self.database.transaction() as tx:
            return await tx.get_one(models.JobRun, job.id)
