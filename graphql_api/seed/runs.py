"""A seed run: all rows but the messages are made first and written table by table; messages follow day by day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import asyncpg

from graphql_api import models
from graphql_api.billing import london_days
from graphql_api.seed import bulk_loads, facts, messages, organisations, schedules, services, templates
from graphql_api.seed.datasets import Dataset, Sizes, fixed_id
from graphql_api.seed.demo import Demo, SeedError, find_demo, hash_password
from graphql_api.seed.demo_jobs import DemoJobs

if TYPE_CHECKING:
    from datetime import datetime

    from graphql_api.auth.crypto import Signer
    from graphql_api.gateways.object_store import Store
    from graphql_api.seed.progress import ProgressCallback

DEFAULT_NOTIFICATIONS = 20_000
BULK_LOAD_MIN_NOTIFICATIONS = 50_000
"""Number of messages from which indexes are created after the rows."""
SEED_LOCK_ID = 0x5EED


async def seed(
    url: str,
    *,
    signer: Signer,
    notifications: int = DEFAULT_NOTIFICATIONS,
    history: int | None = None,
    now: datetime | None = None,
    store: Store | None = None,
    force: bool = False,
    progress: ProgressCallback | None = None,
) -> Demo:
    """Fill a database with demo data in one transaction; a demo that exists already is left as it is.

    `history` is the number of messages past their retention, by default half of `notifications`. The data end at `now`,
    in naive UTC; by default at one o'clock today in London, or at the present if that is earlier, so that two runs of a
    day are equal. With a `store`, a worker can continue the jobs that are not finished.

    Raises `SeedError` when the database has no tables or, unless `force`, other data.
    """
    if notifications < 0 or (history or 0) < 0:
        raise SeedError("The number of messages cannot be negative.")
    connection = await asyncpg.connect(
        url.replace("+asyncpg", "", 1), server_settings={"timezone": "UTC", "jit": "off"}
    )
    try:
        async with connection.transaction():
            await _acquire_lock(connection)
            existing = await find_demo(connection, signer)
            if existing:
                return existing
            empty = await _is_empty(connection)
            if not empty and not force:
                raise SeedError("The database already holds other data: give an empty one, or --force to add to it.")
            end = now or min(london_days.midnight(london_days.today()) + timedelta(hours=1), models.utcnow())
            sizes = Sizes.for_notifications(notifications, history)
            dataset = Dataset(sizes, end, signer, await hash_password(signer))
            await _SeedRun(dataset, connection, progress or _ignore_progress).run(
                store, in_bulk=empty and notifications >= BULK_LOAD_MIN_NOTIFICATIONS
            )
        await connection.execute(f"REFRESH MATERIALIZED VIEW {models.SearchEntry.__tablename__}")
        for table in models.Model.metadata.sorted_tables:
            if not table.info.get("view"):
                await connection.execute(f"ANALYZE {table.name}")
        demo = await find_demo(connection, signer, created=True)
    except asyncpg.UniqueViolationError as error:
        raise SeedError("The database already holds data that the demo's would collide with.") from error
    finally:
        await connection.close()
    if demo is None:
        raise SeedError("The demo's service was removed while it was being made.")
    return demo


class _SeedRun:
    def __init__(self, dataset: Dataset, connection: asyncpg.Connection, progress: ProgressCallback) -> None:
        self.dataset = dataset
        self.connection = connection
        self.progress = progress
        self.written_count = 0

    async def run(self, store: Store | None, *, in_bulk: bool) -> None:
        dataset = self.dataset
        self._report_progress("services")
        seeded_services = services.create(dataset, organisations.create(dataset))
        seeded_templates = templates.create(dataset, seeded_services)
        generator = messages.MessageGenerator(dataset, seeded_templates)
        for service in seeded_services:
            if service.state is services.ServiceState.ARCHIVED:
                services.archive(dataset, service, [template.row for template in seeded_templates[service]])
        self._report_progress("jobs")
        schedule = schedules.create(dataset, seeded_templates)
        demo_jobs = DemoJobs(dataset, seeded_services[0], seeded_templates[seeded_services[0]], generator)
        demo_jobs.prepare(runnable=store is not None, with_running_job=schedule.running_job_count > 0)
        for model in bulk_loads.INSERT_ORDER:
            rows = dataset.rows.get(model)
            if rows:
                await bulk_loads.copy_rows(self.connection, rows)
        if in_bulk:
            async with bulk_loads.without_indexes(self.connection):
                await self._write_messages(schedule, generator, demo_jobs)
                self._report_progress("indexes")
        else:
            await self._write_messages(schedule, generator, demo_jobs)
        if store is not None:
            for path, content in demo_jobs.files.items():
                await store.put(path, content)

    async def _write_messages(
        self, schedule: schedules.SendingSchedule, generator: messages.MessageGenerator, demo_jobs: DemoJobs
    ) -> None:
        for day, service_days in schedule.past.items():
            await self._write(
                models.NotificationHistory,
                messages.PERMANENT_ATTRIBUTES,
                generator.messages_of_day(service_days, erased=True),
                f"{day:%B %Y}",
            )
        attributes = (*messages.PERMANENT_ATTRIBUTES, *messages.ERASED_ATTRIBUTES)
        for day, service_days in schedule.recent.items():
            records = generator.messages_of_day(service_days, erased=False)
            await self._write(models.Notification, attributes, records, f"{day:%A}")
        await self._write(
            models.Notification,
            attributes,
            [*demo_jobs.running_job_messages(), *demo_jobs.latest_messages(schedule.latest_count)],
            "today",
        )
        self._report_progress("facts")
        allowance = 100 * round(self.dataset.sizes.notifications * 0.0005)
        await facts.write(self.connection, self.dataset.clock, fixed_id(services.DEMO_SERVICE), allowance)

    async def _write(
        self, model: type[models.Model], attributes: tuple[str, ...], records: list[messages.Record], stage: str
    ) -> None:
        if records:
            await bulk_loads.copy(self.connection, model, attributes, records)
        self.written_count += len(records)
        self._report_progress(stage)

    def _report_progress(self, stage: str) -> None:
        self.progress(stage, self.written_count, self.dataset.sizes.notifications + self.dataset.sizes.history)


async def _acquire_lock(connection: asyncpg.Connection) -> None:
    if not await connection.fetchval("SELECT to_regclass('notifications') IS NOT NULL"):
        raise SeedError("The database has no tables yet: migrate it first.")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", SEED_LOCK_ID)


async def _is_empty(connection: asyncpg.Connection) -> bool:
    tables = ("users", "organisation", "services", "templates", "jobs", "notifications", "notification_history")
    any_row = " OR ".join(f"EXISTS (SELECT FROM {table})" for table in tables)
    return not await connection.fetchval(f"SELECT {any_row}")


def _ignore_progress(_stage: str, _written: int, _total: int) -> None:
    pass
