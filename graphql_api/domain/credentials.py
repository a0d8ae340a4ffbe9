"""Rows that authentication writes: ids of tokens that may be used once, and the last use of sessions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from graphql_api import models

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession


async def claim_token_id(tx: AsyncSession, issuer: str, token_id: str) -> bool:
    """Record the `jti` of an issuer's token; False when it is recorded already."""
    row = {
        "caller": f"token:{issuer}",
        "key": hashlib.sha256(token_id.encode(errors="surrogatepass")).hexdigest(),
        "mutation": "",
        "fingerprint": "",
        "created_at": models.utcnow(),
    }
    statement = insert(models.IdempotencyKey).values(row).on_conflict_do_nothing().returning(models.IdempotencyKey.key)
    return (await tx.execute(statement)).first() is not None


async def record_session_use(tx: AsyncSession, session_id: UUID) -> None:
    """Record that a session was used just now, unless another transaction holds its row."""
    unlocked = select(models.Session.id).where(models.Session.id == session_id).with_for_update(skip_locked=True)
    await tx.execute(
        update(models.Session)
        .where(models.Session.id.in_(unlocked))
        .values(last_used_at=models.utcnow())
        .execution_options(synchronize_session=False)
    )
