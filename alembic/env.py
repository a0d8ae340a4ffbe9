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
from graphql_api.errors import Complaint
from graphql_api.migrate import connection_errors, differences
from graphql_api.migrate.database_origins import LAST_OF_NOTIFY, LOCK, NOTIFYS, VERSION_TABLE, Owner, refuse, spared
from graphql_api.migrate.lock_waits import Waits
from graphql_api.migrate.upgrade_plans import titled
from graphql_api.settings import asyncpg_url

SETTINGS = {
    "TimeZone": "UTC",
    # Whoever waits for a lock makes everybody behind it wait: a migration gives up soon, and tries again.
    "lock_timeout": "100ms",
    "statement_timeout": "0",
    "application_name": "migrate",
    # What a killed migrator was at ends with it, and its locks too.
    "client_connection_check_interval": "1s",
}

# How often, and for how many seconds, a revision tries before it gives up.
TRIES = 60
SECONDS = context.config.attributes.get("seconds", 60)

# PostgreSQL's words for what another moment mends: gave up waiting for a lock; chosen to end a deadlock.
AGAIN = ("55P03", "40P01")

tell: Callable[[str], None] = context.config.attributes.get("tell") or (lambda _line: None)
upgrading = context.config.attributes.get("upgrading", False)
waits = Waits(tell)


def is_queue(name: str | None) -> bool:
    """Whether a table or type belongs to the queue library, which knows best what it looks like."""
    return name is not None and name.startswith("pgqueuer")


def compared(owner: Owner) -> Callable[..., bool]:
    """What is compared with the models: neither views nor the queue's tables, nor what Notify made."""

    def include(item: SchemaItem, name: str | None, kind: str, reflected: bool, other: SchemaItem | None) -> bool:
        if kind != "table":
            return True
        if owner.notify and (name in NOTIFYS or (reflected and other is None)):
            return False
        return not (item.info.get("view") or is_queue(name))

    # Notify has two enums that nothing uses.
    alembic_postgresql_enum.set_configuration(
        alembic_postgresql_enum.Config(include_name=lambda name: not is_queue(name), drop_unused_enums=False)
    )
    return include


def draft(migrations: MigrationContext, _revision: Any, directives: list[MigrationScript]) -> None:
    """Name a new revision by the next number, and list in it what autogenerate saw."""
    for script in directives:
        head = ScriptDirectory.from_config(context.config).get_current_head()
        script.rev_id = f"{int(head or 0) + 1:04}"
        seen = list(differences.told(script.upgrade_ops.as_diffs())) if script.upgrade_ops else []
        migrations.opts["template_args"]["seen"] = seen
        context.config.attributes["seen"] = seen


def one_by_one(owner: Owner, work: Callable[..., Iterable[RevisionStep]]) -> Callable[..., Iterator[RevisionStep]]:
    """Tell each step of the work when it is done, and let those do nothing that would touch what Notify made."""

    def steps(heads: Any, migrations: MigrationContext) -> Iterator[RevisionStep]:
        planned = list(work(heads, migrations))
        if owner.notify and any(not one.is_upgrade and one.revision.revision <= LAST_OF_NOTIFY for one in planned):
            raise Complaint(
                f"GOV.UK Notify made this database: nothing was undone. Go back to {LAST_OF_NOTIFY} at most (--down "
                f"{LAST_OF_NOTIFY}), where nothing of ours is left."
            )
        for step in planned:
            script = step.revision
            if owner.notify and spared(script):
                step.migration_fn = lambda: None
            progress.begin(script.revision)
            yield step
            # It comes back here when the step is committed.
            title = titled(script, spare=bool(owner.notify))
            tell(f"{title if step.is_upgrade else f'undone: {title}'}, {progress.end():.2f} s")

    return steps


class Progress:
    """Which revision we are at, and since when."""

    revision: str | None = None
    since = 0.0
    tries = 0

    def begin(self, revision: str) -> None:
        """Begin a revision, perhaps again."""
        if revision != self.revision:
            self.revision, self.since, self.tries = revision, time.monotonic(), 0
        self.tries += 1

    def end(self) -> float:
        """Answer how many seconds it took, with every try."""
        return time.monotonic() - self.since

    def spent(self) -> bool:
        """Whether it has tried long enough."""
        return self.tries >= TRIES or self.end() > SECONDS


progress = Progress()


def migrate(connection: Connection) -> None:
    """Run the command that alembic was given, on a connection of its own."""
    owner = Owner.of(connection)
    if upgrading:
        refuse(connection, owner)
    if owner.revision and owner.revision > (context.script.get_current_head() or ""):
        if upgrading:
            tell(f"A newer release has brought the database to revision {owner.revision}: nothing to do.")
            return
        raise Complaint(
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
        include_object=compared(owner),
        process_revision_directives=draft,
    )
    migrations = context.get_context()
    migrations._migrations_fn = one_by_one(owner, migrations.opts["fn"])  # noqa: SLF001 it has no public name
    with context.begin_transaction():
        if upgrading and owner.notify and not owner.revision:
            migrations.stamp(context.script, LAST_OF_NOTIFY)
            connection.commit()
            tell(f"GOV.UK Notify made this database ({owner.notify}): its tables stay as they are, ours are added.")
        context.run_migrations()


async def migrate_patiently(connection: AsyncConnection) -> None:
    """Begin again, after a moment, whenever a lock was not to be had. What was done stays done."""
    while True:
        try:
            await connection.run_sync(migrate)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in AGAIN or progress.spent():
                complain(error)
            await connection.rollback()
            await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 it spreads migrators out, no more
        else:
            await connection.commit()
            return


def complain(error: DBAPIError) -> NoReturn:
    """Say in a sentence why a revision could not be done. Without the driver's words, which can hold values."""
    state = getattr(error.orig, "sqlstate", None)
    at = f"Revision {progress.revision}" if progress.revision else "The migration"
    if state in AGAIN:
        why = f"did not get its locks in {progress.end():.0f} s ({waits.latest or 'the database is busy'})"
        then = "end what it waits for, or run ./run migrate again when it is quieter"
    elif state in connection_errors.SENTENCES:
        raise error
    else:
        why = f"failed ({type(error.orig).__name__}, {state or 'no SQLSTATE'})"
        then = "DEBUG=1 tells more"
    raise Complaint(f"{at} {why}. Nothing of it is done, and what came before it stays: {then}.") from error


async def take_turn(connection: AsyncConnection) -> None:
    """Wait until nobody else migrates.

    By asking again and again: CREATE INDEX CONCURRENTLY would wait for a session that waits inside a statement.
    """
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:id)"), {"id": LOCK}):
        await waits.for_turn(connection, LOCK)
        await connection.rollback()
        await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311 it spreads migrators out, no more
    await connection.commit()


async def server_pid(connection: AsyncConnection) -> int:
    """Answer which process serves us. Complains of a pooler, behind which an advisory lock protects nothing."""
    raw = (await connection.get_raw_connection()).driver_connection
    pid, recovering = (await connection.execute(text("SELECT pg_backend_pid(), pg_is_in_recovery()"))).one()
    if raw is None or raw.get_server_pid() != pid:
        raise Complaint(connection_errors.POOLER)
    if recovering:
        raise Complaint(connection_errors.STANDBY)
    return int(pid)


async def main() -> None:
    """Connect, wait for our turn, migrate."""
    url = context.config.attributes.get("url") or os.environ.get("DATABASE_URL")
    if not url:
        raise Complaint("Set DATABASE_URL to the database to migrate.")
    engine = create_async_engine(
        asyncpg_url(url), poolclass=pool.NullPool, connect_args={"timeout": 10, "server_settings": SETTINGS}
    )
    with connection_errors.told():
        async with engine.connect() as connection:
            pid = await server_pid(connection)
            await take_turn(connection)
            # The lock ends with the connection.
            async with waits.watched(engine, pid):
                await migrate_patiently(connection)


if context.is_offline_mode():
    raise Complaint("Migrations look at the database that they change: there is no offline mode.")
asyncio.run(main())
