"""The queue's other end: tasks are taken and run, retried when they fail, and held for inspection when they go on.

The queue promises to run a task at least once. That nothing happens twice is the work of the claims and fences in
`domain.job_runs` and `domain.deliveries`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import signal
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
import structlog
from pgqueuer import PgQueuer
from pgqueuer.core.executors import EntrypointExecutor
from pgqueuer.domain.errors import FailingListenerError, RetryRequested

from graphql_api.enums import Channel
from graphql_api.errors import Unavailable
from graphql_api.tasks import Task
from graphql_api.worker import jobs, notifications
from graphql_api.worker.context import Work, connected
from graphql_api.worker.faults import described
from graphql_api.worker.schedule import NIGHTLY, SCHEDULE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pgqueuer import Job
    from pgqueuer.domain.models import Context, Schedule

    from graphql_api.settings import Settings

TASKS: dict[Task, Callable[[Work, Mapping[str, Any]], Awaitable[None]]] = {
    Task.PROCESS_JOB: jobs.process,
    Task.DELIVER: notifications.deliver,
    Task.RECEIVE: notifications.receive,
    Task.PLATFORM_MESSAGE: notifications.platform_message,
}

HEARTBEAT = timedelta(seconds=5)
"""A task whose worker has been silent for so long is run by another."""

JOBS = 16
"""Jobs under way at once, of all workers together: those that wait must not take the places of messages."""

AGAIN = 3
"""How often a task that fails is run again, before it is held."""

PAUSE = timedelta(seconds=1)
"""Before it is run again for the first time; the next pause is twice as long."""

RECONNECT = 1.0
"""Seconds before a lost database is looked for again."""

LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, FailingListenerError)

log = structlog.get_logger(__name__)


async def run(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run tasks until `stop` is set, or, without one, until SIGTERM or SIGINT; what is under way is finished first.

    Needs a direct connection to the database: through a transaction pooler nothing is heard.
    """
    if settings.database_through_pooler:
        raise ValueError("A worker cannot listen through a pooler: give it the database's own DATABASE_URL.")
    # It logs what it raises; that is done here, without quoting anybody's data.
    logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)
    with _until_told(stop) as stopping:
        async with connected(settings, stopping) as work:
            log.info("worker started")
            fakes = [channel.value for channel in Channel if work.gateways.of(channel) is work.gateways.fake]
            if fakes and settings.environment == "production":
                log.warning("fake gateways: nothing leaves, all counts as delivered", channels=fakes)
            while not stopping.is_set():
                try:
                    await _serve(work)
                except LOST as error:
                    log.warning("database lost", **described(error))
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stopping.wait(), RECONNECT)
    log.info("worker ended")


async def run_nightly(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Do once what is done each night; what is stopped half-way goes on from there the next time."""
    with _until_told(stop) as stopping:
        async with connected(settings, stopping) as work:
            for name in NIGHTLY:
                if not stopping.is_set():
                    log.info("nightly work", schedule=name)
                    _, action = SCHEDULE[name]
                    await action(work)


async def _serve(work: Work) -> None:
    """Run tasks over one pool of connections, until told to stop or a connection is lost."""
    url = work.settings.plain_url
    lost = asyncio.Event()

    async def watch(connection: asyncpg.Connection) -> None:
        connection.add_termination_listener(lambda _: lost.set())

    async with asyncpg.create_pool(
        url,
        min_size=2,
        max_size=4,
        max_inactive_connection_lifetime=0,
        max_queries=sys.maxsize,
        timeout=work.settings.database_connect_timeout,
        init=watch,
        server_settings={"application_name": "notify-graphql worker", "timezone": "UTC", "jit": "off"},
    ) as pool:
        queue = PgQueuer.from_asyncpg_pool(pool)
        register(queue, work)
        # A lost connection may be the one that listens: begin again, rather than hear nothing.
        ending = [asyncio.create_task(_pass_on(event, queue.shutdown)) for event in (work.stopping, lost)]
        try:
            await queue.run(
                batch_size=max(work.settings.worker_tasks // 2, 1),
                max_concurrent_tasks=max(work.settings.worker_tasks, 2),
                dequeue_timeout=timedelta(seconds=5),
                heartbeat_timeout=HEARTBEAT,
                shutdown_on_listener_failure=True,
            )
        finally:
            for task in ending:
                task.cancel()


def register(queue: PgQueuer, work: Work) -> None:
    """Tell the queue what to do with each task, and what to do when."""
    for task, function in TASKS.items():
        executor = functools.partial(_Executor, task=task)
        limit = JOBS if task is Task.PROCESS_JOB else 0
        taking = _taking(work, task, function)
        queue.entrypoint(task, concurrency_limit=limit, on_failure="hold", executor_factory=executor)(taking)
    for name, (expression, action) in SCHEDULE.items():
        queue.schedule(name, expression)(_at_times(work, name, action))


def _taking(
    work: Work, name: Task, function: Callable[[Work, Mapping[str, Any]], Awaitable[None]]
) -> Callable[[Job], Awaitable[None]]:
    async def take(job: Job) -> None:
        while True:
            try:
                return await function(work, orjson.loads(job.payload or b"{}"))
            except Unavailable as error:
                # Not the task's fault, and nothing could be said of it to the queue either.
                if work.stopping.is_set():
                    raise
                log.warning("task waits for the database", task=name.value, queue_id=job.id, **described(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(work.stopping.wait(), RECONNECT)

    return take


def _at_times(
    work: Work, name: str, action: Callable[[Work], Awaitable[None]]
) -> Callable[[Schedule], Awaitable[None]]:
    async def act(_schedule: Schedule) -> None:
        try:
            await action(work)
        except Exception as error:  # noqa: BLE001 - the next time may go better
            log.error("schedule failed", schedule=name, **described(error))  # noqa: TRY400

    return act


class TaskFailed(Exception):
    """A task has failed too often; the message names the kind of the last error."""


@dataclasses.dataclass
class _Executor(EntrypointExecutor):
    """Runs a task that fails again, and says nothing of an error but its kind and place."""

    task: str = ""

    async def execute(self, job: Job, context: Context) -> None:  # noqa: ARG002 - tasks know their work
        """Run the task."""
        try:
            await self.parameters.func(job)  # type: ignore[call-arg]
        except Exception as error:  # noqa: BLE001 - told and raised again without what it quotes
            what = described(error)
            held = job.attempts >= AGAIN
            log.error("task failed", task=self.task, queue_id=job.id, attempt=job.attempts + 1, held=held, **what)  # noqa: TRY400
            if held:
                raise TaskFailed(what["error"]) from None
            raise RetryRequested(delay=PAUSE * 2**job.attempts, reason=what["error"]) from None


async def _pass_on(stopping: asyncio.Event, shutdown: asyncio.Event) -> None:
    await stopping.wait()
    shutdown.set()


@contextlib.contextmanager
def _until_told(stop: asyncio.Event | None) -> Any:
    """The event that ends the worker: the caller's, or one that signals set."""
    if stop is not None:
        yield stop
        return
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stopping.set)
    try:
        yield stopping
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
