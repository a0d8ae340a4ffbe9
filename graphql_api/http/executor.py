"""Runs the operations of every transport, and records what each took."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from strawberry.types.graphql import OperationType

from graphql_api.auth import authentication
from graphql_api.auth.actor_cache import Callers
from graphql_api.context import Context
from graphql_api.errors import TooManyRequests, Unavailable
from graphql_api.http import requests, responses
from graphql_api.observability import operation_stats
from graphql_api.observability.metrics import ERRORS, OK, REFUSED

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from starlette.types import Scope
    from strawberry.types import ExecutionResult

    from graphql_api.auth.actors import Actor
    from graphql_api.auth.crypto import Signer
    from graphql_api.database.database import Database
    from graphql_api.database.listen import Events
    from graphql_api.gateways.object_store import Store
    from graphql_api.http.api_key_usage import Usage
    from graphql_api.http.open_connections import Live
    from graphql_api.http.persisted_documents import Persisted
    from graphql_api.http.requests import Operation
    from graphql_api.limits.load_shedding import Pressure
    from graphql_api.limits.rate_limiter import Rates
    from graphql_api.observability.error_masking import Schema
    from graphql_api.observability.metrics import Metrics
    from graphql_api.observability.operation_stats import Tally
    from graphql_api.settings import Settings

ACTING_USER = "x-notify-user-id"


SLOW = "The answer took too long: ask for less, or try again."


STREAM_TYPES = frozenset(OperationType)


@dataclass(frozen=True, slots=True)
class Server:
    """What answers operations: the schema, and what its resolvers can reach."""

    schema: Schema
    database: Database
    settings: Settings
    signer: Signer
    store: Store
    metrics: Metrics
    usage: Usage
    pressure: Pressure
    persisted: Persisted
    rates: Rates
    events: Events
    live: Live
    callers: Callers = field(default_factory=Callers)

    async def actor(self, token: str | None, acting_user: str | None = None, address: str = "") -> Actor:
        """Whoever a token belongs to, or did a moment ago; raises `Unauthenticated`."""
        known = None if token is None else self.callers.find(token, acting_user)
        if known is not None:
            return known
        since = time.monotonic()
        actor = await authentication.actor_of(
            token,
            acting_user,
            database=self.database,
            settings=self.settings,
            signer=self.signer,
            address=address,
        )
        if token is not None:
            self.callers.keep(token, acting_user, actor, since)
        return actor

    async def renewed(self, actor: Actor, *, used: bool = True) -> Actor:
        """A caller who has stayed, as they are now or were a moment ago; raises `Unauthenticated`.

        `used` tells whether they ask for something just now.
        """
        if not actor.signed_in:
            return actor
        known = self.callers.find_again(actor)
        if known is not None:
            return known
        since = time.monotonic()
        actor = await authentication.renewed(actor, database=self.database, used=used)
        self.callers.keep_again(actor, since)
        return actor

    async def actor_of(self, headers: Mapping[str, str], scope: Scope) -> Actor:
        """Whoever sends a request."""
        token = requests.bearer(headers)
        address = requests.address_of(scope, headers, self.settings.is_proxy) if token is None else ""
        return await self.actor(token, headers.get(ACTING_USER), address)

    def context(self, actor: Actor) -> Context:
        """What one operation of a caller can reach."""
        return Context(
            actor,
            self.database,
            self.settings,
            self.signer,
            self.store,
            self.rates,
            self.events,
            self._renewed_for_an_event,
        )

    async def execute(
        self, operation: Operation, actor: Actor, types: frozenset[OperationType], until: float
    ) -> ExecutionResult:
        """Run a query or a mutation, until then by the loop's clock.

        Raises `Unavailable` after that, CannotGetOperationTypeError, and InvalidOperationTypeError.
        """
        began = time.perf_counter()
        outcome = REFUSED
        context = self.context(actor)
        try:
            async with asyncio.timeout_at(until):
                result = await self.schema.execute(
                    operation.query,
                    variable_values=operation.variables,
                    context_value=context,
                    operation_name=operation.name,
                    allowed_operation_types=types,
                )
            if not responses.refused(result):
                outcome = ERRORS if result.errors else OK
        except TimeoutError as error:
            raise Unavailable(SLOW) from error
        finally:
            context.end()
            self._forget_callers(operation)
            self._count(operation, actor, outcome, time.perf_counter() - began, operation_stats.current())
        await self.hold(operation_stats.current())
        return result

    async def stream(
        self, operation: Operation, actor: Actor, *, counted: bool = False
    ) -> AsyncGenerator[ExecutionResult]:
        """Run any operation, for as long as it has results; what counts as its time is that until the first.

        `counted` tells that it came by a request, which counts as work until then.
        Raises `Unavailable` where there is none after the time that a request has.
        """
        began, told = time.perf_counter(), operation_stats.begin()
        seconds, outcome = None, REFUSED
        results: Any = await self.schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=self.context(actor),
            operation_name=operation.name,
            allowed_operation_types=STREAM_TYPES,
        )
        try:
            async with aclosing(results):
                async with asyncio.timeout(self.settings.request_timeout):
                    result = await anext(results, None)
                while result is not None:
                    if seconds is None:
                        seconds = time.perf_counter() - began
                        await self.hold(told, counted=counted)
                        outcome = REFUSED if responses.refused(result) else OK
                    if result.errors and outcome == OK:
                        outcome = ERRORS
                    yield result
                    result = await anext(results, None)
        except TimeoutError as error:
            raise Unavailable(SLOW) from error
        finally:
            self._forget_callers(operation)
            self._count(operation, actor, outcome, seconds or time.perf_counter() - began, told)

    def admit(self, operation: Operation, actor: Actor) -> None:
        """Raise `TooManyRequests` for whoever has no point left, before anything that they ask is read."""
        try:
            self.rates.admit(actor)
        except TooManyRequests as error:
            operation_stats.add(refusals=frozenset({error.code}))
            self._count(operation, actor, REFUSED, 0, operation_stats.current())
            raise

    async def plan(
        self, planner: Callable[[Operation, Context], Awaitable[bytes | None]], operation: Operation, actor: Actor
    ) -> bytes | None:
        """What a planner answers; None where it leaves it to `execute`."""
        began = time.perf_counter()
        context = self.context(actor)
        try:
            answer = await planner(operation, context)
        except (asyncio.CancelledError, TooManyRequests) as error:
            if isinstance(error, TooManyRequests):
                operation_stats.add(refusals=frozenset({error.code}))
            self._count(operation, actor, REFUSED, time.perf_counter() - began, operation_stats.current())
            raise
        finally:
            context.end()
        if answer is not None:
            self._count(operation, actor, OK, time.perf_counter() - began, operation_stats.current())
        return answer

    async def hold(self, told: Tally, *, counted: bool = True) -> None:
        """Wait until an operation may be answered, which is no work."""
        seconds = told.not_before - time.monotonic()
        if seconds > 0:
            with self.pressure.stepped_aside() if counted else nullcontext():
                await asyncio.sleep(seconds)

    async def _renewed_for_an_event(self, actor: Actor) -> Actor:
        return await self.renewed(actor, used=False)

    def _forget_callers(self, operation: Operation) -> None:
        """Look callers up anew after what may have changed one of them."""
        if "mutation" in operation.query:
            self.callers.forget()

    def _count(self, operation: Operation, actor: Actor, outcome: str, seconds: float, told: Tally) -> None:
        """Count an operation that has ended."""
        self.metrics.answered(actor, operation.name, operation.query, outcome, seconds, told)
        if actor.api_key_id:
            self.usage.called(actor.api_key_id, failed=outcome != OK, seconds=seconds, told=told)
