"""Making jobs as the schema does it, and a look at what is there."""

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
    """Makes jobs as the schema does, and looks at what is there."""

    def __init__(self, database: Database, store: Store, folder: Path) -> None:
        self.database = database
        self.store = store
        self.folder = folder

    async def create(self, actor: Actor, template: models.Template, source: Any = None, **arguments: Any) -> models.Job:
        given: dict[str, Any] = {"service_id": template.service_id} | arguments
        asked = jobs.JobRequest(template_id=template.id, source=source or csv_source(VALID_CSV), **given)
        return await jobs.create(self.database.transaction, actor, self.store, asked)

    async def expect_error(
        self, actor: Actor, template: models.Template, source: Any = None, **arguments: Any
    ) -> DomainError:
        """The refusal of a job, which leaves nothing behind."""
        before = await self.row_counts(), self.stored_files()
        with pytest.raises(DomainError) as refusal:
            await self.create(actor, template, source, **arguments)
        assert (await self.row_counts(), self.stored_files()) == before
        return refusal.value

    async def check(self, actor: Actor, template: models.Template, source: Any = None) -> recipients.RecipientCheck:
        before = await self.row_counts(), self.stored_files()
        found = await recipients.check(
            self.database.transaction,
            actor,
            self.store,
            service_id=template.service_id,
            template_id=template.id,
            source=source or csv_source(VALID_CSV),
        )
        assert (await self.row_counts(), self.stored_files()) == before
        return found

    async def row_counts(self) -> list[int]:
        """How many rows the tables have that a job writes to, buckets of tokens aside."""
        tables = ("jobs", "job_runs", "pgqueuer", "idempotency_keys", "daily_usage", "notifications")
        async with self.database.read_connection() as connection:
            return [(await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() for table in tables]

    def stored_files(self) -> list[str]:
        """Files in the object store."""
        objects = self.folder / "objects"
        return sorted(str(path.relative_to(objects)) for path in objects.rglob("*") if path.is_file())

    async def queued_tasks(self) -> list[tuple[str, str, timedelta]]:
        """What the worker is asked to do, and how long after the asking."""
        statement = "SELECT entrypoint, payload, execute_after - created AS wait FROM pgqueuer ORDER BY id"
        async with self.database.read_connection() as connection:
            rows = await connection.execute(text(statement))
            return [(row.entrypoint, row.payload.decode(), row.wait) for row in rows]

    async def load_run(self, job: models.Job) -> models.JobRun:
        async with self.database.transaction() as tx:
            return await tx.get_one(models.JobRun, job.id)
