"""Handling of pooled connections, for the primary and the replica."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection


@asynccontextmanager
async def closing_connection(connection: AsyncConnection) -> AsyncIterator[AsyncConnection]:
    """A pooled connection, returned to its pool at the end of the block even when the task is cancelled meanwhile."""
    try:
        yield connection
    finally:
        await asyncio.shield(connection.close())
