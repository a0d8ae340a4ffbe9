"""Runs the operations of every transport, and measures each of them."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import structlog
from strawberry.types.graphql import OperationType

from graphql_api.auth import authentication
from graphql_api.auth.actor_cache import ActorCache
from graphql_api.context import Context
from graphql_api.domain import credentials
from graphql_api.errors import RequestError, TooManyRequests, Unavailable
from graphql_api.http import requests, responses
from graphql_api.observability import operation_stats
from graphql_api.observability.metrics import (
    OUTCOME_ERRORS,
    OUTCOME_OK,
    OUTCOME_REFUSED,
    PLAN_DECLINED,
    PLAN_FAILED,
    PLAN_PLANNED,
    operation_name,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from starlette.types import Scope
    from strawberry.types import ExecutionResult

    from graphql_api.auth.actors import Actor
    from graphql_api.auth.crypto import Signer
    from graphql_api.database.database import Database
    from graphql_api.database.listen import JobChanges
    from graphql_api.gateways.object_store import Store
    from graphql_api.http.api_key_usage import ApiKeyUsageRecorder
    from graphql_api.http.open_connections import ConnectionRegistry
    from graphql_api.http.persisted_documents import PersistedDocuments
    from graphql_api.http.requests import Operation
    from graphql_api.limits.load_shedding import LoadShedder
    from graphql_api.limits.rate_limiter import RateLimiter
    from graphql_api.observability.error_masking import ErrorMaskingSchema
    from graphql_api.observability.metrics import Metrics
    from graphql_api.observability.operation_stats import OperationStats
    from graphql_api.settings import Settings

    Planner = Callable[[Operation, Context], Awaitable[bytes | None]]
    """Returns the whole response as JSON, or None where graphql-core is to run the operation."""

ACTING_USER_HEADER = "x-notify-user-id"
TIMEOUT_MESSAGE = "The operation timed out: select less, or try again."
STREAM_OPERATION_TYPES = frozenset(OperationType)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Runs operations on the schema; holds what their resolvers use."""

    schema: ErrorMaskingSchema
    database: Database
    settings: Settings
    signer: Signer
    store: Store
    metrics: Metrics
    api_key_usage: ApiKeyUsageRecorder
    load_shedder: LoadShedder
    persisted_documents: PersistedDocuments
    rate_limiter: RateLimiter
    job_changes: JobChanges
    connection_registry: ConnectionRegistry
    planner: Planner | None = None
    actor_cache: ActorCache = field(default_factory=ActorCache)

    async def authenticate(self, token: str | None, acting_user: str | None = None, address: str = "") -> Actor:
        """Return the actor of a token, cached for a moment; raises `Unauthenticated`."""
        cached = None if token is None else self.actor_cache.get(token, acting_user)
        if cached is not None:
            return cached
        started_at = time.monotonic()
        actor = await authentication.authenticate(
            token,
            acting_user,
            database=self.database,
            store=credentials,
            settings=self.settings,
            signer=self.signer,
            client_address=address,
        )
        if token is not None:
            self.actor_cache.put(token, acting_user, actor, started_at)
        return actor

    async def reauthenticate(self, actor: Actor, *, counts_as_use: bool = True) -> Actor:
        """Return the actor of an open connection with current permissions; raises `Unauthenticated`.

        `counts_as_use` extends the session, as a new operation does.
        """
        if not actor.signed_in:
            return actor
        cached = self.actor_cache.get_renewed(actor)
        if cached is not None:
            return cached
        started_at = time.monotonic()
        actor = await authentication.reauthenticate(
            actor, database=self.database, store=credentials, counts_as_use=counts_as_use
        )
        self.actor_cache.put_renewed(actor, started_at)
        return actor

    async def authenticate_request(self, headers: Mapping[str, str], scope: Scope) -> Actor:
        """Return the actor of a request; raises `Unauthenticated`."""
        token = requests.bearer_token(headers)
        address = requests.client_address(scope, headers, self.settings.is_proxy) if token is None else ""
        return await self.authenticate(token, headers.get(ACTING_USER_HEADER), address)

    def create_context(self, actor: Actor) -> Context:
        """The context of one operation."""
        return Context(
            actor=actor,
            database=self.database,
            settings=self.settings,
            signer=self.signer,
            store=self.store,
            rate_limiter=self.rate_limiter,
            job_changes=self.job_changes,
            reauthenticate=self._reauthenticate_for_event,
        )

    async def execute(
        self, operation: Operation, actor: Actor, allowed_types: frozenset[OperationType]
    ) -> bytes | ExecutionResult:
        """Run a query or a mutation; the caller limits its time, and delays the response.

        Returns the response's JSON where the planner wrote it, else graphql-core's result. Raises `TooManyRequests`,
        `Unavailable`, CannotGetOperationTypeError and InvalidOperationTypeError.
        """
        with Measurement(self, operation, actor) as measurement:
            self.rate_limiter.admit(actor)
            planned = await self._execute_planned(operation, actor)
            result = planned or await self._execute_fields(operation, actor, allowed_types)
            measurement.outcome = OUTCOME_OK if isinstance(result, bytes) else _outcome(result)
            return result

    async def stream(
        self, operation: Operation, actor: Actor, *, occupies_capacity: bool = False
    ) -> AsyncGenerator[ExecutionResult]:
        """Run an operation of any type and yield its results; its measured time ends with the first.

        `occupies_capacity` is true for a request that the load shedder counts until then. Raises `TooManyRequests`,
        and `Unavailable` where the first result takes longer than a request may.
        """
        with Measurement(self, operation, actor) as measurement:
            self.rate_limiter.admit(actor)
            results: Any = await self.schema.stream(
                operation.query,
                variable_values=operation.variables,
                context_value=self.create_context(actor),
                operation_name=operation.name,
                allowed_operation_types=STREAM_OPERATION_TYPES,
            )
            try:
                async with aclosing(results):
                    async with asyncio.timeout(self.settings.request_timeout):
                        result = await anext(results, None)
                    measurement.stop_clock()
                    if result is not None:
                        await self.delay_response(measurement.stats, occupies_capacity=occupies_capacity)
                        measurement.outcome = _outcome(result)
                    while result is not None:
                        if result.errors and measurement.outcome == OUTCOME_OK:
                            measurement.outcome = OUTCOME_ERRORS
                        yield result
                        result = await anext(results, None)
            except TimeoutError as error:
                raise Unavailable(TIMEOUT_MESSAGE) from error
            finally:
                self._clear_actor_cache(operation)

    async def delay_response(self, stats: OperationStats, *, occupies_capacity: bool = True) -> None:
        """Wait until the time before which an operation may not be answered; the load shedder does not count it."""
        seconds = stats.respond_not_before - time.monotonic()
        if seconds > 0:
            with self.load_shedder.exclude_request() if occupies_capacity else nullcontext():
                await asyncio.sleep(seconds)

    async def _execute_planned(self, operation: Operation, actor: Actor) -> bytes | None:
        """Return the planner's response; None where the operation is left to graphql-core."""
        if self.planner is None:
            return None
        context = self.create_context(actor)
        try:
            response = await self.planner(operation, context)
        except RequestError:
            raise
        except Exception as error:
            name = operation_name(operation.name, operation.query)
            log.warning("plan failed", operation=name, kind=type(error).__qualname__, exc_info=error)
            self.metrics.record_plan(PLAN_FAILED)
            return None
        finally:
            context.close()
        self.metrics.record_plan(PLAN_DECLINED if response is None else PLAN_PLANNED)
        if response is None and actor.signed_in and not operation.may_be_mutation:
            log.info("plan declined", operation=operation_name(operation.name, operation.query))
        return response

    async def _execute_fields(
        self, operation: Operation, actor: Actor, allowed_types: frozenset[OperationType]
    ) -> ExecutionResult:
        """Run an operation field by field, by graphql-core."""
        context = self.create_context(actor)
        try:
            return await self.schema.execute(
                operation.query,
                variable_values=operation.variables,
                context_value=context,
                operation_name=operation.name,
                allowed_operation_types=allowed_types,
            )
        finally:
            context.close()
            self._clear_actor_cache(operation)

    async def _reauthenticate_for_event(self, actor: Actor) -> Actor:
        return await self.reauthenticate(actor, counts_as_use=False)

    def _clear_actor_cache(self, operation: Operation) -> None:
        """Clear the actor cache after a mutation, which may have changed permissions."""
        if operation.may_be_mutation:
            self.actor_cache.clear()


class Measurement:
    """Measures one operation, from its admission to its end or, for a stream, to its first result.

    At the end it records outcome, seconds and statements, and the use of an API key, once.
    """

    __slots__ = ("_actor", "_executor", "_operation", "_seconds", "_started_at", "outcome", "stats")

    def __init__(self, executor: Executor, operation: Operation, actor: Actor) -> None:
        self._executor, self._operation, self._actor = executor, operation, actor
        self.outcome = OUTCOME_REFUSED

    def __enter__(self) -> Self:
        self.stats = operation_stats.begin()
        self._seconds: float | None = None
        self._started_at = time.perf_counter()
        return self

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, TooManyRequests):
            self.stats.error_codes |= {error.code}
        self.stop_clock()
        executor, operation, actor, seconds = self._executor, self._operation, self._actor, self._seconds or 0.0
        api_key_id = actor.api_key_id
        executor.metrics.record_operation(
            api_key_id or actor.user_id, operation.name, operation.query, self.outcome, seconds, self.stats
        )
        if api_key_id:
            failed = self.outcome != OUTCOME_OK
            executor.api_key_usage.record_call(api_key_id, failed=failed, seconds=seconds, stats=self.stats)

    def stop_clock(self) -> None:
        """End the measured time, once."""
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._started_at


def _outcome(result: ExecutionResult) -> str:
    if responses.is_request_error(result):
        return OUTCOME_REFUSED
    return OUTCOME_ERRORS if result.errors else OUTCOME_OK
