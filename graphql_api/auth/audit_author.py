"""Who makes a change: told to the database within the transaction, before the first row whose change it logs.

Transactions that write no such row, as those of messages, pay nothing for it. What the platform does by itself, as the
worker does, has no author.
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

# What the trigger `log_change` reads; empty for nobody.
_SETTING_NAMES = ("user_id", "api_key_id", "request_id")
_SET_AUTHOR = select(*(func.set_config(f"notify_graphql.{name}", bindparam(name), True) for name in _SETTING_NAMES))


def set_audit_author(tx: AsyncSession, actor: Actor) -> None:
    """Let the changes of a transaction be an actor's, in the request that is being answered."""
    tx.info["author"] = {
        "user_id": actor.user_id,
        "api_key_id": actor.api_key_id,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }


@event.listens_for(Session, "before_flush")
def _on_before_flush(session: Session, *_: Any) -> None:
    if "author" in session.info:
        written = chain(session.new, session.dirty, session.deleted)
        if any(one.__table__.name in LOGGED_TABLES for one in written):
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
