"""What can be searched for: gathered anew, so that what was added and renamed is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

ADVISORY_LOCK_KEY = 0x5EA2C4
REFRESH_TIMEOUT = "60s"

_REFRESH = text("REFRESH MATERIALIZED VIEW CONCURRENTLY search_entries")


async def refresh(tx: AsyncSession) -> bool:
    """Gather the entries anew while others read; False where somebody else is at it."""
    free = await tx.scalar(select(func.pg_try_advisory_xact_lock(ADVISORY_LOCK_KEY)))
    if free:
        await tx.execute(select(func.set_config("statement_timeout", REFRESH_TIMEOUT, True)))
        await tx.execute(_REFRESH)
    return bool(free)
