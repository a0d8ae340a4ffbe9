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

JOBS = "notify_graphql_jobs"
"""The channel on which ids of jobs are told."""

PACE = 1.0
"""Seconds between two things that one follower is told, however much happens."""
PAUSE = 0.1
"""Seconds between two looks that found nothing to tell."""
REREAD = 10.0
"""Seconds after which everyone reads anew, told or not."""
REREAD_DEAF = 2.0
"""The same where nothing can be heard."""
RECONNECT = 0.5
"""Seconds before a lost database is looked for again."""
TIMEOUT = 5.0

LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

log = structlog.get_logger(__name__)


def telling(job_id: str) -> str:
    """SQL that tells, once its transaction is kept, that a job has changed; `job_id` is SQL too, null for no job.

    The same id told twice in a transaction is heard once.
    """
    told = f"CAST(pg_notify('{JOBS}', CAST({job_id} AS text)) AS text)"
    return f"CASE WHEN {job_id} IS NOT NULL THEN {told} END"


async def tell(tx: AsyncSession, job_id: UUID) -> None:
    """Tell, once the transaction is kept, that a job has changed."""
    await tx.execute(text("SELECT pg_notify(:channel, :job_id)"), {"channel": JOBS, "job_id": str(job_id)})


class Topic:
    """A job that somebody of this process follows."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.followers: set[Follower] = set()
        self._read: asyncio.Task[Any] | None = None

    def changed(self) -> None:
        """Let everyone read anew."""
        self._read = None
        for follower in self.followers:
            follower.told.set()

    async def read(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` reads; all who ask between two changes share one reading."""
        if self._read is None or (self._read.done() and (self._read.cancelled() or self._read.exception())):
            self._read = asyncio.ensure_future(work())
            # Whoever asked may be gone by then.
            self._read.add_done_callback(lambda read: read.cancelled() or read.exception())
        result: T = await asyncio.shield(self._read)
        return result


class Follower:
    """Somebody who follows a job."""

    def __init__(self, topic: Topic) -> None:
        """Begin with nothing to be told."""
        self.topic = topic
        self.told = asyncio.Event()
        self._until = 0.0

    async def next(self) -> None:
        """Wait until there may be something new."""
        await self.told.wait()
        await asyncio.sleep(self._until - time.monotonic())
        self._until = time.monotonic() + PAUSE
        self.told.clear()

    def rest(self) -> None:
        """Be told nothing for a second, of whatever happens meanwhile the last only."""
        self._until = time.monotonic() + PACE


class Events:
    """What this process hears; it listens while, and after, somebody follows."""

    def __init__(self, url: str | None = None) -> None:
        """Listen on a database, by its own URL; without one nothing is heard, and everything read often instead."""
        self._url = url
        self._topics: defaultdict[UUID, Topic] = defaultdict(Topic)
        self._listening: asyncio.Task[None] | None = None

    @property
    def followed(self) -> int:
        """How many jobs somebody follows."""
        return len(self._topics)

    @contextlib.contextmanager
    def following(self, job_id: UUID) -> Iterator[Follower]:
        """Follow a job; what is read afterwards is never older than what is told."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen() if self._url else self._reread())
        topic = self._topics[job_id]
        follower = Follower(topic)
        topic.followers.add(follower)
        try:
            yield follower
        finally:
            topic.followers.discard(follower)
            if not topic.followers:
                self._topics.pop(job_id, None)

    async def close(self) -> None:
        """Hear no more."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})

    async def _reread(self) -> None:
        while True:
            await asyncio.sleep(REREAD_DEAF)
            self._all_changed()

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except LOST as error:
                log.warning("no news: the database is away", kind=type(error).__qualname__)
            await asyncio.sleep(RECONNECT)

    async def _hear(self) -> None:
        """Pass on what is told, until the connection is lost."""
        settings = {"application_name": "notify-graphql events", "timezone": "UTC"}
        connection = await asyncpg.connect(self._url, timeout=TIMEOUT, server_settings=settings)
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            await connection.add_listener(JOBS, self._told)
            while not lost.is_set():
                self._all_changed()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), REREAD)
                # A connection whose other end has vanished looks like a quiet one.
                await connection.execute("SELECT 1", timeout=TIMEOUT)
        finally:
            connection.terminate()

    def _told(self, _connection: Any, _process: int, _channel: str, payload: object) -> None:
        with contextlib.suppress(ValueError):
            if topic := self._topics.get(UUID(str(payload))):
                topic.changed()

    def _all_changed(self) -> None:
        for topic in list(self._topics.values()):
            topic.changed()
