"""Databases that GOV.UK Notify created: recognised, refused if incomplete, extended by our tables, never changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from graphql_api import migrate
from graphql_api.errors import CommandError
from graphql_api.migrate import database_origins, dry_runs, indexes
from tests.migrations import REVISIONS, create_notify_tables, migration_steps, run_migrator, run_psql
from tests.models.databases import dump_sql, execute, open_connection, scratch_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEAD = REVISIONS[-1]
OURS = [revision for revision in REVISIONS if revision > database_origins.NOTIFY_BASELINE_REVISION]
CATALOGUE = json.loads((Path(__file__).parents[1] / "models" / "notify_catalogue.json").read_text())


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[str]:
    """The URL of a database that Notify created."""
    async with scratch_database(postgres_url) as url:
        await create_notify_tables(url)
        yield url


def test_the_list_of_notifys_tables_is_complete() -> None:
    assert set(CATALOGUE["tables"]) | {"notifications_all_time_view"} == database_origins.NOTIFY_TABLES


async def test_its_tables_stay_unchanged_and_ours_are_added(database: str) -> None:
    await execute(database, "CREATE TABLE unknown_table (id int)", "ALTER TABLE services ADD COLUMN newer text")
    notify_tables = [*sorted(database_origins.NOTIFY_TABLES), "alembic_version", "unknown_table"]
    before = dump_sql(database, *notify_tables)
    lines: list[str] = []

    await migrate.upgrade(database, write_line=lines.append)

    assert await migrate.current(database) == HEAD
    await migrate.check(database)
    assert dump_sql(database, *notify_tables) == before
    steps = migration_steps(lines)
    assert steps[0] == (
        "GOV.UK Notify made this database (0560_add_nhs_notify_org): its tables stay as they are, ours are added."
    )
    assert [line[:4] for line in steps[1:]] == OURS
    assert steps[2].startswith(
        "0015 Index messages by job and time of creation (nothing: Notify's tables stay as they are), "
    )


async def test_a_plan_lists_our_revisions(database: str) -> None:
    lines = (await migrate.plan(database)).lines()

    assert lines[0] == (
        "GOV.UK Notify made this database (0560_add_nhs_notify_org). Its tables would stay as they are, revision 0013 "
        "be noted in a version table of our own, and then come:"
    )
    assert [line[:4] for line in lines[1:]] == OURS
    assert lines[10] == "0023 Add sessions of users"


async def test_the_script_does_what_the_adoption_does(database: str, postgres_url: str) -> None:
    script = await dry_runs.upgrade_script(database)
    await run_psql(database, script)

    async with scratch_database(postgres_url) as other:
        await create_notify_tables(other)
        await migrate.upgrade(other)
        assert dump_sql(database) == dump_sql(other)
    assert await migrate.current(database) == HEAD


async def test_a_downgrade_removes_our_tables_and_refuses_to_remove_notifys(database: str) -> None:
    before = dump_sql(database)
    await migrate.upgrade(database)

    with pytest.raises(CommandError) as raised:
        await migrate.downgrade(database, "base")

    assert str(raised.value) == (
        "GOV.UK Notify made this database: nothing was undone. Go back to 0013 at most (--down 0013), where nothing of "
        "ours is left."
    )
    assert await migrate.current(database) == HEAD
    await migrate.downgrade(database, "0013")
    assert await migrate.current(database) == "0013"
    await execute(database, "DROP TABLE graphql_api_version")
    assert dump_sql(database) == before


async def test_two_migrators_adopt_it_once(database: str) -> None:
    first, second = await run_migrator(database), await run_migrator(database)

    assert first[0].startswith("GOV.UK Notify made this database")
    assert second == [f"The database is at revision {HEAD}."]


async def test_an_incomplete_database_is_refused_unchanged(database: str) -> None:
    await execute(
        database,
        "UPDATE alembic_version SET version_num = '0500_earlier'",
        "DROP TABLE returned_letters",
        "ALTER TABLE services DROP COLUMN go_live_at",
        "ALTER TYPE recipient_type RENAME VALUE 'mobile' TO 'phone'",
    )
    before = dump_sql(database)

    for action in (migrate.upgrade, migrate.plan):
        with pytest.raises(CommandError) as raised:
            await action(database)

        assert str(raised.value) == (
            "GOV.UK Notify made this database, and at its revision 0500_earlier it lacks what we need: column "
            "services.go_live_at, table returned_letters and value mobile of type recipient_type. Nothing was "
            "changed: bring it to Notify's 0560_add_nhs_notify_org or later first."
        )
    assert dump_sql(database) == before


async def indexes_of(url: str) -> dict[str, str]:
    """Definitions of the valid indexes of Notify's tables, by name."""
    action = """
        SELECT relname, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE indisvalid AND indrelid = ANY ($1::text[]::regclass[])
    """
    async with open_connection(url) as connection:
        return dict(await connection.fetch(action, sorted(database_origins.NOTIFY_TABLES)))


async def test_our_indexes_on_its_tables_are_built_on_request(database: str, postgres_url: str) -> None:
    await migrate.upgrade(database)
    await execute(
        database,
        "CREATE INDEX ix_jobs_service_id_created_at_id ON jobs (service_id)",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_jobs_service_id_created_at_id'::regclass",
    )
    notify_tables = await indexes_of(database)
    built: list[str] = []

    await indexes.build(database, write_line=built.append)

    async with scratch_database(postgres_url) as ours:
        await migrate.upgrade(ours)
        assert await indexes_of(database) == await indexes_of(ours)
    assert built.pop() == "All indexes exist."
    assert sorted(built) == sorted(set(await indexes_of(database)) - set(notify_tables))
    again: list[str] = []
    await indexes.build(database, write_line=again.append)
    assert again == ["All indexes exist."]


async def test_no_index_is_built_during_a_migration(database: str) -> None:
    notify_tables = await indexes_of(database)
    async with open_connection(database) as migrator:
        await migrator.fetch("SELECT pg_advisory_lock($1)", database_origins.MIGRATION_LOCK_ID)

        with pytest.raises(CommandError, match=r"^Another process migrates the database: try again later\.$"):
            await indexes.build(database, write_line=print)

    assert await indexes_of(database) == notify_tables
