"""What is tried on a short-lived PostgreSQL: what migrations send it, and what a new one would have to do."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, literal
from sqlalchemy.engine import Engine

from graphql_api import migrate, postgres
from graphql_api.migrate.database_origins import NOTIFY_BASELINE_REVISION, is_skipped_revision
from graphql_api.migrate.upgrade_plans import revision_title

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITE_KEYWORDS = ("ALTER", "COMMENT", "CREATE", "DELETE", "DO", "DROP", "INSERT", "RESET", "SET", "UPDATE")
"""How statements begin that change something; the others are the migrator's own looking round."""

VERSION_STATEMENT = re.compile(r"(?:INSERT INTO|UPDATE) graphql_api_version\b.*?'(\d{4})'", re.DOTALL)

SCRIPT_HEADER = """\
-- What ./run migrate would send. It also waits for its turn, gives way to others' locks, and tries again.
SET lock_timeout = '100ms';
SET statement_timeout = 0;
"""


@contextlib.contextmanager
def temporary_database() -> Iterator[str]:
    """The address of a new, empty database on a server of its own, which goes afterwards."""
    with tempfile.TemporaryDirectory() as folder, postgres.start(Path(folder), durable=False) as server:
        yield server.url()


async def revision_statements() -> dict[str, list[str]]:
    """What each revision sends to an empty database, in order, as PostgreSQL gets it, by the revision's number."""
    sent: dict[str, list[str]] = {}
    latest: list[str] = []

    def note(connection: Any, _cursor: Any, statement: str, *about: Any) -> None:
        text = statement.strip().rstrip(";")
        if not text.upper().startswith(WRITE_KEYWORDS):
            return
        parameters, context, _many = about
        if parameters:
            values = [{name: literal(value) for name, value in row.items()} for row in context.compiled_parameters]
            rows = context.compiled.statement.values(values)
            text = str(rows.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
        latest.append(f"{text};")
        if noted := VERSION_STATEMENT.match(text):
            sent[noted[1]] = latest.copy()
            latest.clear()

    with temporary_database() as url:
        event.listen(Engine, "before_cursor_execute", note)
        try:
            await migrate.upgrade(url)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
    return sent


async def upgrade_script(url: str | None) -> str:
    """What `upgrade` would send to a database, or to an empty one.

    Each revision is a transaction, but for what must be outside of one.
    """
    with contextlib.nullcontext(url) if url else temporary_database() as there:
        plan = await migrate.plan(there)
    sent = await revision_statements()
    parts = [SCRIPT_HEADER.rstrip()]
    first = sent["0001"]
    if plan.origin.notify_revision and not plan.origin.revision:
        parts.append("\n\n".join([first[0], first[-1].replace("0001", NOTIFY_BASELINE_REVISION)]))
    for revision in plan.revisions:
        spare = bool(plan.origin.notify_revision)
        lines = sent[revision.revision][-1:] if spare and is_skipped_revision(revision) else sent[revision.revision]
        text = "\n\n".join(lines).replace("RESET lock_timeout", "SET lock_timeout = '100ms'")
        text = text if "CONCURRENTLY" in text else f"BEGIN;\n\n{text}\n\nCOMMIT;"
        parts.append(f"-- {revision_title(revision, made_by_notify=spare)}\n\n{text}")
    return "\n\n".join(parts)


async def create_revision(message: str) -> tuple[Path, list[str]]:
    """Write the next revision, from how the migrations differ from the models: its file, and how."""
    with temporary_database() as url:
        await migrate.upgrade(url)
        return await migrate.create_revision(url, message)
