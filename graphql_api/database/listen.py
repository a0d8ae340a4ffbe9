"""News of jobs, from whichever process changed one: the database tells ids, and whoever follows a job reads it anew.

Nothing depends on being told. What one process says in a transaction all others hear once it is kept, over a connection
of their own; and now and then everyone reads anew, for what was said while that connection was away, and for what
programs did that say nothing, such as Notify's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")

JOB_CHANGES_CHANNEL = "notify_graphql_jobs"
"""The channel on which ids of jobs are told."""

MIN_EVENT_INTERVAL_SECONDS = 1.0
"""Seconds between two things that one follower is told, however much happens."""
MIN_READ_INTERVAL_SECONDS = 0.1
"""Seconds between two looks that found nothing to tell."""
REREAD_INTERVAL_SECONDS = 10.0
"""Seconds after which everyone reads anew, told or not."""
POLL_INTERVAL_SECONDS = 2.0
"""The same where nothing can be heard."""
RECONNECT_DELAY_SECONDS = 0.5
"""Seconds before a lost database is looked for again."""
LISTEN_TIMEOUT_SECONDS = 5.0

CONNECTION_LOST_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

log = structlog.get_logger(__name__)


def notify_job_changed_sql(job_id: str) -> str:
    """SQL that tells, once its transaction is kept, that a job has changed; `job_id` is SQL too, null for no job.

    The same id told twice in a transaction is heard once.
    """
    told = f"CAST(pg_notify('{JOB_CHANGES_CHANNEL}', CAST({job_id} AS text)) AS text)"
    return f"CASE WHEN {job_id} IS NOT NULL THEN {told} END"


async def notify_job_changed(tx: AsyncSession, job_id: UUID) -> None:
    """Tell, once the transaction is kept, that a job has changed."""
    await tx.execute(
        text("SELECT pg_notify(:channel, :job_id)"), {"channel": JOB_CHANGES_CHANNEL, "job_id": str(job_id)}
    )


class JobTopic:
    """A job that somebody of this process follows."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.subscribers: set[Subscriber] = set()
        self._read_task: asyncio.Task[Any] | None = None

    def invalidate(self) -> None:
        """Let everyone read anew."""
        self._read_task = None
        for follower in self.subscribers:
            follower.changed.set()

    async def read(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` reads; all who ask between two changes share one reading."""
        if self._read_task is None or (
            self._read_task.done() and (self._read_task.cancelled() or self._read_task.exception())
        ):
            self._read_task = asyncio.ensure_future(work())
            # Whoever asked may be gone by then.
            self._read_task.add_done_callback(lambda read: read.cancelled() or read.exception())
        result: T = await asyncio.shield(self._read_task)
        return result


class Subscriber:
    """Somebody who follows a job."""

    def __init__(self, topic: JobTopic) -> None:
        """Begin with nothing to be told."""
        self.topic = topic
        self.changed = asyncio.Event()
        self._not_before = 0.0

    async def wait_for_change(self) -> None:
        """Wait until there may be something new."""
        await self.changed.wait()
        await asyncio.sleep(self._not_before - time.monotonic())
        self._not_before = time.monotonic() + MIN_READ_INTERVAL_SECONDS
        self.changed.clear()

    def throttle(self) -> None:
        """Be told nothing for a second, of whatever happens meanwhile the last only."""
        self._not_before = time.monotonic() + MIN_EVENT_INTERVAL_SECONDS


class JobChanges:
    """What this process hears; it listens while, and after, somebody follows."""

    def __init__(self, url: str | None = None) -> None:
        """Listen on a database, by its own URL; without one nothing is heard, and everything read often instead."""
        self._url = url
        self._topics: defaultdict[UUID, JobTopic] = defaultdict(JobTopic)
        self._listen_task: asyncio.Task[None] | None = None

    @property
    def topic_count(self) -> int:
        """How many jobs somebody follows."""
        return len(self._topics)

    @contextlib.contextmanager
    def subscribe(self, job_id: UUID) -> Iterator[Subscriber]:
        """Follow a job; what is read afterwards is never older than what is told."""
        if self._listen_task is None:
            self._listen_task = asyncio.create_task(self._listen() if self._url else self._poll())
        topic = self._topics[job_id]
        follower = Subscriber(topic)
        topic.subscribers.add(follower)
        try:
            yield follower
        finally:
            topic.subscribers.discard(follower)
            if not topic.subscribers:
                self._topics.pop(job_id, None)

    async def close(self) -> None:
        """Hear no more."""
        if self._listen_task is not None:
            self._listen_task.cancel()
            await asyncio.wait({self._listen_task})

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL_SECONDS)
            self._invalidate_all()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_until_disconnected()
            except CONNECTION_LOST_ERRORS as error:
                log.warning("no news: the database is away", kind=type(error).__qualname__)
            await asyncio.sleep(RECONNECT_DELAY_SECONDS)

    async def _listen_until_disconnected(self) -> None:
        """Pass on what is told, until the connection is lost."""
        settings = {"application_name": "notify-graphql events", "timezone": "UTC"}
        connection = await asyncpg.connect(self._url, timeout=LISTEN_TIMEOUT_SECONDS, server_settings=settings)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await connection.add_listener(JOB_CHANGES_CHANNEL, self._on_notify)
            while not lost.is_set():
                self._invalidate_all()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), REREAD_INTERVAL_SECONDS)
                # A connection whose other end has vanished looks like a quiet one.
                await connection.execute("SELECT 1", timeout=LISTEN_TIMEOUT_SECONDS)
        finally:
            connection.terminate()

    def _on_notify(self, _connection: Any, _process: int, _channel: str, payload: object) -> None:
        with contextlib.suppress(ValueError):
            if topic := self._topics.get(UUID(str(payload))):
                topic.invalidate()

    def _invalidate_all(self) -> None:
        for topic in list(self._topics.values()):
            topic.invalidate()
