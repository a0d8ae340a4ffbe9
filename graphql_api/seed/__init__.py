"""Demo data: an invented world in Notify's shape, the same each time, from a few hundred messages to a million.

`seed` fills an empty, migrated database; `bar` shows how far it is. Nobody in it exists: phone numbers are those kept
for plays and films, addresses end in the domains kept for examples.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
from pwdlib.hashers.argon2 import Argon2Hasher

from graphql_api import models
from graphql_api.auth import crypto
from graphql_api.billing import london_days
from graphql_api.content import names
from graphql_api.errors import CommandError
from graphql_api.seed import bulk_loads, datasets, facts, messages, organisations, schedules, services, templates
from graphql_api.seed.datasets import Dataset, Sizes, fixed_id
from graphql_api.seed.demo_jobs import DemoJobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from uuid import UUID

    from graphql_api.auth.crypto import Signer
    from graphql_api.gateways.object_store import Store

    ProgressCallback = Callable[[str, int, int], None]

DEFAULT_NOTIFICATIONS = 20_000
BULK_LOAD_MIN_NOTIFICATIONS = 50_000
"""From so many messages on, indexes are made after the rows."""
DEMO_ROLES = (organisations.ADMIN, organisations.MANAGER, organisations.VIEWER)
SEED_LOCK_ID = 0x5EED

__all__ = ["DEFAULT_NOTIFICATIONS", "DEMO_ROLES", "Demo", "SeedError", "progress_bar", "seed"]


class SeedError(CommandError):
    """The database cannot take the demo data; the message tells why, in a sentence."""


@dataclass(frozen=True)
class Demo:
    """What a newcomer needs to know of the demo data."""

    service_id: UUID
    template_ids: dict[str, UUID]
    """By channel: `sms` and `email`."""
    user_ids: dict[str, UUID]
    """By role: `platform_admin`, `service_manager` and `service_viewer`."""
    email_addresses: dict[str, str]
    """By role."""
    password: str
    """Everybody's. All sign in by text message."""
    api_key: str
    """A live key of the service, as clients take it."""
    created: bool
    """Whether the data were made now, or had been before."""


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
    """Fill a database with demo data, all of it or nothing; data made before are left as they are.

    `history` are messages past their retention, half as many unless told. The data lead up to `now`, naive UTC; without
    it to one o'clock this morning in London, or to the present before that, so that two runs of a day are equal. With a
    `store`, a worker can go on with the jobs that are not finished. A database that holds anything else is refused,
    unless `force`d.
    `progress` is told what is being done, how many messages are written, and of how many.
    """
    if notifications < 0 or (history or 0) < 0:
        raise SeedError("The number of messages cannot be negative.")
    connection = await asyncpg.connect(
        url.replace("+asyncpg", "", 1), server_settings={"timezone": "UTC", "jit": "off"}
    )
    try:
        async with connection.transaction():
            await _acquire_lock(connection)
            existing = await _find_demo(connection, signer)
            if existing:
                return existing
            empty = await _is_empty(connection)
            if not empty and not force:
                raise SeedError("The database already holds other data: give an empty one, or --force to add to it.")
            moment = now or min(london_days.midnight(london_days.today()) + timedelta(hours=1), models.utcnow())
            hashed = await asyncio.to_thread(_hash_password, signer)
            world = Dataset(Sizes.for_notifications(notifications, history), moment, signer, hashed)
            await _SeedRun(world, connection, progress or _ignore_progress).run(
                store, in_bulk=empty and notifications >= BULK_LOAD_MIN_NOTIFICATIONS
            )
        await connection.execute(f"REFRESH MATERIALIZED VIEW {models.SearchEntry.__tablename__}")
        for table in models.Model.metadata.sorted_tables:
            if not table.info.get("view"):
                await connection.execute(f"ANALYZE {table.name}")
        demo = await _find_demo(connection, signer, created=True)
    except asyncpg.UniqueViolationError as error:
        raise SeedError("The database already holds data that the demo's would collide with.") from error
    finally:
        await connection.close()
    if demo is None:
        raise SeedError("The demo's service was removed while it was being made.")
    return demo


class _SeedRun:
    """One run: everything is thought out first, then written table by table, the messages day by day."""

    def __init__(self, dataset: Dataset, connection: asyncpg.Connection, progress: ProgressCallback) -> None:
        self.dataset = dataset
        self.connection = connection
        self.progress = progress
        self.written = 0

    async def run(self, store: Store | None, *, in_bulk: bool) -> None:
        """Make and write everything."""
        world = self.dataset
        self._report_progress("services")
        gathered = services.create(world, organisations.create(world))
        papers = templates.create(world, gathered)
        post = messages.MessageGenerator(world, papers)
        for team in gathered:
            if team.state == services.ARCHIVED:
                services.archive(world, team, [paper.row for paper in papers[team]])
        self._report_progress("jobs")
        plan = schedules.create(world, papers)
        show = DemoJobs(world, gathered[0], papers[gathered[0]], post)
        show.prepare(runnable=store is not None, with_running_job=plan.running_job_count > 0)
        for model in bulk_loads.INSERT_ORDER:
            rows = world.rows.get(model)
            if rows:
                await bulk_loads.copy_rows(self.connection, rows)
        if in_bulk:
            async with bulk_loads.without_indexes(self.connection):
                await self._write_messages(plan, post, show)
                self._report_progress("indexes")
        else:
            await self._write_messages(plan, post, show)
        if store is not None:
            for path, content in show.files.items():
                await store.put(path, content)

    async def _write_messages(
        self, schedule: schedules.SendingSchedule, generator: messages.MessageGenerator, demo_jobs: DemoJobs
    ) -> None:
        for day, cells in schedule.past.items():
            await self._write(
                models.NotificationHistory,
                messages.PERMANENT_ATTRIBUTES,
                generator.messages_of_day(cells, erased=True),
                f"{day:%B %Y}",
            )
        whole = (*messages.PERMANENT_ATTRIBUTES, *messages.ERASED_ATTRIBUTES)
        for day, cells in schedule.recent.items():
            await self._write(models.Notification, whole, generator.messages_of_day(cells, erased=False), f"{day:%A}")
        await self._write(
            models.Notification,
            whole,
            [*demo_jobs.running_job_messages(), *demo_jobs.latest_messages(schedule.latest_count)],
            "today",
        )
        self._report_progress("facts")
        allowance = 100 * round(self.dataset.sizes.notifications * 0.0005)
        await facts.write(self.connection, self.dataset.clock, fixed_id(services.DEMO_SERVICE), allowance)

    async def _write(
        self, model: type[models.Model], attributes: tuple[str, ...], records: list[messages.Record], what: str
    ) -> None:
        if records:
            await bulk_loads.copy(self.connection, model, attributes, records)
        self.written += len(records)
        self._report_progress(what)

    def _report_progress(self, what: str) -> None:
        self.progress(what, self.written, self.dataset.sizes.notifications + self.dataset.sizes.history)


async def _acquire_lock(connection: asyncpg.Connection) -> None:
    if not await connection.fetchval("SELECT to_regclass('notifications') IS NOT NULL"):
        raise SeedError("The database has no tables yet: migrate it first.")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", SEED_LOCK_ID)


async def _is_empty(connection: asyncpg.Connection) -> bool:
    tables = ("users", "organisation", "services", "templates", "jobs", "notifications", "notification_history")
    found = " OR ".join(f"EXISTS (SELECT FROM {table})" for table in tables)
    return not await connection.fetchval(f"SELECT {found}")


async def _find_demo(connection: asyncpg.Connection, signer: Signer, *, created: bool = False) -> Demo | None:
    """The demo as the database has it; None where there is none."""
    service_id = fixed_id(services.DEMO_SERVICE)
    if not await connection.fetchval("SELECT true FROM services WHERE id = $1", service_id):
        return None
    user_ids = {role: fixed_id(role) for role in DEMO_ROLES}
    people = await connection.fetch("SELECT id, email_address FROM users WHERE id = ANY($1)", list(user_ids.values()))
    addresses = {row["id"]: row["email_address"] for row in people}
    key = await connection.fetchrow(
        """
        SELECT name, secret FROM api_keys
        WHERE service_id = $1 AND key_type = 'normal' AND expiry_date IS NULL
        ORDER BY created_at LIMIT 1
        """,
        service_id,
    )
    try:
        text = f"{names.api_key_prefix(key['name'])}-{service_id}-{signer.unsign(key['secret'])}" if key else ""
    except crypto.BadSignature as error:
        raise SeedError("The demo data were made with another SECRET_KEY or DANGEROUS_SALT: start over.") from error
    return Demo(
        service_id=service_id,
        template_ids={channel: fixed_id("template", channel) for channel in ("sms", "email")},
        user_ids=user_ids,
        email_addresses={role: addresses[user_id] for role, user_id in user_ids.items() if user_id in addresses},
        password=_password(signer),
        api_key=text,
        created=created,
    )


def _password(signer: Signer) -> str:
    return f"demo-{datasets.derive_secret(signer, 'password').hex[:16]}"


def _hash_password(signer: Signer) -> str:
    """The hash of everybody's password, the same each time."""
    salt = datasets.derive_secret(signer, "salt of the password").bytes
    return Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(_password(signer), salt=salt)


def _ignore_progress(*_: Any) -> None:
    """Tell nobody."""


@contextmanager
def progress_bar() -> Iterator[ProgressCallback | None]:
    """Show how far the seeding is, as a bar on the terminal; None where there is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - only where there is somebody to look
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    shown = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*shown, console=Console(stderr=True)) as display:
        task = display.add_task("demo data")

        def told(what: str, done: int, total: int) -> None:
            display.update(task, description=what, completed=done, total=total)

        yield told
