"""Holders: what already has a value that somebody asks for, as far as they may see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.orm.attributes import set_committed_value

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.errors import NotFound

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

M = TypeVar("M", bound=models.Model)


async def load_visible(tx: AsyncSession, actor: Actor, model: type[M], row_id: UUID) -> M | None:
    """The row, to be shown with a refusal; None when the caller may not see it.

    It is taken out of the session, so that it can still be read when the refusal has undone the transaction, and what
    only some may read of it is blank for others.
    """
    try:
        row = await visibility.find_visible(tx, actor, model, row_id)
    except NotFound:
        return None
    tx.expunge(row)
    for guarded, name in visibility.COLUMN_VISIBILITY:
        if guarded is model and not actor.platform_wide:
            set_committed_value(row, name, None)
    return row
