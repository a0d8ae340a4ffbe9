"""The statements of each migration, as PostgreSQL heard them: squawk tells whether they would stop a busy service."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphql_api import migrate, postgres

SQUAWK = Path(sys.executable).parent / "squawk"

NOT_ASKED = (
    "prefer-bigint-over-int",  # Notify's tables have the columns that they have
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "prefer-robust-stmts",  # a migration is one transaction, or one concurrent index after dropping its remains
)
HEARD = re.compile(r"LOG:  (?:execute \w+|statement): (.*)")
VERSION = re.compile(r"(?:INSERT INTO|UPDATE) graphql_api_version\b.*?'(\d{4})'")
TIMEOUTS = "SET lock_timeout = '1s';\nSET statement_timeout = '1min';\n"  # which env.py sets on the connection


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file for each migration."""
    try:
        postgres.find_binaries()
    except postgres.PostgresError as error:
        pytest.skip(str(error))
    place = tmp_path_factory.mktemp("squawk")
    settings = {"log_statement": "mod", "log_line_prefix": ""}
    with postgres.start(place / "data", durable=False, settings=settings) as server:
        asyncio.run(migrate.upgrade(server.url()))
    statements: list[str] = []
    for line in (place / "data" / "log").read_text().splitlines():
        if heard := HEARD.match(line):
            statements.append(heard[1])
        elif line.startswith("\t") and statements:
            statements[-1] += "\n" + line.removeprefix("\t")
    (place / "scripts").mkdir()
    script: list[str] = []
    for statement in statements:
        if version := VERSION.match(statement):
            text = "".join(f"{one};\n" for one in script if not one.startswith("INSERT"))
            text = text if "CONCURRENTLY" in text else f"BEGIN;\n{text}COMMIT;\n"
            (place / "scripts" / f"{version[1]}.sql").write_text(TIMEOUTS + text)
            script = []
        elif statement.strip():
            script.append(statement.strip())
    return place / "scripts"


def test_every_migration_was_heard(scripts: Path) -> None:
    revisions = sorted(path.name[:4] for path in (Path(migrate.PYPROJECT).parent / "alembic" / "versions").glob("*.py"))

    assert sorted(path.stem for path in scripts.glob("*.sql")) == revisions


def test_no_migration_stops_a_busy_service(scripts: Path) -> None:
    command = [str(SQUAWK), "--pg-version=15", "--reporter=gcc", "--exclude", ",".join(NOT_ASKED)]
    done = subprocess.run(
        [*command, *sorted(map(str, scripts.glob("*.sql")))], capture_output=True, check=False, text=True
    )
    found = re.findall(r"/(\d{4})\.sql:\d+:\d+: \w+: ([\w-]+)", done.stdout)

    # 0014 indexes tables of thousands of rows, not millions: a moment without writes to them is none.
    assert set(found) == {("0014", "require-concurrent-index-creation")}, done.stdout + done.stderr
