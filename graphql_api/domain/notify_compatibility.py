"""Whether GOV.UK Notify's own programs use the same database, and must understand what is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def is_enabled(tx: AsyncSession) -> bool:
    """Whether to write as Notify does where this project would write differently.

    The setting NOTIFY_COMPATIBLE decides; without it, whether the table of Notify's migrations exists.
    """
    setting: bool | None = tx.info.get("notify_compatible")
    if setting is not None:
        return setting
    return bool(await tx.scalar(select(func.to_regclass("alembic_version").is_not(None))))
