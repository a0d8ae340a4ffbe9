"""Rows that already hold a unique value, as far as the caller may see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import select
from sqlalchemy.orm.attributes import set_committed_value

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.content.values import is_storable
from graphql_api.errors import AlreadyExists, NotFound

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

M = TypeVar("M", bound=models.Model)


async def load_visible(tx: AsyncSession, actor: Actor, model: type[M], row_id: UUID) -> M | None:
    """The row, for `AlreadyExists.existing`; None when the caller may not see it.

    It is expunged from the session, so that it can still be read after the rollback. Columns of restricted visibility
    are None for callers who are not platform admins.
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


async def name_conflicts(
    tx: AsyncSession, actor: Actor, model: type[M], name: str, *same_name: ColumnElement[bool], message: str
) -> list[AlreadyExists]:
    """A problem if a row of `model` meets the conditions `same_name`; none for a `name` that cannot be stored."""
    if not is_storable(name):
        return []
    row_id = await tx.scalar(select(model.id).where(*same_name))  # type: ignore[attr-defined]
    if row_id is None:
        return []
    return [AlreadyExists(message, "name", existing=await load_visible(tx, actor, model, row_id))]
