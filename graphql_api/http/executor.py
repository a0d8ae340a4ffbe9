"""Runs the operations of every transport, and records what each took."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from strawberry.types.graphql import OperationType

from graphql_api.auth import authentication
from graphql_api.auth.actor_cache import ActorCache
from graphql_api.context import Context
from graphql_api.errors import TooManyRequests, Unavailable
from graphql_api.http import requests, responses
from graphql_api.observability import operation_stats
from graphql_api.observability.metrics import OUTCOME_ERRORS, OUTCOME_OK, OUTCOME_REFUSED

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

ACTING_USER_HEADER = "x-notify-user-id"


TIMEOUT_MESSAGE = "The answer took too long: ask for less, or try again."


STREAM_OPERATION_TYPES = frozenset(OperationType)


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
    actor_cache: ActorCache = field(default_factory=ActorCache)

    async def authenticate(self, token: str | None, acting_user: str | None = None, address: str = "") -> Actor:
        """Whoever a token belongs to, or did a moment ago; raises `Unauthenticated`."""
        known = None if token is None else self.actor_cache.get(token, acting_user)
        if known is not None:
            return known
        since = time.monotonic()
        actor = await authentication.authenticate(
            token,
            acting_user,
            database=self.database,
            settings=self.settings,
            signer=self.signer,
            client_address=address,
        )
        if token is not None:
            self.actor_cache.put(token, acting_user, actor, since)
        return actor

    async def reauthenticate(self, actor: Actor, *, counts_as_use: bool = True) -> Actor:
        """A caller who has stayed, as they are now or were a moment ago; raises `Unauthenticated`.

        `used` tells whether they ask for something just now.
        """
        if not actor.signed_in:
            return actor
        known = self.actor_cache.get_renewed(actor)
        if known is not None:
            return known
        since = time.monotonic()
        actor = await authentication.reauthenticate(actor, database=self.database, counts_as_use=counts_as_use)
        self.actor_cache.put_renewed(actor, since)
        return actor

    async def authenticate_request(self, headers: Mapping[str, str], scope: Scope) -> Actor:
        """Whoever sends a request."""
        token = requests.bearer_token(headers)
        address = requests.client_address(scope, headers, self.settings.is_proxy) if token is None else ""
        return await self.authenticate(token, headers.get(ACTING_USER_HEADER), address)

    def create_context(self, actor: Actor) -> Context:
        """What one operation of a caller can reach."""
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
        self, operation: Operation, actor: Actor, allowed_types: frozenset[OperationType], deadline: float
    ) -> ExecutionResult:
        """Run a query or a mutation, until then by the loop's clock.

        Raises `Unavailable` after that, CannotGetOperationTypeError, and InvalidOperationTypeError.
        """
        began = time.perf_counter()
        outcome = OUTCOME_REFUSED
        context = self.create_context(actor)
        try:
            async with asyncio.timeout_at(deadline):
                result = await self.schema.execute(
                    operation.query,
                    variable_values=operation.variables,
                    context_value=context,
                    operation_name=operation.name,
                    allowed_operation_types=allowed_types,
                )
            if not responses.is_request_error(result):
                outcome = OUTCOME_ERRORS if result.errors else OUTCOME_OK
        except TimeoutError as error:
            raise Unavailable(TIMEOUT_MESSAGE) from error
        finally:
            context.close()
            self._clear_actor_cache(operation)
            self._record_operation(operation, actor, outcome, time.perf_counter() - began, operation_stats.current())
        await self.delay_response(operation_stats.current())
        return result

    async def stream(
        self, operation: Operation, actor: Actor, *, occupies_capacity: bool = False
    ) -> AsyncGenerator[ExecutionResult]:
        """Run any operation, for as long as it has results; what counts as its time is that until the first.

        `counted` tells that it came by a request, which counts as work until then.
        Raises `Unavailable` where there is none after the time that a request has.
        """
        began, told = time.perf_counter(), operation_stats.begin()
        seconds, outcome = None, OUTCOME_REFUSED
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
                while result is not None:
                    if seconds is None:
                        seconds = time.perf_counter() - began
                        await self.delay_response(told, occupies_capacity=occupies_capacity)
                        outcome = OUTCOME_REFUSED if responses.is_request_error(result) else OUTCOME_OK
                    if result.errors and outcome == OUTCOME_OK:
                        outcome = OUTCOME_ERRORS
                    yield result
                    result = await anext(results, None)
        except TimeoutError as error:
            raise Unavailable(TIMEOUT_MESSAGE) from error
        finally:
            self._clear_actor_cache(operation)
            self._record_operation(operation, actor, outcome, seconds or time.perf_counter() - began, told)

    def check_rate_limit(self, operation: Operation, actor: Actor) -> None:
        """Raise `TooManyRequests` for whoever has no point left, before anything that they ask is read."""
        try:
            self.rate_limiter.admit(actor)
        except TooManyRequests as error:
            operation_stats.add(error_codes=frozenset({error.code}))
            self._record_operation(operation, actor, OUTCOME_REFUSED, 0, operation_stats.current())
            raise

    async def execute_planned(
        self, planner: Callable[[Operation, Context], Awaitable[bytes | None]], operation: Operation, actor: Actor
    ) -> bytes | None:
        """What a planner answers; None where it leaves it to `execute`."""
        began = time.perf_counter()
        context = self.create_context(actor)
        try:
            answer = await planner(operation, context)
        except (asyncio.CancelledError, TooManyRequests) as error:
            if isinstance(error, TooManyRequests):
                operation_stats.add(error_codes=frozenset({error.code}))
            self._record_operation(
                operation, actor, OUTCOME_REFUSED, time.perf_counter() - began, operation_stats.current()
            )
            raise
        finally:
            context.close()
        if answer is not None:
            self._record_operation(operation, actor, OUTCOME_OK, time.perf_counter() - began, operation_stats.current())
        return answer

    async def delay_response(self, stats: OperationStats, *, occupies_capacity: bool = True) -> None:
        """Wait until an operation may be answered, which is no work."""
        seconds = stats.respond_not_before - time.monotonic()
        if seconds > 0:
            with self.load_shedder.exclude_request() if occupies_capacity else nullcontext():
                await asyncio.sleep(seconds)

    async def _reauthenticate_for_event(self, actor: Actor) -> Actor:
        return await self.reauthenticate(actor, counts_as_use=False)

    def _clear_actor_cache(self, operation: Operation) -> None:
        """Look callers up anew after what may have changed one of them."""
        if "mutation" in operation.query:
            self.actor_cache.clear()

    def _record_operation(
        self, operation: Operation, actor: Actor, outcome: str, seconds: float, stats: OperationStats
    ) -> None:
        """Count an operation that has ended."""
        self.metrics.record_operation(actor, operation.name, operation.query, outcome, seconds, stats)
        if actor.api_key_id:
            self.api_key_usage.record_call(actor.api_key_id, failed=outcome != OUTCOME_OK, seconds=seconds, stats=stats)
