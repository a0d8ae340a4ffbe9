"""Migrations: ordered, reversible, equal to the models, one migrator at a time, retried on a busy database."""

from __future__ import annotations

import ast
import asyncio
import re
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import pytest_asyncio
from alembic.config import Config
from alembic.script import ScriptDirectory

from graphql_api import migrate
from graphql_api.errors import CommandError
from graphql_api.migrate import dry_runs, lock_waits
from tests.migrations import REVISIONS, ROOT, migration_steps, run_migrator, run_psql
from tests.models.databases import dump_sql, execute, open_connection, scratch_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

VERSIONS = sorted((ROOT / "alembic" / "versions").glob("*.py"))
HEAD = REVISIONS[-1]


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[str]:
    """The URL of an empty database."""
    async with scratch_database(postgres_url) as url:
        yield url


def test_revisions_are_numbered_in_one_line() -> None:
    scripts = ScriptDirectory.from_config(Config(toml_file=ROOT / "pyproject.toml"))

    assert [path.name[:4] for path in VERSIONS] == REVISIONS
    assert [f"{number:04}" for number in range(1, len(VERSIONS) + 1)] == REVISIONS
    assert scripts.get_heads() == [HEAD]


def test_no_package_of_ours_hides_alembic() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_revision_imports_none_of_our_packages(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])

    assert imported & {"graphql_api", "schema", "loaders", "tests"} == set()


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_revision_that_builds_an_index_concurrently_does_only_that(path: Path) -> None:
    text = path.read_text()

    assert text.count("create_index(") == 1 or "concurrently" not in text
    assert "create_table" not in text or "concurrently" not in text


async def test_migrations_create_what_the_models_declare(database: str) -> None:
    lines: list[str] = []
    await migrate.upgrade(database, write_line=lines.append)

    await migrate.check(database)

    assert await migrate.current(database) == HEAD
    steps = migration_steps(lines)
    assert [line[:4] for line in steps] == REVISIONS
    assert re.fullmatch(r"0014 Add indexes for the orders of pages, \d+\.\d\d s", steps[13])


async def test_a_difference_from_the_models_is_listed(database: str) -> None:
    await migrate.upgrade(database)
    await execute(database, "ALTER TABLE sessions DROP COLUMN last_used_at, ALTER COLUMN user_id DROP NOT NULL")

    with pytest.raises(CommandError) as raised:
        await migrate.check(database)

    assert str(raised.value).splitlines() == [
        "The database differs from the models:",
        "add column sessions.last_used_at",
        "modify nullable sessions.user_id: True in the database, False in the models",
    ]


@pytest.mark.timeout(900)
async def test_every_revision_can_be_undone_and_done_again(database: str) -> None:
    # The version table, and the extension, which other programs may use, stay after a downgrade to base.
    await migrate.upgrade(database)
    await migrate.downgrade(database, "base")
    shapes = {"base": dump_sql(database)}
    for revision in REVISIONS:
        await migrate.upgrade(database, revision)
        shapes[revision] = dump_sql(database)
    for revision, before in zip(REVISIONS[::-1], [*REVISIONS[-2::-1], "base"], strict=True):
        assert await migrate.current(database) == revision
        await migrate.downgrade(database, before)
        assert dump_sql(database) == shapes[before]

    await migrate.upgrade(database)

    assert dump_sql(database) == shapes[HEAD]


async def test_concurrent_migrators_run_one_after_the_other(database: str) -> None:
    outputs = await asyncio.gather(*(run_migrator(database) for _ in range(3)))

    applied = [line[:4] for lines in outputs for line in lines if line[:4].isdigit()]
    assert applied == REVISIONS
    assert [lines[-1] for lines in outputs] == [f"The database is at revision {HEAD}."] * 3


async def test_a_migration_does_not_block_a_busy_table_and_retries(database: str) -> None:
    await migrate.upgrade(database, "0013")
    lines: list[str] = []
    async with open_connection(database) as busy, open_connection(database) as other:
        await busy.execute("SET application_name = 'psql'")
        writing = busy.transaction()
        await writing.start()
        await busy.execute("LOCK TABLE services IN ROW EXCLUSIVE MODE")
        await busy.execute("UPDATE services SET name = 'a secret'")
        pid = busy.get_server_pid()
        migrating = asyncio.create_task(migrate.upgrade(database, "0014", write_line=lines.append))
        # Without the short lock timeout, later sessions would queue behind the migration.
        await other.execute("SET lock_timeout = '30s'")
        for _ in range(20):
            await asyncio.sleep(0.05)
            await other.execute("BEGIN; LOCK TABLE services IN ROW EXCLUSIVE MODE; COMMIT")
        revision_while_busy = await migrate.current(database)
        await writing.rollback()
        await migrating

    assert revision_while_busy == "0013"
    assert await migrate.current(database) == "0014"
    assert len(migration_steps(lines)) == 1
    waits_for = "  waiting for ShareLock on services, behind pid"
    assert re.fullmatch(rf"{waits_for} {pid} \(psql\), idle in transaction after UPDATE, for \d+ s", lines[0])


async def test_a_migration_that_does_not_get_its_lock_names_the_session_that_has_it(database: str) -> None:
    await migrate.upgrade(database, "0013")
    async with open_connection(database) as busy, busy.transaction():
        await busy.execute("LOCK TABLE services IN ROW EXCLUSIVE MODE")

        with pytest.raises(CommandError) as raised:
            await migrate.upgrade(database, "0014", timeout_seconds=1)

        pid = busy.get_server_pid()
    assert re.fullmatch(
        r"Revision 0014 did not get its locks in \d s \(waiting for ShareLock on services, behind "
        rf"pid {pid}, idle in transaction after LOCK, for \d+ s\)\. It was rolled back, earlier revisions stay "
        r"applied: end what it waits for, or run \./run migrate again when it is quieter\.",
        str(raised.value),
    )
    assert await migrate.current(database) == "0013"


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("select 'a secret'", "SELECT"),
        (" /* why */ -- a secret\n (WITH x AS (SELECT 1) TABLE x)", "WITH"),
        ("secret", "a statement"),
        ("", "a statement"),
        ("<insufficient privilege>", "a statement"),
    ],
)
def test_of_a_blocking_statement_only_its_keyword_is_reported(query: str, word: str) -> None:
    assert lock_waits.statement_keyword(query) == word


async def test_the_remains_of_an_interrupted_index_build_are_replaced(database: str) -> None:
    index = "indexrelid = 'ix_notifications_job_id_created_at_id'::regclass"
    await migrate.upgrade(database, "0015")
    async with open_connection(database) as connection:
        await connection.execute("UPDATE graphql_api_version SET version_num = '0014'")
        await connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE {index}")

        await migrate.upgrade(database, "0015")

        assert await connection.fetchval(f"SELECT indisvalid FROM pg_index WHERE {index}") is True


async def test_a_database_of_another_program_is_refused_unchanged(database: str) -> None:
    await execute(database, "CREATE TABLE users (id int)", "CREATE TABLE theirs (id int)")
    before = dump_sql(database)

    with pytest.raises(CommandError) as raised:
        await migrate.upgrade(database)

    assert str(raised.value) == (
        "The database holds tables of our names (users), and neither graphql_api_version nor Notify's alembic_version "
        "records who created them. Nothing was changed: use an empty database, or restore the version table that "
        "belongs to them."
    )
    assert dump_sql(database) == before


async def test_the_database_of_a_newer_release_is_not_changed(database: str) -> None:
    await migrate.upgrade(database)
    await execute(database, "UPDATE graphql_api_version SET version_num = '9999'")

    lines = await run_migrator(database)
    checked = await run_migrator(database, "--check")
    with pytest.raises(
        CommandError, match=r"^The database is at revision 9999, which only a newer release knows: use "
    ):
        await migrate.downgrade(database, "0013")

    assert lines[0] == "A newer release has brought the database to revision 9999: nothing to do."
    assert checked == lines[:1]


async def test_a_plan_lists_the_pending_revisions(database: str) -> None:
    empty = (await migrate.plan(database)).lines()
    await migrate.upgrade(database, "0029")
    halfway = (await migrate.plan(database)).lines()
    await migrate.upgrade(database)
    up_to_date = (await migrate.plan(database)).lines()

    assert (empty[0], len(empty)) == ("The database is empty. To come:", 1 + len(REVISIONS))
    assert halfway[:2] == ["The database is at revision 0029. To come:", "0030 Add the tables of the queue"]
    assert up_to_date == [f"The database is at revision {HEAD}: nothing to do."]


@pytest.mark.parametrize("before", ["base", "0020"])
async def test_the_script_does_what_the_migration_does(database: str, before: str) -> None:
    await migrate.upgrade(database)
    expected = dump_sql(database)
    await migrate.downgrade(database, before)

    script = await dry_runs.upgrade_script(database)
    if before == "base":
        script = script.replace("CREATE TABLE graphql_api_version", "CREATE TABLE IF NOT EXISTS graphql_api_version")
    await run_psql(database, script)

    assert dump_sql(database) == expected
    assert await migrate.current(database) == HEAD


def test_a_new_revision_is_numbered_formatted_and_lists_what_autogenerate_saw(tmp_path: Path) -> None:
    for folder in ("alembic", "graphql_api"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("static", "__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "graphql_api" / "models" / "__init__.py").open("a") as file:
        file.write(
            "\nimport sqlalchemy\n\nSession.__table__.append_column(sqlalchemy.Column('note', sqlalchemy.Text))\n"
        )
    following = f"{int(HEAD) + 1:04}"

    command = [sys.executable, "-m", "graphql_api", "migrate", "--new", "Add notes to sessions"]
    completed = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, text=True)

    assert (completed.returncode, completed.stderr) == (0, "")
    name = f"{following}_add_notes_to_sessions.py"
    assert completed.stdout.splitlines() == [f"alembic/versions/{name}", "  add column sessions.note"]
    assert (
        (tmp_path / "alembic" / "versions" / name).read_text()
        == f'''\
"""Add notes to sessions.

Autogenerate saw:
- add column sessions.note
"""

import sqlalchemy as sa
from alembic import op

revision = "{following}"
down_revision = "{HEAD}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("note", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("sessions", "note")
'''
    )


@pytest.mark.parametrize("action", [migrate.plan, migrate.upgrade])
async def test_a_connection_that_fails_has_a_message(database: str, action: Callable[[str], Awaitable[object]]) -> None:
    address = urlsplit(database)
    wrong = {
        address._replace(path="/nowhere"): "The database in DATABASE_URL does not exist: create it first.",
        address._replace(netloc=address.netloc.replace(address.username or "", "nobody", 1)): (
            "PostgreSQL rejects the password in DATABASE_URL."
        ),
    }
    for url, message in wrong.items():
        with pytest.raises(CommandError) as raised:
            await action(url.geturl())

        assert str(raised.value) == message


async def test_a_role_without_permission_has_a_message(database: str) -> None:
    role = f"guest_{uuid4().hex[:8]}"
    address = urlsplit(database)
    guest = address._replace(netloc=f"{role}:guest@{address.netloc.rpartition('@')[2]}").geturl()
    await execute(database, f"CREATE ROLE {role} LOGIN PASSWORD 'guest'")
    try:
        with pytest.raises(CommandError) as raised:
            await migrate.upgrade(guest)
    finally:
        await execute(database, f"DROP ROLE {role}")

    assert str(raised.value) == (
        "The role in DATABASE_URL lacks a permission: migrate as the owner of the database and its tables."
    )


@asynccontextmanager
async def pooler(url: str) -> AsyncIterator[str]:
    """A proxy in front of PostgreSQL that reports a process id of its own, as poolers do."""
    server = urlsplit(url)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            # PostgreSQL's BackendKeyData message: its own process id, and a key to cancel by.
            writer.write(re.sub(rb"(?<=K\x00\x00\x00\x0c)....", b"\x00\x00\x00\x01", data, flags=re.DOTALL))
            await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_connection(server.hostname, server.port)
        await asyncio.gather(pump(reader, down), pump(up, writer))

    async with await asyncio.start_server(accept, "127.0.0.1") as proxy:
        port = proxy.sockets[0].getsockname()[1]
        yield server._replace(netloc=f"{server.netloc.rpartition(':')[0]}:{port}").geturl()


async def test_a_pooled_connection_is_refused(database: str) -> None:
    async with pooler(database) as pooled:
        with pytest.raises(CommandError) as raised:
            await migrate.upgrade(pooled)

    assert str(raised.value) == (
        "Migrations need a direct connection to PostgreSQL, and DATABASE_URL names a pooler: name the server itself."
    )
    assert await migrate.current(database) is None
