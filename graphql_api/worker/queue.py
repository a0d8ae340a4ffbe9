"""The consumer of the queue: runs tasks, retries those that fail, and holds those that fail too often.

The queue runs a task at least once; claims and fences in `domain.deliveries` and `domain.job_runs` make it effective
once.
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
"""A task whose worker has sent no heartbeat for so long is run by another."""

MAX_CONCURRENT_JOBS = 16
"""Concurrent jobs of all workers together, so that jobs do not displace messages."""

MAX_TASK_RETRIES = 3
"""Retries of a failed task before it is held."""

FIRST_RETRY_DELAY = timedelta(seconds=1)
"""Delay of the first retry; each next one is twice as long."""

RECONNECT_DELAY_SECONDS = 1.0
"""Delay before the next attempt to reach the database."""

CONNECTION_LOST_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, FailingListenerError)

log = structlog.get_logger(__name__)


async def run(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run tasks until `stop` is set or, without one, until SIGTERM or SIGINT; running tasks are finished first.

    Raises `ValueError` for a connection through a transaction pooler, which does not support LISTEN.
    """
    if settings.database_through_pooler:
        raise ValueError("A worker cannot listen through a pooler: give it the database's own DATABASE_URL.")
    # It logs error messages, which may hold personal data; `_RetryingExecutor` logs errors without them.
    logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)
    with _stop_event(stop) as stopping:
        async with open_worker_context(settings, stopping) as worker:
            log.info("worker started")
            fake_channels = [
                channel.value for channel in Channel if worker.gateways.for_channel(channel) is worker.gateways.fake
            ]
            if fake_channels and settings.environment == "production":
                log.warning("fake gateways: messages are not sent, but count as delivered", channels=fake_channels)
            while not stopping.is_set():
                try:
                    await _run_tasks(worker)
                except CONNECTION_LOST_ERRORS as error:
                    log.warning("database lost", **describe_error(error))
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stopping.wait(), RECONNECT_DELAY_SECONDS)
    log.info("worker ended")


async def run_nightly(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run the nightly tasks once; an interrupted task continues in the next run."""
    with _stop_event(stop) as stopping:
        async with open_worker_context(settings, stopping) as worker:
            for name in NIGHTLY_SCHEDULES:
                if not stopping.is_set():
                    log.info("nightly work", schedule=name)
                    _, action = SCHEDULES[name]
                    await action(worker)


async def _run_tasks(worker: WorkerContext) -> None:
    """Run tasks over one connection pool, until the worker shuts down or a connection is lost."""
    url = worker.settings.libpq_url
    lost = asyncio.Event()

    async def add_listener(connection: asyncpg.Connection) -> None:
        connection.add_termination_listener(lambda _: lost.set())

    async with asyncpg.create_pool(
        url,
        min_size=2,
        max_size=4,
        max_inactive_connection_lifetime=0,
        max_queries=sys.maxsize,
        timeout=worker.settings.database_connect_timeout,
        init=add_listener,
        server_settings={"application_name": "notify-graphql worker", "timezone": "UTC", "jit": "off"},
    ) as pool:
        queue = PgQueuer.from_asyncpg_pool(pool)
        register(queue, worker)
        # The lost connection may be the one that listens, so the pool is opened again.
        shutdown_tasks = [
            asyncio.create_task(_forward_event(event, queue.shutdown)) for event in (worker.stopping, lost)
        ]
        try:
            await queue.run(
                batch_size=max(worker.settings.worker_tasks // 2, 1),
                max_concurrent_tasks=max(worker.settings.worker_tasks, 2),
                dequeue_timeout=timedelta(seconds=5),
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                shutdown_on_listener_failure=True,
            )
        finally:
            for task in shutdown_tasks:
                task.cancel()


def register(queue: PgQueuer, worker: WorkerContext) -> None:
    """Register the handlers of tasks, and the schedules."""
    for task, function in TASK_HANDLERS.items():
        executor = functools.partial(_RetryingExecutor, task=task)
        limit = MAX_CONCURRENT_JOBS if task is Task.PROCESS_JOB else 0
        entrypoint = _task_entrypoint(worker, task, function)
        queue.entrypoint(task, concurrency_limit=limit, on_failure="hold", executor_factory=executor)(entrypoint)
    for name, (expression, action) in SCHEDULES.items():
        queue.schedule(name, expression)(_schedule_entrypoint(worker, name, action))


def _task_entrypoint(
    worker: WorkerContext, task: Task, handler: Callable[[WorkerContext, Mapping[str, Any]], Awaitable[None]]
) -> Callable[[Job], Awaitable[None]]:
    async def run_task(job: Job) -> None:
        while True:
            try:
                return await handler(worker, orjson.loads(job.payload or b"{}"))
            except Unavailable as error:
                # The task did not fail, and without the database the queue could not be updated.
                if worker.stopping.is_set():
                    raise
                log.warning("task waits for the database", task=task.value, queue_id=job.id, **describe_error(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(worker.stopping.wait(), RECONNECT_DELAY_SECONDS)

    return run_task


def _schedule_entrypoint(
    worker: WorkerContext, name: str, action: Callable[[WorkerContext], Awaitable[None]]
) -> Callable[[Schedule], Awaitable[None]]:
    async def run_schedule(_schedule: Schedule) -> None:
        try:
            await action(worker)
        except Exception as error:  # noqa: BLE001 - the next run may succeed
            log.error("schedule failed", schedule=name, **describe_error(error))  # noqa: TRY400

    return run_schedule


class TaskFailed(Exception):
    """A task has failed too often; the message holds the type of the last error."""


@dataclasses.dataclass
class _RetryingExecutor(EntrypointExecutor):
    """Retries a failed task; logs the type and place of its error, without the message."""

    task: str = ""

    async def execute(self, job: Job, context: Context) -> None:  # noqa: ARG002 - tasks do not use it
        """Run the task; raises `RetryRequested`, or `TaskFailed` after the last retry."""
        try:
            await self.parameters.func(job)  # type: ignore[call-arg]
        except Exception as error:  # noqa: BLE001 - logged and raised again without its message
            description = describe_error(error)
            held = job.attempts >= MAX_TASK_RETRIES
            log.error(  # noqa: TRY400
                "task failed", task=self.task, queue_id=job.id, attempt=job.attempts + 1, held=held, **description
            )
            if held:
                raise TaskFailed(description["error"]) from None
            raise RetryRequested(delay=FIRST_RETRY_DELAY * 2**job.attempts, reason=description["error"]) from None


async def _forward_event(stopping: asyncio.Event, shutdown: asyncio.Event) -> None:
    await stopping.wait()
    shutdown.set()


@contextlib.contextmanager
def _stop_event(stop: asyncio.Event | None) -> Any:
    """The event that shuts the worker down: `stop`, or one that SIGTERM and SIGINT set."""
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
