"""How migrations run: one migrator at a time, a transaction each, never making readers wait for long."""

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import alembic_postgresql_enum
from alembic import context
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, pool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.schema import SchemaItem

from graphql_api import models
from graphql_api.errors import CommandError
from graphql_api.migrate import connection_errors, differences
from graphql_api.migrate.database_origins import (
    MIGRATION_LOCK_ID,
    NOTIFY_BASELINE_REVISION,
    NOTIFY_TABLES,
    VERSION_TABLE,
    DatabaseOrigin,
    is_skipped_revision,
    require_supported_database,
)
from graphql_api.migrate.lock_waits import LockWaitMonitor
from graphql_api.migrate.upgrade_plans import revision_title
from graphql_api.settings import asyncpg_url

SERVER_SETTINGS = {
    "TimeZone": "UTC",
    # Whoever waits for a lock makes everybody behind it wait: a migration gives up soon, and tries again.
    "lock_timeout": "100ms",
    "statement_timeout": "0",
    "application_name": "migrate",
    # What a killed migrator was at ends with it, and its locks too.
    "client_connection_check_interval": "1s",
}

# How often, and for how many seconds, a revision tries before it gives up.
MAX_ATTEMPTS = 60
RETRY_TIMEOUT_SECONDS = context.config.attributes.get("seconds", 60)

# PostgreSQL's words for what another moment mends: gave up waiting for a lock; chosen to end a deadlock.
RETRYABLE_SQLSTATES = ("55P03", "40P01")

write_line: Callable[[str], None] = context.config.attributes.get("tell") or (lambda _line: None)
upgrading = context.config.attributes.get("upgrading", False)
lock_wait_monitor = LockWaitMonitor(write_line)


def is_queue_object(name: str | None) -> bool:
    """Whether a table or type belongs to the queue library, which knows best what it looks like."""
    return name is not None and name.startswith("pgqueuer")


def configure_comparison(origin: DatabaseOrigin) -> Callable[..., bool]:
    """What is compared with the models: neither views nor the queue's tables, nor what Notify made."""

    def include(item: SchemaItem, name: str | None, kind: str, reflected: bool, other: SchemaItem | None) -> bool:
        if kind != "table":
            return True
        if origin.notify_revision and (name in NOTIFY_TABLES or (reflected and other is None)):
            return False
        return not (item.info.get("view") or is_queue_object(name))

    # Notify has two enums that nothing uses.
    alembic_postgresql_enum.set_configuration(
        alembic_postgresql_enum.Config(include_name=lambda name: not is_queue_object(name), drop_unused_enums=False)
    )
    return include


def prepare_revision(migrations: MigrationContext, _revision: Any, directives: list[MigrationScript]) -> None:
    """Name a new revision by the next number, and list in it what autogenerate saw."""
    for script in directives:
        head = ScriptDirectory.from_config(context.config).get_current_head()
        script.rev_id = f"{int(head or 0) + 1:04}"
        seen = list(differences.describe_differences(script.upgrade_ops.as_diffs())) if script.upgrade_ops else []
        migrations.opts["template_args"]["seen"] = seen
        context.config.attributes["seen"] = seen


def wrap_migration_steps(
    origin: DatabaseOrigin, migrations_fn: Callable[..., Iterable[RevisionStep]]
) -> Callable[..., Iterator[RevisionStep]]:
    """Tell each step of the work when it is done, and let those do nothing that would touch what Notify made."""

    def steps(heads: Any, migrations: MigrationContext) -> Iterator[RevisionStep]:
        planned = list(migrations_fn(heads, migrations))
        if origin.notify_revision and any(
            not one.is_upgrade and one.revision.revision <= NOTIFY_BASELINE_REVISION for one in planned
        ):
            raise CommandError(
                "GOV.UK Notify made this database: nothing was undone. Go back to "
                f"{NOTIFY_BASELINE_REVISION} at most (--down {NOTIFY_BASELINE_REVISION}), "
                "where nothing of ours is left."
            )
        for step in planned:
            script = step.revision
            if origin.notify_revision and is_skipped_revision(script):
                step.migration_fn = lambda: None
            progress.start_attempt(script.revision)
            yield step
            # It comes back here when the step is committed.
            title = revision_title(script, made_by_notify=bool(origin.notify_revision))
            write_line(f"{title if step.is_upgrade else f'undone: {title}'}, {progress.elapsed_seconds():.2f} s")

    return steps


class RevisionProgress:
    """Which revision we are at, and since when."""

    revision: str | None = None
    started_at = 0.0
    attempts = 0

    def start_attempt(self, revision: str) -> None:
        """Begin a revision, perhaps again."""
        if revision != self.revision:
            self.revision, self.started_at, self.attempts = revision, time.monotonic(), 0
        self.attempts += 1

    def elapsed_seconds(self) -> float:
        """Answer how many seconds it took, with every try."""
        return time.monotonic() - self.started_at

    def is_exhausted(self) -> bool:
        """Whether it has tried long enough."""
        return self.attempts >= MAX_ATTEMPTS or self.elapsed_seconds() > RETRY_TIMEOUT_SECONDS


progress = RevisionProgress()


def run_migrations(connection: Connection) -> None:
    """Run the command that alembic was given, on a connection of its own."""
    owner = DatabaseOrigin.read(connection)
    if upgrading:
        require_supported_database(connection, owner)
    if owner.revision and owner.revision > (context.script.get_current_head() or ""):
        if upgrading:
            write_line(f"A newer release has brought the database to revision {owner.revision}: nothing to do.")
            return
        raise CommandError(
            f"The database is at revision {owner.revision}, which only a newer release knows: use that one."
        )
    # Alembic begins a transaction for each migration only if it finds none.
    connection.rollback()
    context.configure(
        connection=connection,
        target_metadata=models.Model.metadata,
        version_table=VERSION_TABLE,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
        include_object=configure_comparison(owner),
        process_revision_directives=prepare_revision,
    )
    migrations = context.get_context()
    migrations._migrations_fn = wrap_migration_steps(owner, migrations.opts["fn"])  # noqa: SLF001 it has no public name
    with context.begin_transaction():
        if upgrading and owner.notify_revision and not owner.revision:
            migrations.stamp(context.script, NOTIFY_BASELINE_REVISION)
            connection.commit()
            write_line(
                f"GOV.UK Notify made this database ({owner.notify_revision}): "
                "its tables stay as they are, ours are added."
            )
        context.run_migrations()


async def run_migrations_with_retries(connection: AsyncConnection) -> None:
    """Begin again, after a moment, whenever a lock was not to be had. What was done stays done."""
    while True:
        try:
            await connection.run_sync(run_migrations)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in RETRYABLE_SQLSTATES or progress.is_exhausted():
                raise_command_error(error)
            await connection.rollback()
            await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 it spreads migrators out, no more
        else:
            await connection.commit()
            return


def raise_command_error(error: DBAPIError) -> NoReturn:
    """Say in a sentence why a revision could not be done. Without the driver's words, which can hold values."""
    state = getattr(error.orig, "sqlstate", None)
    at = f"Revision {progress.revision}" if progress.revision else "The migration"
    if state in RETRYABLE_SQLSTATES:
        reason = lock_wait_monitor.latest_reason or "the database is busy"
        why = f"did not get its locks in {progress.elapsed_seconds():.0f} s ({reason})"
        then = "end what it waits for, or run ./run migrate again when it is quieter"
    elif state in connection_errors.MESSAGES_BY_SQLSTATE:
        raise error
    else:
        why = f"failed ({type(error.orig).__name__}, {state or 'no SQLSTATE'})"
        then = "DEBUG=1 tells more"
    raise CommandError(f"{at} {why}. Nothing of it is done, and what came before it stays: {then}.") from error


async def acquire_migration_lock(connection: AsyncConnection) -> None:
    """Wait until nobody else migrates.

    By asking again and again: CREATE INDEX CONCURRENTLY would wait for a session that waits inside a statement.
    """
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:id)"), {"id": MIGRATION_LOCK_ID}):
        await lock_wait_monitor.report_lock_holders(connection, MIGRATION_LOCK_ID)
        await connection.rollback()
        await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311 it spreads migrators out, no more
    await connection.commit()


async def server_pid(connection: AsyncConnection) -> int:
    """Answer which process serves us. Complains of a pooler, behind which an advisory lock protects nothing."""
    raw = (await connection.get_raw_connection()).driver_connection
    pid, recovering = (await connection.execute(text("SELECT pg_backend_pid(), pg_is_in_recovery()"))).one()
    if raw is None or raw.get_server_pid() != pid:
        raise CommandError(connection_errors.POOLER_MESSAGE)
    if recovering:
        raise CommandError(connection_errors.STANDBY_MESSAGE)
    return int(pid)


async def main() -> None:
    """Connect, wait for our turn, migrate."""
    url = context.config.attributes.get("url") or os.environ.get("DATABASE_URL")
    if not url:
        raise CommandError("Set DATABASE_URL to the database to migrate.")
    engine = create_async_engine(
        asyncpg_url(url), poolclass=pool.NullPool, connect_args={"timeout": 10, "server_settings": SERVER_SETTINGS}
    )
    with connection_errors.translate_database_errors():
        async with engine.connect() as connection:
            pid = await server_pid(connection)
            await acquire_migration_lock(connection)
            # The lock ends with the connection.
            async with lock_wait_monitor.monitor(engine, pid):
                await run_migrations_with_retries(connection)


if context.is_offline_mode():
    raise CommandError("Migrations look at the database that they change: there is no offline mode.")
asyncio.run(main())
