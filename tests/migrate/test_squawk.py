"""The statements of each migration pass squawk, which finds those that block a busy table; also in `./run lint`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from graphql_api import postgres
from tests.migrations import REVISIONS, revision_statements

SQUAWK = Path(sys.executable).parent / "squawk"

EXCLUDED_RULES = (
    "prefer-bigint-over-int",  # Notify's tables keep their columns
    "prefer-bigint-over-smallint",
    "prefer-identity",
    "prefer-text-field",
    "prefer-timestamp-tz",
    "prefer-robust-stmts",  # a migration is one transaction, or one concurrent index after dropping its remains
)
TIMEOUTS = "SET lock_timeout = '1s';\nSET statement_timeout = '1min';\n"  # set by env.py on the connection


@pytest.fixture(scope="module")
def statements() -> dict[str, list[str]]:
    """The statements that each revision sends to an empty database."""
    try:
        postgres.find_binaries()
    except postgres.PostgresError as error:
        pytest.skip(str(error))
    return revision_statements()


def test_every_migration_is_recorded(statements: dict[str, list[str]]) -> None:
    assert list(statements) == REVISIONS


def test_no_migration_blocks_a_busy_table(statements: dict[str, list[str]], tmp_path: Path) -> None:
    for revision, lines in statements.items():
        text = "\n".join(line for line in lines if not line.startswith(("INSERT", "UPDATE graphql_api_version")))
        text = text if "CONCURRENTLY" in text else f"BEGIN;\n{text}\nCOMMIT;\n"
        (tmp_path / f"{revision}.sql").write_text(TIMEOUTS + text)
    command = [str(SQUAWK), "--pg-version=15", "--reporter=gcc", "--exclude", ",".join(EXCLUDED_RULES)]
    scripts = sorted(map(str, tmp_path.glob("*.sql")))
    completed = subprocess.run([*command, *scripts], capture_output=True, check=False, text=True)
    warnings = re.findall(r"/(\d{4})\.sql:\d+:\d+: \w+: ([\w-]+)", completed.stdout)

    # 0014 indexes tables of thousands of rows, so writes wait only briefly. 0055 indexes a materialised view that it
    # has just created; squawk recognises only new tables.
    concurrently = "require-concurrent-index-creation"
    assert set(warnings) == {("0014", concurrently), ("0055", concurrently)}, completed.stdout + completed.stderr
