"""The migrations as a script: what they send to an empty database, for reading and for linting."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from graphql_api import migrate, postgres

CHANGES = ("ALTER", "COMMENT", "CREATE", "DELETE", "DO", "DROP", "INSERT", "UPDATE")
"""How statements begin that change something; the others are the migrator's own looking round."""


async def migrations() -> str:
    """Every statement of every migration, in order, as PostgreSQL got it.

    They look at the database that they change, so that a short-lived one is started for them.
    """
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        text = statement.strip().rstrip(";")
        if text.upper().startswith(CHANGES):
            sent.append(f"{text};")

    with tempfile.TemporaryDirectory() as folder, postgres.start(Path(folder), durable=False) as server:
        event.listen(Engine, "before_cursor_execute", note)
        try:
            await migrate.upgrade(server.url())
        finally:
            event.remove(Engine, "before_cursor_execute", note)
    return "\n\n".join(sent)
