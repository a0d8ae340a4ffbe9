"""Migrations: in order, reversible, equal to the models, one migrator at a time, patient with a busy database."""

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
    """The address of an empty database."""
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
def test_a_revision_imports_nothing_of_ours(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])

    assert imported & {"graphql_api", "schema", "loaders", "tests"} == set()


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_revision_that_builds_an_index_beside_traffic_does_only_that(path: Path) -> None:
    text = path.read_text()

    assert text.count("create_index(") == 1 or "concurrently" not in text
    assert "create_table" not in text or "concurrently" not in text


async def test_migrations_make_what_the_models_say(database: str) -> None:
    said: list[str] = []
    await migrate.upgrade(database, write_line=said.append)

    await migrate.check(database)

    assert await migrate.current(database) == HEAD
    done = migration_steps(said)
    assert [line[:4] for line in done] == REVISIONS
    assert re.fullmatch(r"0014 Index the orders in which lists are read page by page, \d+\.\d\d s", done[13])


async def test_a_difference_from_the_models_is_told(database: str) -> None:
    await migrate.upgrade(database)
    await execute(database, "ALTER TABLE sessions DROP COLUMN last_used_at, ALTER COLUMN user_id DROP NOT NULL")

    with pytest.raises(CommandError) as complaint:
        await migrate.check(database)

    assert str(complaint.value).splitlines() == [
        "The database differs from the models:",
        "add column sessions.last_used_at",
        "modify nullable sessions.user_id: True in the database, False in the models",
    ]


@pytest.mark.timeout(900)
async def test_every_revision_can_be_undone_and_done_again(database: str) -> None:
    # The version table and the extension, which others may use, stay when all is undone.
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


async def test_migrators_that_meet_take_turns(database: str) -> None:
    said = await asyncio.gather(*(run_migrator(database) for _ in range(3)))

    done = [line[:4] for lines in said for line in lines if line[:4].isdigit()]
    assert done == REVISIONS
    assert [lines[-1] for lines in said] == [f"The database is at revision {HEAD}."] * 3


async def test_a_migration_gives_way_to_a_busy_table_and_comes_back(database: str) -> None:
    await migrate.upgrade(database, "0013")
    said: list[str] = []
    async with open_connection(database) as busy, open_connection(database) as other:
        await busy.execute("SET application_name = 'psql'")
        writing = busy.transaction()
        await writing.start()
        await busy.execute("LOCK TABLE services IN ROW EXCLUSIVE MODE")
        await busy.execute("UPDATE services SET name = 'a secret'")
        pid = busy.get_server_pid()
        migrating = asyncio.create_task(migrate.upgrade(database, "0014", write_line=said.append))
        # Whoever comes after the migration would wait behind it, did it not give up.
        await other.execute("SET lock_timeout = '30s'")
        for _ in range(20):
            await asyncio.sleep(0.05)
            await other.execute("BEGIN; LOCK TABLE services IN ROW EXCLUSIVE MODE; COMMIT")
        waited = await migrate.current(database)
        await writing.rollback()
        await migrating

    assert waited == "0013"
    assert await migrate.current(database) == "0014"
    assert len(migration_steps(said)) == 1
    waits_for = "  waiting for ShareLock on services, behind pid"
    assert re.fullmatch(rf"{waits_for} {pid} \(psql\), idle in transaction after UPDATE, for \d+ s", said[0])


async def test_a_migration_that_never_gets_its_lock_says_who_has_it(database: str) -> None:
    await migrate.upgrade(database, "0013")
    async with open_connection(database) as busy, busy.transaction():
        await busy.execute("LOCK TABLE services IN ROW EXCLUSIVE MODE")

        with pytest.raises(CommandError) as complaint:
            await migrate.upgrade(database, "0014", timeout_seconds=1)

        pid = busy.get_server_pid()
    assert re.fullmatch(
        r"Revision 0014 did not get its locks in \d s \(waiting for ShareLock on services, behind "
        rf"pid {pid}, idle in transaction after LOCK, for \d+ s\)\. Nothing of it is done, and what came before it "
        r"stays: end what it waits for, or run \./run migrate again when it is quieter\.",
        str(complaint.value),
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
def test_of_a_statement_that_is_in_the_way_only_its_kind_is_told(query: str, word: str) -> None:
    assert lock_waits.statement_keyword(query) == word


async def test_what_is_left_of_a_broken_off_index_is_replaced(database: str) -> None:
    index = "indexrelid = 'ix_notifications_job_id_created_at_id'::regclass"
    await migrate.upgrade(database, "0015")
    async with open_connection(database) as connection:
        await connection.execute("UPDATE graphql_api_version SET version_num = '0014'")
        await connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE {index}")

        await migrate.upgrade(database, "0015")

        assert await connection.fetchval(f"SELECT indisvalid FROM pg_index WHERE {index}") is True


async def test_a_database_of_somebody_else_is_refused_before_anything_is_touched(database: str) -> None:
    await execute(database, "CREATE TABLE users (id int)", "CREATE TABLE theirs (id int)")
    before = dump_sql(database)

    with pytest.raises(CommandError) as complaint:
        await migrate.upgrade(database)

    assert str(complaint.value) == (
        "The database holds tables of our names (users), and neither graphql_api_version nor Notify's alembic_version "
        "tells who made them. Nothing was changed: use an empty database, or restore the version table that belongs "
        "to them."
    )
    assert dump_sql(database) == before


async def test_the_database_of_a_newer_release_is_left_alone(database: str) -> None:
    await migrate.upgrade(database)
    await execute(database, "UPDATE graphql_api_version SET version_num = '9999'")

    said = await run_migrator(database)
    checked = await run_migrator(database, "--check")
    with pytest.raises(
        CommandError, match=r"^The database is at revision 9999, which only a newer release knows: use "
    ):
        await migrate.downgrade(database, "0013")

    assert said[0] == "A newer release has brought the database to revision 9999: nothing to do."
    assert checked == said[:1]


async def test_a_plan_tells_what_would_happen(database: str) -> None:
    empty = (await migrate.plan(database)).lines()
    await migrate.upgrade(database, "0029")
    halfway = (await migrate.plan(database)).lines()
    await migrate.upgrade(database)
    done = (await migrate.plan(database)).lines()

    assert (empty[0], len(empty)) == ("The database is empty. To come:", 1 + len(REVISIONS))
    assert halfway[:2] == ["The database is at revision 0029. To come:", "0030 Add the tables of the queue"]
    assert done == [f"The database is at revision {HEAD}: nothing to do."]


@pytest.mark.parametrize("before", ["base", "0020"])
async def test_the_script_does_what_the_migration_does(database: str, before: str) -> None:
    await migrate.upgrade(database)
    made = dump_sql(database)
    await migrate.downgrade(database, before)

    script = await dry_runs.upgrade_script(database)
    if before == "base":
        script = script.replace("CREATE TABLE graphql_api_version", "CREATE TABLE IF NOT EXISTS graphql_api_version")
    await run_psql(database, script)

    assert dump_sql(database) == made
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
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    name = f"{following}_add_notes_to_sessions.py"
    assert done.stdout.splitlines() == [f"alembic/versions/{name}", "  add column sessions.note"]
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


@pytest.mark.parametrize("question", [migrate.plan, migrate.upgrade])
async def test_who_cannot_come_in_is_told_why(database: str, question: Callable[[str], Awaitable[object]]) -> None:
    place = urlsplit(database)
    wrong = {
        place._replace(path="/nowhere"): "The database of DATABASE_URL does not exist: create it first.",
        place._replace(netloc=place.netloc.replace(place.username or "", "nobody", 1)): (
            "PostgreSQL does not take the password of DATABASE_URL: mend it."
        ),
    }
    for url, sentence in wrong.items():
        with pytest.raises(CommandError) as complaint:
            await question(url.geturl())

        assert str(complaint.value) == sentence


async def test_a_role_that_may_not_migrate_is_told_so(database: str) -> None:
    role = f"guest_{uuid4().hex[:8]}"
    place = urlsplit(database)
    guest = place._replace(netloc=f"{role}:guest@{place.netloc.rpartition('@')[2]}").geturl()
    await execute(database, f"CREATE ROLE {role} LOGIN PASSWORD 'guest'")
    try:
        with pytest.raises(CommandError) as complaint:
            await migrate.upgrade(guest)
    finally:
        await execute(database, f"DROP ROLE {role}")

    assert str(complaint.value) == (
        "The role of DATABASE_URL may not do this: migrate as the owner of the database and its tables."
    )


@asynccontextmanager
async def pooler(url: str) -> AsyncIterator[str]:
    """Something between us and PostgreSQL that tells a process id of its own, as poolers do."""
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

    async with await asyncio.start_server(accept, "127.0.0.1") as listening:
        port = listening.sockets[0].getsockname()[1]
        yield server._replace(netloc=f"{server.netloc.rpartition(':')[0]}:{port}").geturl()


async def test_a_pooled_connection_is_refused(database: str) -> None:
    async with pooler(database) as pooled:
        with pytest.raises(CommandError) as complaint:
            await migrate.upgrade(pooled)

    assert str(complaint.value) == (
        "Migrations need a direct connection to PostgreSQL, and DATABASE_URL names a pooler: name the server itself."
    )
    assert await migrate.current(database) is None
