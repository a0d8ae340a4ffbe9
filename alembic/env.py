"""How migrations run: one migrator at a time, a transaction each, never making readers wait for long."""

import asyncio
import os
import random
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import alembic_postgresql_enum
from alembic import context
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, pool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.schema import SchemaItem

from graphql_api import models
from graphql_api.settings import asyncpg_url

VERSION_TABLE = "graphql_api_version"

# Notify's own lock, `alembic` and a zero byte as a number: neither side migrates while the other does.
LOCK = int.from_bytes(b"alembic\0", "big")

# A database that Notify made begins after this revision, and never goes back before it.
LAST_OF_NOTIFY = "0013"

# Its tables stay as they are, down to the indexes: later revisions about Notify's tables say `of_notify = True`, and
# there they do nothing, up or down. So do these, which are older than the word.
INDEXES_OF_NOTIFY = {"0014", "0015", "0016", "0017", "0018", "0019", "0020", "0021", "0022", "0031"}

# A migration that waits for a lock makes everybody behind it wait: it gives up soon, and tries again.
LOCK_TIMEOUT = "100ms"
TRIES = 60
SECONDS = 60

# PostgreSQL's word for "gave up waiting for a lock".
LOCK_NOT_AVAILABLE = "55P03"


def is_queue(name: str | None) -> bool:
    """Whether a table or type belongs to the queue library, which knows best what it looks like."""
    return name is not None and name.startswith("pgqueuer")


def compared(connection: Connection) -> Callable[..., bool]:
    """What is compared with the models: neither views nor the queue's tables.

    Where Notify made the database, nor what else it has, nor our indexes, which its tables lack.
    """
    theirs = made_by_notify(connection)

    def include(item: SchemaItem, name: str | None, kind: str, reflected: bool, other: SchemaItem | None) -> bool:
        if theirs and other is None and ((kind == "table" and reflected) or (kind == "index" and not reflected)):
            return False
        return kind != "table" or not (item.info.get("view") or is_queue(name))

    # Notify has two enums that nothing uses.
    alembic_postgresql_enum.set_configuration(
        alembic_postgresql_enum.Config(include_name=lambda name: not is_queue(name), drop_unused_enums=False)
    )
    return include


def number_revisions(_context: MigrationContext, _revision: Any, directives: list[MigrationScript]) -> None:
    """Name a new revision by the next number."""
    for script in directives:
        head = ScriptDirectory.from_config(context.config).get_current_head()
        script.rev_id = f"{int(head or 0) + 1:04}"


def made_by_notify(connection: Connection | None) -> bool:
    """Whether Notify's own migrations have been here."""
    return connection is not None and inspect(connection).has_table("alembic_version")


def keep_notify(
    ctx: MigrationContext,
    step: MigrationInfo,
    heads: Collection[Any],  # noqa: ARG001 alembic gives it by name
    run_args: Mapping[str, Any],  # noqa: ARG001 alembic gives it by name
) -> None:
    """Refuse to drop tables that Notify made."""
    if not step.is_upgrade and str(step.up_revision_id) <= LAST_OF_NOTIFY and made_by_notify(ctx.connection):
        raise RuntimeError(f"Notify made this database: it cannot go back to before {LAST_OF_NOTIFY}")


def spare_notify(connection: Connection) -> None:
    """Where Notify made the database, let the revisions about Notify's tables do nothing."""

    def nothing() -> None:
        pass

    if made_by_notify(connection):
        for script in context.script.walk_revisions():
            if script.revision in INDEXES_OF_NOTIFY or getattr(script.module, "of_notify", False):
                vars(script.module).update(upgrade=nothing, downgrade=nothing)


def migrate(connection: Connection) -> None:
    """Run the command that alembic was given, on a connection of its own."""
    include_object = compared(connection)
    spare_notify(connection)
    # Alembic begins a transaction for each migration only if it finds none.
    connection.rollback()
    context.configure(
        connection=connection,
        target_metadata=models.Model.metadata,
        version_table=VERSION_TABLE,
        transaction_per_migration=True,
        compare_type=True,
        compare_server_default=True,
        include_object=include_object,
        process_revision_directives=number_revisions,
        on_version_apply=keep_notify,
    )
    with context.begin_transaction():
        if context.config.attributes.get("adopt"):
            adopt(context.get_context())
        context.run_migrations()


def adopt(migrations: MigrationContext) -> None:
    """Begin after Notify's tables where Notify made them."""
    connection = migrations.connection
    if made_by_notify(connection) and migrations.get_current_revision() is None:
        migrations.stamp(ScriptDirectory.from_config(context.config), LAST_OF_NOTIFY)
    if connection is not None:
        connection.commit()


async def migrate_patiently(connection: AsyncConnection) -> None:
    """Begin again, after a moment, whenever a lock was not to be had. What was done stays done."""
    started = time.monotonic()
    for attempt in range(1, TRIES + 1):
        try:
            await connection.run_sync(migrate)
        except DBAPIError as error:
            await connection.rollback()
            gave_up = getattr(error.orig, "sqlstate", None) == LOCK_NOT_AVAILABLE
            if not gave_up or attempt == TRIES or time.monotonic() - started > SECONDS:
                raise
            await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 it spreads migrators out, no more
        else:
            await connection.commit()
            return


async def take_lock(connection: AsyncConnection) -> None:
    """Wait until nobody else migrates.

    By asking again and again: CREATE INDEX CONCURRENTLY would wait for a session that waits inside a statement.
    """
    raw = (await connection.get_raw_connection()).driver_connection
    if raw is None or raw.get_server_pid() != await connection.scalar(text("SELECT pg_backend_pid()")):
        raise RuntimeError("Migrations need a direct connection to PostgreSQL, not a pooler")
    while not await connection.scalar(text("SELECT pg_try_advisory_lock(:id)"), {"id": LOCK}):
        await connection.rollback()
        await asyncio.sleep(random.uniform(0.1, 0.3))  # noqa: S311 it spreads migrators out, no more
    await connection.commit()


async def main() -> None:
    """Connect, wait for our turn, migrate."""
    url = context.config.attributes.get("url") or os.environ.get("DATABASE_URL")
    if not url:
        raise RuntimeError("Set DATABASE_URL to the database to migrate")
    settings = {
        "TimeZone": "UTC",
        "lock_timeout": LOCK_TIMEOUT,
        "statement_timeout": "0",
        "application_name": "migrate",
    }
    engine = create_async_engine(
        asyncpg_url(url), poolclass=pool.NullPool, connect_args={"timeout": 10, "server_settings": settings}
    )
    async with engine.connect() as connection:
        await take_lock(connection)
        # The lock ends with the connection.
        await migrate_patiently(connection)


if context.is_offline_mode():
    raise RuntimeError("Migrations look at the database that they change: there is no offline mode")
asyncio.run(main())
