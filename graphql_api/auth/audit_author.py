"""The author of changes: set in the transaction before its first write to a logged table.

Transactions that write to no logged table, such as those of messages, execute no statement for it. Changes by the
platform itself, such as the worker's, have no author.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import bindparam, event, func, select
from sqlalchemy.orm import Session

from graphql_api.models.changes import LOGGED_TABLES

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import ORMExecuteState

    from graphql_api.auth.actors import Actor

# Settings that the trigger `log_change` reads; empty without an author.
_SETTING_NAMES = ("user_id", "api_key_id", "request_id")
_SET_AUTHOR = select(*(func.set_config(f"notify_graphql.{name}", bindparam(name), True) for name in _SETTING_NAMES))


def set_audit_author(tx: AsyncSession, actor: Actor) -> None:
    """Record an actor, and the id of the current request, as the author of a transaction's changes."""
    tx.info["author"] = {
        "user_id": actor.user_id,
        "api_key_id": actor.api_key_id,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }


@event.listens_for(Session, "before_flush")
def _on_before_flush(session: Session, *_: Any) -> None:
    if "author" in session.info:
        written = chain(session.new, session.dirty, session.deleted)
        if any(row.__table__.name in LOGGED_TABLES for row in written):
            _write_author(session)


@event.listens_for(Session, "do_orm_execute")
def _on_orm_execute(state: ORMExecuteState) -> None:
    if "author" in state.session.info and not state.is_select:
        table = getattr(state.statement, "table", None)
        if getattr(table, "name", None) in LOGGED_TABLES:
            _write_author(state.session)


def _write_author(session: Session) -> None:
    author = session.info.pop("author")
    session.connection().execute(_SET_AUTHOR, {name: str(value or "") for name, value in author.items()})
