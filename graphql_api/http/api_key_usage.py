"""What API keys do, collected in this process, and written down every few seconds: never a write for each call."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from graphql_api.billing import london_days
from graphql_api.domain import api_key_usage
from graphql_api.domain.api_key_usage import Calls
from graphql_api.enums import UserErrorCode
from graphql_api.errors import DomainError, Refusal
from graphql_api.models import utcnow

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID

    from graphql_api.database.database import Database
    from graphql_api.observability.operation_stats import Tally

MINUTES = 5
"""How coarse the last use of a key is kept."""
LAST_CHANCE = 5.0
"""Seconds that the last writing may take, when the process ends."""

log = structlog.get_logger(__name__)


class Usage:
    """Calls of one process that are not written down yet."""

    def __init__(self, database: Database) -> None:
        """Begin with none."""
        self._database = database
        self._calls: dict[UUID, Calls] = {}
        self._waiting: dict[tuple[UUID, date], Calls] = {}
        self._used: dict[UUID, datetime] = {}
        self._turn = asyncio.Lock()

    def called(self, api_key_id: UUID, *, failed: bool, seconds: float, told: Tally) -> None:
        """Count a call of a key, of which the tally says what it came to."""
        calls = self._calls.get(api_key_id)
        if calls is None:
            calls = self._calls[api_key_id] = Calls()
        calls.requests += 1
        calls.failed += failed or bool(told.refusals)
        calls.rate_limited += UserErrorCode.RATE_LIMITED in told.refusals
        calls.messages += told.messages
        calls.total_ms += seconds * 1_000

    async def flush(self) -> None:
        """Write down all calls; while the database is away they are kept for the next time."""
        async with self._turn:
            self._take()
            if not self._waiting:
                return
            try:
                async with self._database.transaction() as tx:
                    await api_key_usage.add(tx, self._waiting, self._used)
            except (Refusal, DomainError, SQLAlchemyError, OSError) as error:
                log.warning("the usage of keys waits to be written", keys=len(self._waiting), kind=type(error).__name__)
                return
            self._waiting, self._used = {}, {}

    async def close(self) -> None:
        """Write down what is left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_CHANCE):
                await self.flush()
        self._take()
        if self._waiting:
            log.error("the usage of keys is lost", calls=sum(calls.requests for calls in self._waiting.values()))

    def _take(self) -> None:
        """Let what has been counted wait to be written, as of this moment."""
        calls, self._calls = self._calls, {}
        now = utcnow()
        used = now.replace(minute=now.minute // MINUTES * MINUTES, second=0, microsecond=0)
        for api_key_id, added in calls.items():
            self._waiting.setdefault((api_key_id, london_days.day_of(now)), Calls()).add(added)
            self._used[api_key_id] = used
