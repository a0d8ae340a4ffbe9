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
from graphql_api.observability.error_descriptions import describe_error
from graphql_api.tasks import Task
from graphql_api.worker import jobs, notifications
from graphql_api.worker.context import WorkerContext, open_worker_context
from graphql_api.worker.schedule import NIGHTLY_SCHEDULES, SCHEDULES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pgqueuer import Job
    from pgqueuer.domain.models import Context, Schedule

    from graphql_api.settings import Settings

TASK_HANDLERS: dict[Task, Callable[[WorkerContext, Mapping[str, Any]], Awaitable[None]]] = {
    Task.PROCESS_JOB: jobs.process,
    Task.DELIVER: notifications.deliver_messages,
    Task.RECEIVE: notifications.record_receipts,
    Task.PLATFORM_MESSAGE: notifications.deliver_platform_message,
}

HEARTBEAT_TIMEOUT = timedelta(seconds=5)
"""A task whose worker has been silent for so long is run by another."""

MAX_CONCURRENT_JOBS = 16
"""Jobs under way at once, of all workers together: those that wait must not take the places of messages."""

MAX_TASK_RETRIES = 3
"""How often a task that fails is run again, before it is held."""

FIRST_RETRY_DELAY = timedelta(seconds=1)
"""Before it is run again for the first time; the next pause is twice as long."""

RECONNECT_DELAY_SECONDS = 1.0
"""Seconds before a lost database is looked for again."""

CONNECTION_LOST_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, FailingListenerError)

log = structlog.get_logger(__name__)


async def run(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run tasks until `stop` is set, or, without one, until SIGTERM or SIGINT; what is under way is finished first.

    Needs a direct connection to the database: through a transaction pooler nothing is heard.
    """
    if settings.database_through_pooler:
        raise ValueError("A worker cannot listen through a pooler: give it the database's own DATABASE_URL.")
    # It logs what it raises; that is done here, without quoting anybody's data.
    logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)
    with _stop_event(stop) as stopping:
        async with open_worker_context(settings, stopping) as work:
            log.info("worker started")
            fakes = [channel.value for channel in Channel if work.gateways.for_channel(channel) is work.gateways.fake]
            if fakes and settings.environment == "production":
                log.warning("fake gateways: nothing leaves, all counts as delivered", channels=fakes)
            while not stopping.is_set():
                try:
                    await _run_tasks(work)
                except CONNECTION_LOST_ERRORS as error:
                    log.warning("database lost", **describe_error(error))
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stopping.wait(), RECONNECT_DELAY_SECONDS)
    log.info("worker ended")


async def run_nightly(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Do once what is done each night; what is stopped half-way goes on from there the next time."""
    with _stop_event(stop) as stopping:
        async with open_worker_context(settings, stopping) as work:
            for name in NIGHTLY_SCHEDULES:
                if not stopping.is_set():
                    log.info("nightly work", schedule=name)
                    _, action = SCHEDULES[name]
                    await action(work)


async def _run_tasks(worker: WorkerContext) -> None:
    """Run tasks over one pool of connections, until told to stop or a connection is lost."""
    url = worker.settings.libpq_url
    lost = asyncio.Event()

    async def watch(connection: asyncpg.Connection) -> None:
        connection.add_termination_listener(lambda _: lost.set())

    async with asyncpg.create_pool(
        url,
        min_size=2,
        max_size=4,
        max_inactive_connection_lifetime=0,
        max_queries=sys.maxsize,
        timeout=worker.settings.database_connect_timeout,
        init=watch,
        server_settings={"application_name": "notify-graphql worker", "timezone": "UTC", "jit": "off"},
    ) as pool:
        queue = PgQueuer.from_asyncpg_pool(pool)
        register(queue, worker)
        # A lost connection may be the one that listens: begin again, rather than hear nothing.
        ending = [asyncio.create_task(_forward_event(event, queue.shutdown)) for event in (worker.stopping, lost)]
        try:
            await queue.run(
                batch_size=max(worker.settings.worker_tasks // 2, 1),
                max_concurrent_tasks=max(worker.settings.worker_tasks, 2),
                dequeue_timeout=timedelta(seconds=5),
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                shutdown_on_listener_failure=True,
            )
        finally:
            for task in ending:
                task.cancel()


def register(queue: PgQueuer, worker: WorkerContext) -> None:
    """Tell the queue what to do with each task, and what to do when."""
    for task, function in TASK_HANDLERS.items():
        executor = functools.partial(_RetryingExecutor, task=task)
        limit = MAX_CONCURRENT_JOBS if task is Task.PROCESS_JOB else 0
        taking = _task_entrypoint(worker, task, function)
        queue.entrypoint(task, concurrency_limit=limit, on_failure="hold", executor_factory=executor)(taking)
    for name, (expression, action) in SCHEDULES.items():
        queue.schedule(name, expression)(_schedule_entrypoint(worker, name, action))


def _task_entrypoint(
    worker: WorkerContext, task: Task, handler: Callable[[WorkerContext, Mapping[str, Any]], Awaitable[None]]
) -> Callable[[Job], Awaitable[None]]:
    async def take(job: Job) -> None:
        while True:
            try:
                return await handler(worker, orjson.loads(job.payload or b"{}"))
            except Unavailable as error:
                # Not the task's fault, and nothing could be said of it to the queue either.
                if worker.stopping.is_set():
                    raise
                log.warning("task waits for the database", task=task.value, queue_id=job.id, **describe_error(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(worker.stopping.wait(), RECONNECT_DELAY_SECONDS)

    return take


def _schedule_entrypoint(
    worker: WorkerContext, name: str, action: Callable[[WorkerContext], Awaitable[None]]
) -> Callable[[Schedule], Awaitable[None]]:
    async def act(_schedule: Schedule) -> None:
        try:
            await action(worker)
        except Exception as error:  # noqa: BLE001 - the next time may go better
            log.error("schedule failed", schedule=name, **describe_error(error))  # noqa: TRY400

    return act


class TaskFailed(Exception):
    """A task has failed too often; the message names the kind of the last error."""


@dataclasses.dataclass
class _RetryingExecutor(EntrypointExecutor):
    """Runs a task that fails again, and says nothing of an error but its kind and place."""

    task: str = ""

    async def execute(self, job: Job, context: Context) -> None:  # noqa: ARG002 - tasks know their work
        """Run the task."""
        try:
            await self.parameters.func(job)  # type: ignore[call-arg]
        except Exception as error:  # noqa: BLE001 - told and raised again without what it quotes
            what = describe_error(error)
            held = job.attempts >= MAX_TASK_RETRIES
            log.error("task failed", task=self.task, queue_id=job.id, attempt=job.attempts + 1, held=held, **what)  # noqa: TRY400
            if held:
                raise TaskFailed(what["error"]) from None
            raise RetryRequested(delay=FIRST_RETRY_DELAY * 2**job.attempts, reason=what["error"]) from None


async def _forward_event(stopping: asyncio.Event, shutdown: asyncio.Event) -> None:
    await stopping.wait()
    shutdown.set()


@contextlib.contextmanager
def _stop_event(stop: asyncio.Event | None) -> Any:
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
