"""Who else is at work on the database: GOV.UK Notify's own programs, which must understand what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def is_enabled(tx: AsyncSession) -> bool:
    """Whether to write as Notify does where we would write otherwise.

    NOTIFY_COMPATIBLE says so; where it says nothing, the table of Notify's own migrations does, by being there.
    """
    told: bool | None = tx.info.get("notify_compatible")
    if told is not None:
        return told
    return bool(await tx.scalar(select(func.to_regclass("alembic_version").is_not(None))))
