"""GraphQL over HTTP, as its specification has it: POST and GET in two media types, and events."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graphql_api import answers, auth, requests, streams, tally
from graphql_api.callers import Callers
from graphql_api.context import Context
from graphql_api.errors import Refusal, TooManyRequests, Unavailable
from graphql_api.metrics import ERRORS, OK, REFUSED
from graphql_api.pressure import abandonable
from graphql_api.requests import EVENTS, JSON, NotRun, Operation, Rejected

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send
    from strawberry.types import ExecutionResult

    from graphql_api.actors import Actor
    from graphql_api.crypto import Signer
    from graphql_api.database import Database
    from graphql_api.documents import Persisted
    from graphql_api.events import Events
    from graphql_api.live import Live
    from graphql_api.masking import Schema
    from graphql_api.metrics import Metrics
    from graphql_api.pressure import Pressure
    from graphql_api.rates import Rates
    from graphql_api.settings import Settings
    from graphql_api.storage import Store
    from graphql_api.tally import Tally
    from graphql_api.usage import Usage

ACTING_USER = "x-notify-user-id"
SLOW = "The answer took too long: ask for less, or try again."

GET_TYPES = frozenset({OperationType.QUERY})
POST_TYPES = frozenset({OperationType.QUERY, OperationType.MUTATION})
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
        actor = await auth.actor_of(
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
        actor = await auth.renewed(actor, database=self.database, used=used)
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
            if not answers.refused(result):
                outcome = ERRORS if result.errors else OK
        except TimeoutError as error:
            raise Unavailable(SLOW) from error
        finally:
            context.end()
            self._forget_callers(operation)
            self._count(operation, actor, outcome, time.perf_counter() - began, tally.current())
        await self.hold(tally.current())
        return result

    async def stream(
        self, operation: Operation, actor: Actor, *, counted: bool = False
    ) -> AsyncGenerator[ExecutionResult]:
        """Run any operation, for as long as it has results; what counts as its time is that until the first.

        `counted` tells that it came by a request, which counts as work until then.
        Raises `Unavailable` where there is none after the time that a request has.
        """
        began, told = time.perf_counter(), tally.begin()
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
                        outcome = REFUSED if answers.refused(result) else OK
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
            tally.add(refusals=frozenset({error.code}))
            self._count(operation, actor, REFUSED, 0, tally.current())
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
                tally.add(refusals=frozenset({error.code}))
            self._count(operation, actor, REFUSED, time.perf_counter() - began, tally.current())
            raise
        finally:
            context.end()
        if answer is not None:
            self._count(operation, actor, OK, time.perf_counter() - began, tally.current())
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


class Endpoint:
    """The ASGI application of `/graphql` for HTTP."""

    def __init__(
        self, server: Server, planner: Callable[[Operation, Context], Awaitable[bytes | None]] | None = None
    ) -> None:
        """Answer with this server; a planner may answer before, with the whole of the JSON."""
        self._server = server
        self._planner = planner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; one whose sender is gone is dropped."""
        try:
            response = await self._respond(scope, receive)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> ASGIApp:
        media_type = JSON
        if scope["method"] == "OPTIONS":
            return answers.Ready(b"", 200, [(b"allow", b"GET, POST, OPTIONS")])
        try:
            headers = requests.headers_of(scope)
            if self._server.settings.development and requests.is_visit(scope, headers):
                return answers.Ready(b"", 303, [(b"location", b"/")])  # the explorer
            media_type = requests.media_type(headers.get("accept"))
            return await self._answer(scope, headers, receive, media_type)
        except Rejected as rejected:
            self._server.metrics.rejected(rejected.status)
            return answers.reject(rejected, JSON if media_type == EVENTS else media_type)
        except Refusal as refusal:
            await self._server.hold(tally.current())
            return answers.refuse(refusal, JSON if media_type == EVENTS else media_type)

    async def _answer(self, scope: Scope, headers: Mapping[str, str], receive: Receive, media_type: str) -> ASGIApp:
        settings = self._server.settings
        operation, until = None, asyncio.get_running_loop().time() + settings.request_timeout
        try:
            async with asyncio.timeout_at(until):
                operation = await requests.read(
                    scope, headers, receive, settings.max_body_bytes, self._server.persisted
                )
                if media_type != EVENTS and "mutation" not in operation.query:
                    abandonable(scope)
                actor = await self._server.actor_of(headers, scope)
                tally.begin()
                self._server.admit(operation, actor)
                planned = None if media_type == EVENTS else await self._plan(operation, actor)
        except TimeoutError as error:
            if operation is None:
                raise Rejected(408, "The body did not arrive in time.", connection="close") from error
            raise Unavailable(SLOW) from error
        if planned is not None:
            return answers.send(answers.bounded(planned), 200, media_type)
        if media_type == EVENTS:
            return await streams.begin(self._server, operation, actor)
        return await self._once(operation, actor, media_type, until, is_get=scope["method"] == "GET")

    async def _plan(self, operation: Operation, actor: Actor) -> bytes | None:
        """What the planner answers; None where it leaves the operation to graphql-core."""
        return None if self._planner is None else await self._server.plan(self._planner, operation, actor)

    async def _once(
        self, operation: Operation, actor: Actor, media_type: str, until: float, *, is_get: bool
    ) -> ASGIApp:
        tally.begin()
        try:
            result = await self._server.execute(operation, actor, GET_TYPES if is_get else POST_TYPES, until)
        except CannotGetOperationTypeError as error:
            raise NotRun("The document has no operation of this name.") from error
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.MUTATION:
                raise Rejected(405, "Send a mutation by POST.", allow="POST") from error
            raise NotRun(f"Subscribe over a WebSocket, or with Accept: {EVENTS}.") from error
        return answers.answer(result, media_type)
