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
from graphql_api.migrate.database_origins import LAST_OF_NOTIFY, spared
from graphql_api.migrate.upgrade_plans import titled

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANGES = ("ALTER", "COMMENT", "CREATE", "DELETE", "DO", "DROP", "INSERT", "RESET", "SET", "UPDATE")
"""How statements begin that change something; the others are the migrator's own looking round."""

VERSIONS = re.compile(r"(?:INSERT INTO|UPDATE) graphql_api_version\b.*?'(\d{4})'", re.DOTALL)

HEADER = """\
-- What ./run migrate would send. It also waits for its turn, gives way to others' locks, and tries again.
SET lock_timeout = '100ms';
SET statement_timeout = 0;
"""


@contextlib.contextmanager
def rehearsal() -> Iterator[str]:
    """The address of a new, empty database on a server of its own, which goes afterwards."""
    with tempfile.TemporaryDirectory() as folder, postgres.start(Path(folder), durable=False) as server:
        yield server.url()


async def statements() -> dict[str, list[str]]:
    """What each revision sends to an empty database, in order, as PostgreSQL gets it, by the revision's number."""
    sent: dict[str, list[str]] = {}
    latest: list[str] = []

    def note(connection: Any, _cursor: Any, statement: str, *about: Any) -> None:
        text = statement.strip().rstrip(";")
        if not text.upper().startswith(CHANGES):
            return
        parameters, context, _many = about
        if parameters:
            values = [{name: literal(value) for name, value in row.items()} for row in context.compiled_parameters]
            rows = context.compiled.statement.values(values)
            text = str(rows.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
        latest.append(f"{text};")
        if noted := VERSIONS.match(text):
            sent[noted[1]] = latest.copy()
            latest.clear()

    with rehearsal() as url:
        event.listen(Engine, "before_cursor_execute", note)
        try:
            await migrate.upgrade(url)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
    return sent


async def script(url: str | None) -> str:
    """What `upgrade` would send to a database, or to an empty one.

    Each revision is a transaction, but for what must be outside of one.
    """
    with contextlib.nullcontext(url) if url else rehearsal() as there:
        plan = await migrate.plan(there)
    sent = await statements()
    parts = [HEADER.rstrip()]
    first = sent["0001"]
    if plan.owner.notify and not plan.owner.revision:
        parts.append("\n\n".join([first[0], first[-1].replace("0001", LAST_OF_NOTIFY)]))
    for revision in plan.revisions:
        spare = bool(plan.owner.notify)
        lines = sent[revision.revision][-1:] if spare and spared(revision) else sent[revision.revision]
        text = "\n\n".join(lines).replace("RESET lock_timeout", "SET lock_timeout = '100ms'")
        text = text if "CONCURRENTLY" in text else f"BEGIN;\n\n{text}\n\nCOMMIT;"
        parts.append(f"-- {titled(revision, spare=spare)}\n\n{text}")
    return "\n\n".join(parts)


async def new(message: str) -> tuple[Path, list[str]]:
    """Write the next revision, from how the migrations differ from the models: its file, and how."""
    with rehearsal() as url:
        await migrate.upgrade(url)
        return await migrate.new(url, message)
