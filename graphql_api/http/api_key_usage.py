"""What API keys do, collected in this process, and written down every few seconds: never a write for each call."""

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
"""How coarse the last use of a key is kept."""
FINAL_FLUSH_TIMEOUT_SECONDS = 5.0
"""Seconds that the last writing may take, when the process ends."""

log = structlog.get_logger(__name__)


class ApiKeyUsageRecorder:
    """Calls of one process that are not written down yet."""

    def __init__(self, database: Database) -> None:
        """Begin with none."""
        self._database = database
        self._calls: dict[UUID, CallCounts] = {}
        self._pending: dict[tuple[UUID, date], CallCounts] = {}
        self._last_used: dict[UUID, datetime] = {}
        self._lock = asyncio.Lock()

    def record_call(self, api_key_id: UUID, *, failed: bool, seconds: float, stats: OperationStats) -> None:
        """Count a call of a key, of which the tally says what it came to."""
        calls = self._calls.get(api_key_id)
        if calls is None:
            calls = self._calls[api_key_id] = CallCounts()
        calls.requests += 1
        calls.failed += failed or bool(stats.error_codes)
        calls.rate_limited += UserErrorCode.RATE_LIMITED in stats.error_codes
        calls.messages += stats.messages
        calls.total_ms += seconds * 1_000

    async def flush(self) -> None:
        """Write down all calls; while the database is away they are kept for the next time."""
        async with self._lock:
            self._move_to_pending()
            if not self._pending:
                return
            try:
                async with self._database.transaction() as tx:
                    await api_key_usage.add_calls(tx, self._pending, self._last_used)
            except (RequestError, DomainError, SQLAlchemyError, OSError) as error:
                log.warning("the usage of keys waits to be written", keys=len(self._pending), kind=type(error).__name__)
                return
            self._pending, self._last_used = {}, {}

    async def close(self) -> None:
        """Write down what is left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINAL_FLUSH_TIMEOUT_SECONDS):
                await self.flush()
        self._move_to_pending()
        if self._pending:
            log.error("the usage of keys is lost", calls=sum(calls.requests for calls in self._pending.values()))

    def _move_to_pending(self) -> None:
        """Let what has been counted wait to be written, as of this moment."""
        calls, self._calls = self._calls, {}
        now = utcnow()
        used = now.replace(
            minute=now.minute // LAST_USED_GRANULARITY_MINUTES * LAST_USED_GRANULARITY_MINUTES, second=0, microsecond=0
        )
        for api_key_id, added in calls.items():
            self._pending.setdefault((api_key_id, london_days.london_day(now)), CallCounts()).add(added)
            self._last_used[api_key_id] = used
