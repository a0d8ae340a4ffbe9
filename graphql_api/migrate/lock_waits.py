"""What a migration waits for: which lock, who holds it and since when, and never what their statements say."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

POLL_INTERVAL_SECONDS = 0.04
"""Seconds between two looks at whom a migration waits for: shorter than it waits before it gives way."""

REPEAT_INTERVAL_SECONDS = 5.0
"""Seconds after which the same wait is told again."""

STATEMENT_KEYWORDS = frozenset(
    """
    ALTER ANALYZE BEGIN CALL CLUSTER COMMIT COPY CREATE DECLARE DELETE DO DROP EXECUTE FETCH GRANT INSERT LISTEN LOCK
    MERGE REFRESH REINDEX RELEASE REVOKE ROLLBACK SAVEPOINT SELECT SET SHOW TABLE TRUNCATE UPDATE VACUUM VALUES WITH
    """.split()  # noqa: SIM905 words that stand side by side are read faster
)
"""What a statement that we speak of may begin with."""

SELECT_BLOCKING_SESSIONS = sa.text("""
    SELECT lock.what, lock.mode, pid, application_name, state, query,
        extract(epoch FROM clock_timestamp() - coalesce(xact_start, backend_start))::int
    FROM (SELECT DISTINCT unnest(pg_blocking_pids(:pid)) AS pid) AS blockers
        LEFT JOIN pg_stat_activity USING (pid)
        LEFT JOIN (
            SELECT coalesce(relation::regclass::text, locktype) AS what, mode FROM pg_locks
            WHERE pid = :pid AND NOT granted LIMIT 1
        ) AS lock ON true
    ORDER BY pid
""")
SELECT_LOCK_HOLDERS = sa.text("""
    SELECT pid, application_name, state, query, extract(epoch FROM clock_timestamp() - backend_start)::int
    FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid = :high AND objid = :low
""")
SELECT_INDEX_BUILD_PROGRESS = sa.text("""
    SELECT phase, round(100.0 * blocks_done / nullif(blocks_total, 0))
    FROM pg_stat_progress_create_index WHERE pid = :pid
""")


class LockWaitMonitor:
    """Tells what is waited for: at once when it is new, and now and then when it lasts."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._last_written: tuple[str, float] = ("", 0.0)
        self.latest_reason = ""
        """What was last in the way, as a sentence without a full stop."""

    def report(self, reason: str, duration: str = "") -> None:
        """Tell it, if it is news; `since` alone is none."""
        self.latest_reason = reason + duration
        before, when = self._last_written
        if reason != before or time.monotonic() - when >= REPEAT_INTERVAL_SECONDS:
            self._last_written = (reason, time.monotonic())
            self._write_line(f"  {self.latest_reason}")

    async def report_lock_holders(self, connection: AsyncConnection, lock: int) -> None:
        """Tell who migrates while we wait."""
        for row in await connection.execute(SELECT_LOCK_HOLDERS, {"high": lock >> 32, "low": lock & 0xFFFFFFFF}):
            self.report(f"waiting for another migrator, {_describe_session(row)}", f", for {row[-1]} s")

    @contextlib.asynccontextmanager
    async def monitor(self, engine: AsyncEngine, pid: int) -> AsyncIterator[None]:
        """Look, from a connection of its own, at what the backend `pid` waits for."""
        watching = asyncio.create_task(self._poll(engine, pid))
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    async def _poll(self, engine: AsyncEngine, pid: int) -> None:
        # Telling is a courtesy: where it fails, the migration goes on untold.
        with contextlib.suppress(sa.exc.SQLAlchemyError, OSError):
            async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                looks = 0
                while True:
                    if rows := (await connection.execute(SELECT_BLOCKING_SESSIONS, {"pid": pid})).all():
                        self._report_blocking_sessions(rows)
                    elif looks % 25 == 0:
                        for row in await connection.execute(SELECT_INDEX_BUILD_PROGRESS, {"pid": pid}):
                            self.report(row[0], f", {row[1]} %" if row[1] is not None else "")
                    looks += 1
                    await asyncio.sleep(POLL_INTERVAL_SECONDS)

    def _report_blocking_sessions(self, rows: Sequence[Sequence[Any]]) -> None:
        what, mode = rows[0][:2]
        if what in ("virtualxid", "transactionid"):
            lock = "older transactions to end"
        else:
            lock = f"{mode} on {what}" if what else "a lock"
        who = " and ".join(_describe_session(row[2:]) for row in rows)
        self.report(f"waiting for {lock}, behind {who}", f", for {max(row[-1] or 0 for row in rows)} s")


def _describe_session(row: Sequence[Any]) -> str:
    """Who is in the way, and the kind of statement that they are at."""
    pid, application, state, query = row[:4]
    if not pid:
        return "a prepared transaction"
    name = f"pid {pid} ({application})" if application else f"pid {pid}"
    if state is None:
        return name
    return f"{name}, {state} {'at' if state == 'active' else 'after'} {statement_keyword(str(query or ''))}"


def statement_keyword(query: str) -> str:
    """The first word of a statement, if SQL knows it: the rest holds values that are nobody's business."""
    text = re.sub(r"^(?:\s|\(|--[^\n]*\n|/\*.*?\*/)+", "", query, flags=re.DOTALL)
    word = re.match(r"[A-Za-z]*", text)[0].upper()  # type: ignore[index]
    return word if word in STATEMENT_KEYWORDS else "a statement"
