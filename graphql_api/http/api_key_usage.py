"""Calls of API keys, counted in memory and written every few seconds, so that no call waits for a write."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError

from graphql_api.billing import london_days
from graphql_api.domain import api_key_usage
from graphql_api.domain.api_key_usage import CallCounts
from graphql_api.enums import UserErrorCode
from graphql_api.errors import DomainError, RequestError
from graphql_api.models import utcnow

if TYPE_CHECKING:
    from datetime import date, datetime
    from uuid import UUID

    from graphql_api.database.database import Database
    from graphql_api.observability.operation_stats import OperationStats

LAST_USED_GRANULARITY_MINUTES = 5
"""The time of a key's last use is rounded down to this."""
FINAL_FLUSH_TIMEOUT_SECONDS = 5.0

log = structlog.get_logger(__name__)


class ApiKeyUsageRecorder:
    """Calls of this process that are not yet written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._calls: dict[UUID, CallCounts] = {}
        self._pending: dict[tuple[UUID, date], CallCounts] = {}
        self._last_used: dict[UUID, datetime] = {}
        self._lock = asyncio.Lock()

    def record_call(self, api_key_id: UUID, *, failed: bool, seconds: float, stats: OperationStats) -> None:
        """Count a call of a key; `stats` are those of its operation."""
        calls = self._calls.get(api_key_id)
        if calls is None:
            calls = self._calls[api_key_id] = CallCounts()
        calls.requests += 1
        calls.failed += failed or bool(stats.error_codes)
        calls.rate_limited += UserErrorCode.RATE_LIMITED in stats.error_codes
        calls.messages += stats.messages
        calls.total_ms += seconds * 1_000

    async def flush(self) -> None:
        """Write all calls; while the database is unavailable they stay in memory."""
        async with self._lock:
            self._move_to_pending()
            if not self._pending:
                return
            try:
                async with self._database.transaction() as tx:
                    await api_key_usage.add_calls(tx, self._pending, self._last_used)
            except (RequestError, DomainError, SQLAlchemyError, OSError) as error:
                log.warning("API key usage not written yet", keys=len(self._pending), kind=type(error).__name__)
                return
            self._pending, self._last_used = {}, {}

    async def close(self) -> None:
        """Write the remaining calls, within some seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINAL_FLUSH_TIMEOUT_SECONDS):
                await self.flush()
        self._move_to_pending()
        if self._pending:
            log.error("API key usage lost", calls=sum(calls.requests for calls in self._pending.values()))

    def _move_to_pending(self) -> None:
        """Add the counted calls to those that wait to be written, under today's date."""
        calls, self._calls = self._calls, {}
        now = utcnow()
        last_used = now.replace(
            minute=now.minute // LAST_USED_GRANULARITY_MINUTES * LAST_USED_GRANULARITY_MINUTES, second=0, microsecond=0
        )
        for api_key_id, counts in calls.items():
            self._pending.setdefault((api_key_id, london_days.london_day(now)), CallCounts()).add(counts)
            self._last_used[api_key_id] = last_used
