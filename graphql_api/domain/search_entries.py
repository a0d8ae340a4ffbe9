"""Refresh of the materialized view that search reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

ADVISORY_LOCK_KEY = 0x5EA2C4
REFRESH_TIMEOUT = "60s"

_REFRESH = text("REFRESH MATERIALIZED VIEW CONCURRENTLY search_entries")


async def refresh(tx: AsyncSession) -> bool:
    """Refresh the view without blocking readers; returns False if another session is refreshing it."""
    is_locked = await tx.scalar(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK_KEY)))
    if is_locked:
        await tx.execute(select(func.set_config("statement_timeout", REFRESH_TIMEOUT, True)))
        await tx.execute(_REFRESH)
    return bool(is_locked)
