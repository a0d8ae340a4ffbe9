"""Migrations: in order, reversible, equal to the models, one migrator at a time, patient with a busy database."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from alembic.config import Config
from alembic.script import ScriptDirectory

from graphql_api import migrate
from tests.models.databases import connected, scratch, shape

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = sorted((ROOT / "alembic" / "versions").glob("*.py"))
REVISIONS = [path.name[:4] for path in VERSIONS]

# The last revision of what Notify has too.
LAST_OF_NOTIFY = "0013"


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[str]:
    """The address of an empty database."""
    async with scratch(postgres_url) as url:
        yield url


async def upgraded_elsewhere(url: str) -> None:
    """Migrate in a process of its own, as a deployment does."""
    code = f"import asyncio; from graphql_api import migrate; asyncio.run(migrate.upgrade({url!r}))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")


def test_revisions_are_numbered_in_one_line() -> None:
    scripts = ScriptDirectory.from_config(Config(toml_file=ROOT / "pyproject.toml"))

    assert [f"{number:04}" for number in range(1, len(VERSIONS) + 1)] == REVISIONS
    assert [script.revision for script in scripts.walk_revisions()] == REVISIONS[::-1]
    assert scripts.get_heads() == [REVISIONS[-1]]


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
    await migrate.upgrade(database)

    await migrate.check(database)

    assert await migrate.current(database) == REVISIONS[-1]


async def test_check_tells_a_difference(database: str) -> None:
    await migrate.upgrade(database)
    async with connected(database) as connection:
        await connection.execute("ALTER TABLE sessions DROP COLUMN last_used_at")

    with pytest.raises(Exception, match=r"New upgrade operations detected: \[\('add_column', .*last_used_at"):
        await migrate.check(database)


@pytest.mark.timeout(180)
async def test_every_revision_can_be_undone_and_done_again(database: str) -> None:
    # The version table and the extension, which others may use, stay when all is undone.
    await migrate.upgrade(database)
    await migrate.downgrade(database, "base")
    shapes = {"base": shape(database)}
    for revision in REVISIONS:
        await migrate.upgrade(database, revision)
        shapes[revision] = shape(database)
    for revision, before in zip(REVISIONS[::-1], [*REVISIONS[-2::-1], "base"], strict=True):
        assert await migrate.current(database) == revision
        await migrate.downgrade(database, before)
        assert shape(database) == shapes[before]

    await migrate.upgrade(database)

    assert shape(database) == shapes[REVISIONS[-1]]


async def test_migrators_that_meet_take_turns(database: str) -> None:
    await asyncio.gather(*(upgraded_elsewhere(database) for _ in range(3)))

    assert await migrate.current(database) == REVISIONS[-1]
    await migrate.check(database)


async def test_a_migration_gives_way_to_a_busy_table_and_comes_back(database: str) -> None:
    await migrate.upgrade(database, LAST_OF_NOTIFY)
    async with connected(database) as busy, connected(database) as other:
        writing = busy.transaction()
        await writing.start()
        await busy.execute("LOCK TABLE services IN ROW EXCLUSIVE MODE")
        migrating = asyncio.create_task(migrate.upgrade(database, "0014"))
        # Whoever comes after the migration would wait behind it, did it not give up.
        await other.execute("SET lock_timeout = '500ms'")
        for _ in range(20):
            await asyncio.sleep(0.05)
            await other.execute("BEGIN; LOCK TABLE services IN ROW EXCLUSIVE MODE; COMMIT")
        waited = await migrate.current(database)
        await writing.rollback()
        await migrating

    assert waited == LAST_OF_NOTIFY
    assert await migrate.current(database) == "0014"


async def test_what_is_left_of_a_broken_off_index_is_replaced(database: str) -> None:
    index = "indexrelid = 'ix_notifications_job_id_created_at_id'::regclass"
    await migrate.upgrade(database, "0015")
    async with connected(database) as connection:
        await connection.execute("UPDATE graphql_api_version SET version_num = '0014'")
        await connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE {index}")

        await migrate.upgrade(database, "0015")

        assert await connection.fetchval(f"SELECT indisvalid FROM pg_index WHERE {index}") is True


async def test_a_database_that_notify_made_keeps_its_tables_and_gets_ours(database: str) -> None:
    # What is of Notify is what is left when all that is ours is undone, where Notify's own mark is.
    await migrate.upgrade(database)
    async with connected(database) as connection:
        await connection.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
        await migrate.downgrade(database, LAST_OF_NOTIFY)
        await connection.execute("DROP TABLE graphql_api_version")
        await connection.execute("CREATE TABLE theirs (id uuid PRIMARY KEY)")
        await connection.execute("INSERT INTO organisation_types (name) VALUES ('theirs')")
        before = shape(database)
        tables = [
            name for (name,) in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ]
        theirs = shape(database, *tables)

        await migrate.upgrade(database)
        await migrate.check(database)
        assert shape(database, *tables) == theirs
        with pytest.raises(RuntimeError, match=r"^Notify made this database: it cannot go back to before 0013$"):
            await migrate.downgrade(database, "base")

        assert await connection.fetchval("SELECT count(*) FROM organisation_types WHERE name = 'theirs'") == 1
        assert await migrate.current(database) == LAST_OF_NOTIFY
        await connection.execute("DROP TABLE graphql_api_version")
        assert shape(database) == before


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
        with pytest.raises(RuntimeError, match=r"^Migrations need a direct connection to PostgreSQL, not a pooler$"):
            await migrate.upgrade(pooled)

    assert await migrate.current(database) is None
