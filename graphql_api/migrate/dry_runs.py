"""Runs against a temporary PostgreSQL: the statements of migrations, and new revisions."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, literal
from sqlalchemy.engine import Engine

from graphql_api import postgres
from graphql_api.migrate import runner
from graphql_api.migrate.database_origins import NOTIFY_BASELINE_REVISION, is_skipped_revision
from graphql_api.migrate.upgrade_plans import revision_title

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITE_KEYWORDS = ("ALTER", "COMMENT", "CREATE", "DELETE", "DO", "DROP", "INSERT", "RESET", "SET", "UPDATE")
"""First words of statements that change the database; the migrator's own queries are left out."""

VERSION_STATEMENT = re.compile(r"(?:INSERT INTO|UPDATE) graphql_api_version\b.*?'(\d{4})'", re.DOTALL)

SCRIPT_HEADER = """\
-- The statements of ./run migrate, which also takes an advisory lock, and retries when a lock is not available.
SET lock_timeout = '100ms';
SET statement_timeout = 0;
"""


@contextlib.contextmanager
def temporary_database() -> Iterator[str]:
    """The URL of a new, empty database on a server that stops at the end of the context."""
    with tempfile.TemporaryDirectory() as folder, postgres.start(Path(folder), durable=False) as server:
        yield server.url()


async def revision_statements() -> dict[str, list[str]]:
    """The statements that each revision sends to an empty database, by revision."""
    by_revision: dict[str, list[str]] = {}
    statements: list[str] = []

    def record(connection: Any, _cursor: Any, statement: str, *execution: Any) -> None:
        text = statement.strip().rstrip(";")
        if not text.upper().startswith(WRITE_KEYWORDS):
            return
        parameters, context, _many = execution
        if parameters:
            values = [{name: literal(value) for name, value in row.items()} for row in context.compiled_parameters]
            insert = context.compiled.statement.values(values)
            text = str(insert.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
        statements.append(f"{text};")
        if match := VERSION_STATEMENT.match(text):
            by_revision[match[1]] = statements.copy()
            statements.clear()

    with temporary_database() as url:
        event.listen(Engine, "before_cursor_execute", record)
        try:
            await runner.upgrade(url)
        finally:
            event.remove(Engine, "before_cursor_execute", record)
    return by_revision


async def upgrade_script(url: str | None) -> str:
    """The SQL of `upgrade` for a database, without a URL for an empty one; a transaction for each revision.

    Indexes that are built concurrently are outside transactions.
    """
    with contextlib.nullcontext(url) if url else temporary_database() as database_url:
        plan = await runner.plan(database_url)
    statements = await revision_statements()
    parts = [SCRIPT_HEADER.rstrip()]
    if plan.origin.notify_revision and not plan.origin.revision:
        create_version_table, *_, insert_version = statements["0001"]
        parts.append(f"{create_version_table}\n\n{insert_version.replace('0001', NOTIFY_BASELINE_REVISION)}")
    for revision in plan.revisions:
        made_by_notify = bool(plan.origin.notify_revision)
        lines = statements[revision.revision]
        if made_by_notify and is_skipped_revision(revision):
            lines = lines[-1:]
        text = "\n\n".join(lines).replace("RESET lock_timeout", "SET lock_timeout = '100ms'")
        text = text if "CONCURRENTLY" in text else f"BEGIN;\n\n{text}\n\nCOMMIT;"
        parts.append(f"-- {revision_title(revision, made_by_notify=made_by_notify)}\n\n{text}")
    return "\n\n".join(parts)


async def create_revision(message: str) -> tuple[Path, list[str]]:
    """Write the next revision from how the migrations differ from the models; its file and the differences."""
    with temporary_database() as url:
        await runner.upgrade(url)
        return await runner.create_revision(url, message)
