"""Changes of jobs, over LISTEN/NOTIFY: a notification carries a job's id, and subscribers read the job again.

A NOTIFY is part of the transaction that changes the job; every process listens on a connection of its own. Correctness
does not depend on notifications: all subscribers also read again at an interval, for notifications that were lost with
the connection, and for changes made by programs that send none, such as Notify's.
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
"""The NOTIFY channel; the payload is a job's id."""

MIN_EVENT_INTERVAL_SECONDS = 1.0
"""Seconds between two events of one subscriber."""
MIN_READ_INTERVAL_SECONDS = 0.1
"""Seconds between two reads of one subscriber that produce no event."""
REREAD_INTERVAL_SECONDS = 10.0
"""Seconds after which all subscribers read again, notified or not."""
POLL_INTERVAL_SECONDS = 2.0
"""The same without a connection to listen on."""
RECONNECT_DELAY_SECONDS = 0.5
"""Seconds before a lost connection is opened again."""
LISTEN_TIMEOUT_SECONDS = 5.0

CONNECTION_LOST_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

log = structlog.get_logger(__name__)


def notify_job_changed_sql(job_id: str) -> str:
    """An SQL expression that sends the notification of a job when its transaction commits.

    `job_id` is an SQL expression too, null for no job. PostgreSQL sends equal notifications of a transaction once.
    """
    notify = f"CAST(pg_notify('{JOB_CHANGES_CHANNEL}', CAST({job_id} AS text)) AS text)"
    return f"CASE WHEN {job_id} IS NOT NULL THEN {notify} END"


async def notify_job_changed(tx: AsyncSession, job_id: UUID) -> None:
    """Send the notification of a job when the transaction commits."""
    await tx.execute(
        text("SELECT pg_notify(:channel, :job_id)"), {"channel": JOB_CHANGES_CHANNEL, "job_id": str(job_id)}
    )


class JobTopic:
    """A job with subscribers in this process, who share each read of it."""

    def __init__(self) -> None:
        self.subscribers: set[Subscriber] = set()
        self._read_task: asyncio.Task[Any] | None = None

    def invalidate(self) -> None:
        """Wake all subscribers; the first of them starts a new read."""
        self._read_task = None
        for subscriber in self.subscribers:
            subscriber.changed.set()

    async def read(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`; callers between two changes share one run of it."""
        if self._read_task is None or (
            self._read_task.done() and (self._read_task.cancelled() or self._read_task.exception())
        ):
            self._read_task = asyncio.ensure_future(work())
            # No caller may be left to retrieve its exception.
            self._read_task.add_done_callback(lambda task: task.cancelled() or task.exception())
        result: T = await asyncio.shield(self._read_task)
        return result


class Subscriber:
    """A subscription to a job."""

    def __init__(self, topic: JobTopic) -> None:
        self.topic = topic
        self.changed = asyncio.Event()
        self._not_before = 0.0

    async def wait_for_change(self) -> None:
        """Wait until the job may have changed, and until the throttle allows another read."""
        await self.changed.wait()
        await asyncio.sleep(self._not_before - time.monotonic())
        self._not_before = time.monotonic() + MIN_READ_INTERVAL_SECONDS
        self.changed.clear()

    def throttle(self) -> None:
        """Allow the next read in a second: changes until then become one event."""
        self._not_before = time.monotonic() + MIN_EVENT_INTERVAL_SECONDS


class JobChanges:
    """The subscriptions of a process; it listens from the first subscription on."""

    def __init__(self, url: str | None = None) -> None:
        """Listen by the direct URL of a database; without one, poll."""
        self._url = url
        self._topics: defaultdict[UUID, JobTopic] = defaultdict(JobTopic)
        self._listen_task: asyncio.Task[None] | None = None

    @property
    def topic_count(self) -> int:
        """Number of jobs with subscribers."""
        return len(self._topics)

    @contextlib.contextmanager
    def subscribe(self, job_id: UUID) -> Iterator[Subscriber]:
        """Subscribe to a job for the length of the block; a read after `wait_for_change` sees the change."""
        if self._listen_task is None:
            self._listen_task = asyncio.create_task(self._listen() if self._url else self._poll())
        topic = self._topics[job_id]
        subscriber = Subscriber(topic)
        topic.subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            topic.subscribers.discard(subscriber)
            if not topic.subscribers:
                self._topics.pop(job_id, None)

    async def close(self) -> None:
        """Stop listening."""
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
                log.warning("listening interrupted: the database is unavailable", kind=type(error).__qualname__)
            await asyncio.sleep(RECONNECT_DELAY_SECONDS)

    async def _listen_until_disconnected(self) -> None:
        """Invalidate the topics of notifications, until the connection is lost."""
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
                # A connection whose peer has vanished looks like an idle one.
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
