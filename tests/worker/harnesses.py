"""A separate database for tests of the worker, which commits and listens and is killed, and a harness to use it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import job_runs
from graphql_api.enums import Channel
from graphql_api.gateways import FakeGateway, Gateway, Gateways
from graphql_api.gateways.object_store import Store
from graphql_api.settings import Settings
from graphql_api.worker import run
from graphql_api.worker.context import WorkerContext
from tests.builders import Builders
from tests.models.databases import cloned
from tests.waiting import WAIT_TIMEOUT_SECONDS, never_idle_too_long

SYSTEM = Actor.system()


@pytest_asyncio.fixture(scope="session")
async def worker_url(postgres_url: str) -> AsyncIterator[str]:
    """The URL of a migrated database for workers, which is dropped at the end."""
    async with cloned(postgres_url) as url:
        yield url


@pytest_asyncio.fixture
async def harness(worker_url: str, tmp_path: Path) -> AsyncIterator[WorkerHarness]:
    """A harness with an empty queue."""
    settings = Settings.model_validate(
        {
            "environment": "test",
            "data_dir": tmp_path,
            "database_url": worker_url,
            # Statements of tests on whole tables can take long on a busy machine.
            "database_statement_timeout_ms": 120_000,
            "secret_key": ["test-secret-key"],
            "dangerous_salt": "test-salt",
            "fake_gateway_receipt_after": 0.1,
            "fake_gateway_log": tmp_path / "sent",
        }
    )
    database = Database.connect(settings)
    never_idle_too_long(database.primary)
    harness = WorkerHarness(
        settings, database, Signer(tuple(settings.secret_keys), settings.salt), Store.connect(settings)
    )
    await harness.execute("TRUNCATE pgqueuer, pgqueuer_log, deliveries")
    yield harness
    await database.close()


@dataclass
class WorkerHarness:
    """Database, object store and settings of a worker, with functions that prepare and read them."""

    settings: Settings
    database: Database
    signer: Signer
    store: Store

    @property
    def make(self) -> Builders:
        """Builders of rows; names never repeat."""
        return UniqueBuilders(self.database, self.signer)

    def worker_context(self, *, settings: Mapping[str, Any] | None = None, **gateways: Gateway) -> WorkerContext:
        """The context of tasks; gateways by channel name, the fake one for other channels."""
        changed_settings = self.settings.model_copy(update=dict(settings or {}))
        fake = FakeGateway(
            receipt_delay_seconds=changed_settings.fake_gateway_receipt_after,
            log_path=changed_settings.fake_gateway_log,
        )
        gateway_by_channel = {Channel[name.upper()]: gateway for name, gateway in gateways.items()}
        return WorkerContext(
            changed_settings, self.database, self.store, Gateways(gateway_by_channel, fake), self.signer
        )

    @asynccontextmanager
    async def run_worker(self, **changes: Any) -> AsyncIterator[asyncio.Event]:
        """A worker in this process, until the block ends or the event is set."""
        stop = asyncio.Event()
        running = asyncio.create_task(run(self.settings.model_copy(update=changes), stop=stop))
        try:
            yield stop
        finally:
            stop.set()
            await asyncio.wait_for(running, WAIT_TIMEOUT_SECONDS)

    async def create_job(
        self, template: models.Template, csv: str, *, rows: int, run: Mapping[str, Any] | None = None, **values: Any
    ) -> models.Job:
        """A job as `createJob` writes it: row, run, list and task."""
        job = await self.make.job(
            template, **{"job_status": "pending", "notification_count": rows, "processing_started": None} | values
        )
        await self.store.put(job_runs.list_path(job.service_id, job.id), csv.encode())
        async with self.database.transaction() as tx:
            tx.add(models.JobRun(job_id=job.id, **run or {}))
            await tx.flush()
            await job_runs.enqueue_run(tx, job.id, due=job.scheduled_for)
        return job

    async def create_unsent_messages(self, template: models.Template, count: int = 1, **values: Any) -> list[UUID]:
        """Messages in status CREATED, as a single send writes them, without a task."""
        return [
            (
                await self.make.notification(
                    template,
                    **{"status": "created", "billable_units": 0, "personalisation": {"name": "Jo", "thing": "bill"}}
                    | values,
                )
            ).id
            for _ in range(count)
        ]

    async def fetch_rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """The rows of a statement."""
        async with self.database.read_connection() as connection:
            return [dict(row) for row in (await connection.execute(text(statement), values)).mappings()]

    async def fetch_value(self, statement: str, **values: Any) -> Any:
        """The single value of a statement."""
        (row,) = await self.fetch_rows(statement, **values)
        (value,) = row.values()
        return value

    async def execute(self, statement: str, **values: Any) -> None:
        """Execute a statement in its own transaction."""
        async with self.database.transaction() as tx:
            await tx.execute(text(statement), values)

    async def fetch_notification(self, notification_id: UUID) -> dict[str, Any]:
        """A message, by column."""
        (row,) = await self.fetch_rows("SELECT * FROM notifications WHERE id = :id", id=notification_id)
        return row

    async def message_statuses(self, job_id: UUID) -> dict[str, int]:
        """Counts of a job's messages by status."""
        rows = await self.fetch_rows(
            "SELECT notification_status, count(*) AS n FROM notifications WHERE job_id = :id GROUP BY 1", id=job_id
        )
        return {row["notification_status"]: row["n"] for row in rows}

    async def job_status(self, job_id: UUID) -> str:
        """The status of a job."""
        return str(await self.fetch_value("SELECT job_status FROM jobs WHERE id = :id", id=job_id))

    async def queued_tasks(self) -> list[tuple[str, str]]:
        """Queued tasks: name and status."""
        rows = await self.fetch_rows("SELECT entrypoint, status::text FROM pgqueuer ORDER BY id")
        return [(row["entrypoint"], row["status"]) for row in rows]

    async def wait_until(
        self, condition: Callable[[], Awaitable[bool]], *, seconds: float = WAIT_TIMEOUT_SECONDS
    ) -> None:
        """Wait until the condition is true; raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            while not await condition():  # noqa: ASYNC110 - what it waits for is in the database
                await asyncio.sleep(0.05)

    def sent_ids(self) -> list[UUID]:
        """Ids of the messages that the fake gateway received, in order."""
        log = self.settings.fake_gateway_log
        assert log is not None
        with suppress(FileNotFoundError):
            return [UUID(line.split()[0]) for line in log.read_text().splitlines()]
        return []

    def process_environment(self) -> dict[str, str]:
        """Environment variables for a worker process."""
        settings = self.settings
        assert settings.database_url is not None
        return os.environ | {
            "ENVIRONMENT": "test",
            "DATA_DIR": str(settings.data_dir),
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "SECRET_KEY": "test-secret-key",
            "DANGEROUS_SALT": "test-salt",
            "FAKE_GATEWAY_LOG": str(settings.fake_gateway_log),
            "FAKE_GATEWAY_RECEIPT_AFTER": "0.1",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        }


class UniqueBuilders(Builders):
    """Builders of rows that are not rolled back, whose unique values are random."""

    async def user(self, **values: Any) -> models.User:
        """An active user."""
        return await super().user(**{"email_address": f"{uuid4()}@example.gov.uk"} | values)

    async def service(self, *, features: Iterable[str] = ("email", "sms", "letter"), **values: Any) -> models.Service:
        """A live service."""
        name = str(uuid4())
        return await super().service(features=features, **{"name": name, "normalised_service_name": name} | values)


def recipient_csv(count: int, *, first_number: int = 0) -> str:
    """A CSV list of `count` people with phone numbers and names."""
    return "phone number,name\n" + "".join(
        f"07{n + 700_000_000:09},Person {n}\n" for n in range(first_number, first_number + count)
    )
