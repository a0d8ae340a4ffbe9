"""The statements of each migration: squawk tells whether they would stop a busy service. `./run lint` runs it too."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphql_api import postgres
from tests.migrations import REVISIONS, revision_statements

SQUAWK = Path(sys.executable).parent / "squawk"

NOT_ASKED = (
    "prefer-bigint-over-int",  # Notify's tables have the columns that they have
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "prefer-robust-stmts",  # a migration is one transaction, or one concurrent index after dropping its remains
)
TIMEOUTS = "SET lock_timeout = '1s';\nSET statement_timeout = '1min';\n"  # which env.py sets on the connection


@pytest.fixture(scope="module")
def sent() -> dict[str, list[str]]:
    """What each revision sends to an empty database."""
    try:
        postgres.find_binaries()
    except postgres.PostgresError as error:
        pytest.skip(str(error))
    return revision_statements()


def test_every_migration_was_heard(sent: dict[str, list[str]]) -> None:
    assert list(sent) == REVISIONS


def test_no_migration_stops_a_busy_service(sent: dict[str, list[str]], tmp_path: Path) -> None:
    for revision, lines in sent.items():
        text = "\n".join(line for line in lines if not line.startswith(("INSERT", "UPDATE graphql_api_version")))
        text = text if "CONCURRENTLY" in text else f"BEGIN;\n{text}\nCOMMIT;\n"
        (tmp_path / f"{revision}.sql").write_text(TIMEOUTS + text)
    command = [str(SQUAWK), "--pg-version=15", "--reporter=gcc", "--exclude", ",".join(NOT_ASKED)]
    scripts = sorted(map(str, tmp_path.glob("*.sql")))
    done = subprocess.run([*command, *scripts], capture_output=True, check=False, text=True)
    found = re.findall(r"/(\d{4})\.sql:\d+:\d+: \w+: ([\w-]+)", done.stdout)

    # 0014 indexes tables of thousands of rows, not millions: a moment without writes to them is none. 0055 indexes a
    # materialised view that it has just made, which squawk knows of tables only.
    concurrently = "require-concurrent-index-creation"
    assert set(found) == {("0014", concurrently), ("0055", concurrently)}, done.stdout + done.stderr
