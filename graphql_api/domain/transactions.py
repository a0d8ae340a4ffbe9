"""The type of a function that opens transactions.

Functions that hash passwords or read long lists take it instead of a session, for they hold no connection meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sqlalchemy.ext.asyncio import AsyncSession

TransactionFactory = Callable[[], AbstractAsyncContextManager[AsyncSession]]
"""`async with transaction() as tx:` commits at the end of the block."""
