"""Reports of what a migration waits for: the lock, the sessions that block it, and for how long."""

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
"""Between two queries for blocking sessions; shorter than the lock timeout of migrations."""

REPEAT_INTERVAL_SECONDS = 5.0
"""After which the same wait is reported again."""

STATEMENT_KEYWORDS = frozenset(
    """
    ALTER ANALYZE BEGIN CALL CLUSTER COMMIT COPY CREATE DECLARE DELETE DO DROP EXECUTE FETCH GRANT INSERT LISTEN LOCK
    MERGE REFRESH REINDEX RELEASE REVOKE ROLLBACK SAVEPOINT SELECT SET SHOW TABLE TRUNCATE UPDATE VACUUM VALUES WITH
    """.split()  # noqa: SIM905 - easier to read than a list of quoted words
)
"""First words of statements that a report shows."""

SELECT_BLOCKING_SESSIONS = sa.text("""
    SELECT lock.what, lock.mode, pid, application_name, state, query,
        extract(epoch FROM clock_timestamp() - coalesce(xact_start, backend_start))::int
    FROM (SELECT DISTINCT unnest(pg_blocking_pids(:pid)) AS pid) AS blockers
        LEFT JOIN pg_stat_activity USING (pid)
        CROSS JOIN (
            SELECT coalesce(relation::regclass::text, locktype) AS what, mode FROM pg_locks
            WHERE pid = :pid AND NOT granted LIMIT 1
        ) AS lock
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
    """Reports what is waited for: at once when it changes, and every few seconds while it lasts."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._last_written: tuple[str, float] = ("", 0.0)
        self.latest_reason = ""
        """The last reason reported, without a full stop."""

    def report(self, reason: str, duration: str = "") -> None:
        """Write a reason and its duration, unless the same reason was written recently."""
        self.latest_reason = reason + duration
        last_reason, written_at = self._last_written
        if reason != last_reason or time.monotonic() - written_at >= REPEAT_INTERVAL_SECONDS:
            self._last_written = (reason, time.monotonic())
            self._write_line(f"  {self.latest_reason}")

    async def report_lock_holders(self, connection: AsyncConnection, lock_id: int) -> None:
        """Report the sessions that hold an advisory lock."""
        for row in await connection.execute(SELECT_LOCK_HOLDERS, {"high": lock_id >> 32, "low": lock_id & 0xFFFFFFFF}):
            self.report(f"waiting for another migrator, {_describe_session(row)}", f", for {row[-1]} s")

    @contextlib.asynccontextmanager
    async def monitor(self, engine: AsyncEngine, pid: int) -> AsyncIterator[None]:
        """Report, over a connection of its own, what the backend `pid` waits for."""
        task = asyncio.create_task(self._poll(engine, pid))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _poll(self, engine: AsyncEngine, pid: int) -> None:
        # A migration does not fail when its reports do.
        with contextlib.suppress(sa.exc.SQLAlchemyError, OSError):
            async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                polls = 0
                while True:
                    if rows := (await connection.execute(SELECT_BLOCKING_SESSIONS, {"pid": pid})).all():
                        self._report_blocking_sessions(rows)
                    elif polls % 25 == 0:
                        for row in await connection.execute(SELECT_INDEX_BUILD_PROGRESS, {"pid": pid}):
                            self.report(row[0], f", {row[1]} %" if row[1] is not None else "")
                    polls += 1
                    await asyncio.sleep(POLL_INTERVAL_SECONDS)

    def _report_blocking_sessions(self, rows: Sequence[Sequence[Any]]) -> None:
        target, mode = rows[0][:2]
        lock = "older transactions to end" if target in ("virtualxid", "transactionid") else f"{mode} on {target}"
        sessions = " and ".join(_describe_session(row[2:]) for row in rows)
        self.report(f"waiting for {lock}, behind {sessions}", f", for {max(row[-1] or 0 for row in rows)} s")


def _describe_session(row: Sequence[Any]) -> str:
    """A session by pid and application name, with its state and the first word of its statement."""
    pid, application, state, query = row[:4]
    if not pid:
        return "a prepared transaction"
    name = f"pid {pid} ({application})" if application else f"pid {pid}"
    if state is None:
        return name
    return f"{name}, {state} {'at' if state == 'active' else 'after'} {statement_keyword(str(query or ''))}"


def statement_keyword(query: str) -> str:
    """The first word of a statement, if it is a keyword of SQL: the rest can contain personal data."""
    text = re.sub(r"^(?:\s|\(|--[^\n]*\n|/\*.*?\*/)+", "", query, flags=re.DOTALL)
    word = re.match(r"[A-Za-z]*", text)[0].upper()  # type: ignore[index]
    return word if word in STATEMENT_KEYWORDS else "a statement"
