"""Runs migrations: one migrator at a time, a transaction for each revision, a short lock timeout with retries."""

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
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
from graphql_api.database.sqlstates import sqlstate
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
from graphql_api.migrate.locks import LOCK_SQLSTATES, retry_until_locked, try_migration_lock
from graphql_api.migrate.upgrade_plans import revision_title
from graphql_api.settings import asyncpg_url

SERVER_SETTINGS = {
    "TimeZone": "UTC",
    # Sessions queue behind one that waits for a lock: a short timeout, and retries.
    "lock_timeout": "100ms",
    "statement_timeout": "0",
    "application_name": "migrate",
    # The statement of a killed migrator ends with it, and its locks are released.
    "client_connection_check_interval": "1s",
}

# Limits of the attempts at one revision.
MAX_ATTEMPTS = 60
RETRY_TIMEOUT_SECONDS = context.config.attributes.get("timeout_seconds", 60)

write_line: Callable[[str], None] = context.config.attributes.get("write_line") or (lambda _line: None)
upgrading = context.config.attributes.get("upgrading", False)
lock_wait_monitor = LockWaitMonitor(write_line)


def is_queue_object(name: str | None) -> bool:
    """Whether a table or type belongs to pgqueuer, which is no part of the models."""
    return name is not None and name.startswith("pgqueuer")


def configure_comparison(origin: DatabaseOrigin) -> Callable[..., bool]:
    """Exclude views, and tables of the queue and of Notify, from the comparison with the models; returns the filter."""

    def include(item: SchemaItem, name: str | None, kind: str, reflected: bool, other: SchemaItem | None) -> bool:
        if kind != "table":
            return True
        if origin.notify_revision and (name in NOTIFY_TABLES or (reflected and other is None)):
            return False
        return not (item.info.get("view") or is_queue_object(name))

    # Notify has two enums that no table uses.
    alembic_postgresql_enum.set_configuration(
        alembic_postgresql_enum.Config(include_name=lambda name: not is_queue_object(name), drop_unused_enums=False)
    )
    return include


def prepare_revision(migrations: MigrationContext, _revision: Any, directives: list[MigrationScript]) -> None:
    """Give a new revision the next number, and list in it the differences that autogenerate saw."""
    for script in directives:
        head = ScriptDirectory.from_config(context.config).get_current_head()
        script.rev_id = f"{int(head or 0) + 1:04}"
        seen = list(differences.describe_differences(script.upgrade_ops.as_diffs())) if script.upgrade_ops else []
        migrations.opts["template_args"]["seen"] = seen
        context.config.attributes["seen"] = seen


def wrap_migration_steps(
    origin: DatabaseOrigin, migrations_fn: Callable[..., Iterable[RevisionStep]]
) -> Callable[..., Iterator[RevisionStep]]:
    """Report each migration when it is committed, and skip those about tables that Notify created."""

    def steps(heads: Any, migrations: MigrationContext) -> Iterator[RevisionStep]:
        planned_steps = list(migrations_fn(heads, migrations))
        if origin.notify_revision and any(
            not step.is_upgrade and step.revision.revision <= NOTIFY_BASELINE_REVISION for step in planned_steps
        ):
            raise CommandError(
                "GOV.UK Notify made this database: nothing was undone. Go back to "
                f"{NOTIFY_BASELINE_REVISION} at most (--down {NOTIFY_BASELINE_REVISION}), "
                "where nothing of ours is left."
            )
        for step in planned_steps:
            script = step.revision
            if origin.notify_revision and is_skipped_revision(script):
                step.migration_fn = lambda: None
            progress.start_attempt(script.revision)
            yield step
            # Alembic resumes the generator when the step is committed.
            title = revision_title(script, made_by_notify=bool(origin.notify_revision))
            write_line(f"{title if step.is_upgrade else f'undone: {title}'}, {progress.elapsed_seconds():.2f} s")

    return steps


class RevisionProgress:
    """The current revision, its start and its attempts."""

    revision: str | None = None
    started_at = 0.0
    attempts = 0

    def start_attempt(self, revision: str) -> None:
        """Count an attempt at a revision; a new revision starts the clock."""
        if revision != self.revision:
            self.revision, self.started_at, self.attempts = revision, time.monotonic(), 0
        self.attempts += 1

    def elapsed_seconds(self) -> float:
        """Seconds since the first attempt."""
        return time.monotonic() - self.started_at

    def is_exhausted(self) -> bool:
        """Whether it has used up its attempts or its time."""
        return self.attempts >= MAX_ATTEMPTS or self.elapsed_seconds() > RETRY_TIMEOUT_SECONDS


progress = RevisionProgress()


def run_migrations(connection: Connection) -> None:
    """Run the alembic command on a connection."""
    origin = DatabaseOrigin.read(connection)
    if upgrading:
        require_supported_database(connection, origin)
    if origin.revision and origin.revision > (context.script.get_current_head() or ""):
        if upgrading:
            write_line(f"A newer release has brought the database to revision {origin.revision}: nothing to do.")
            return
        raise CommandError(
            f"The database is at revision {origin.revision}, which only a newer release knows: use that one."
        )
    # Alembic begins a transaction for each migration only outside of one.
    connection.rollback()
    context.configure(
        connection=connection,
        target_metadata=models.Model.metadata,
        version_table=VERSION_TABLE,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
        include_object=configure_comparison(origin),
        process_revision_directives=prepare_revision,
    )
    migrations = context.get_context()
    migrations._migrations_fn = wrap_migration_steps(origin, migrations.opts["fn"])  # noqa: SLF001 - no public name
    with context.begin_transaction():
        if upgrading and origin.notify_revision and not origin.revision:
            migrations.stamp(context.script, NOTIFY_BASELINE_REVISION)
            connection.commit()
            write_line(
                f"GOV.UK Notify made this database ({origin.notify_revision}): "
                "its tables stay as they are, ours are added."
            )
        context.run_migrations()


async def run_migrations_with_retries(connection: AsyncConnection) -> None:
    """Run the command, and continue after a pause whenever a lock was not available."""
    try:
        await retry_until_locked(
            partial(connection.run_sync, run_migrations), connection, is_exhausted=progress.is_exhausted
        )
    except DBAPIError as error:
        raise_command_error(error)
    await connection.commit()


def raise_command_error(error: DBAPIError) -> NoReturn:
    """Raise the reason why a revision failed, without the driver's message, which can contain values."""
    state = sqlstate(error)
    revision = f"Revision {progress.revision}" if progress.revision else "The migration"
    if state in LOCK_SQLSTATES:
        reason = lock_wait_monitor.latest_reason or "the database is busy"
        failure = f"did not get its locks in {progress.elapsed_seconds():.0f} s ({reason})"
        advice = "end what it waits for, or run ./run migrate again when it is quieter"
    elif state in connection_errors.MESSAGES_BY_SQLSTATE:
        raise error
    else:
        failure = f"failed ({type(error.orig).__name__}, {state or 'no SQLSTATE'})"
        advice = "see more with DEBUG=1"
    raise CommandError(
        f"{revision} {failure}. It was rolled back, earlier revisions stay applied: {advice}."
    ) from error


async def acquire_migration_lock(connection: AsyncConnection) -> None:
    """Poll for the advisory lock: CREATE INDEX CONCURRENTLY would wait for a session that waits in a statement."""
    while not await try_migration_lock(connection):
        await lock_wait_monitor.report_lock_holders(connection, MIGRATION_LOCK_ID)
        await connection.rollback()
        await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311 - spreads migrators out
    await connection.commit()


async def server_pid(connection: AsyncConnection) -> int:
    """The pid of the server process.

    Raises `CommandError` for a standby, and for a pooler, which does not keep an advisory lock with its client.
    """
    driver_connection = (await connection.get_raw_connection()).driver_connection
    pid, is_standby = (await connection.execute(text("SELECT pg_backend_pid(), pg_is_in_recovery()"))).one()
    if driver_connection is None or driver_connection.get_server_pid() != pid:
        raise CommandError(connection_errors.POOLER_MESSAGE)
    if is_standby:
        raise CommandError(connection_errors.STANDBY_MESSAGE)
    return int(pid)


async def main() -> None:
    """Connect, take the advisory lock, run the command."""
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
            async with lock_wait_monitor.monitor(engine, pid):
                await run_migrations_with_retries(connection)


if context.is_offline_mode():
    raise CommandError("Migrations read the database that they change: there is no offline mode.")
asyncio.run(main())
