"""GraphQL over HTTP, as its specification has it: POST and GET in two media types, and events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graphql_api.errors import Refusal, Unavailable
from graphql_api.http import requests, responses, sse
from graphql_api.http.executor import SLOW, Server
from graphql_api.http.rejections import NotRun, Rejected
from graphql_api.http.requests import EVENTS, JSON, Operation
from graphql_api.limits.load_shedding import abandonable
from graphql_api.observability import operation_stats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from graphql_api.auth.actors import Actor
    from graphql_api.context import Context


GET_TYPES = frozenset({OperationType.QUERY})
POST_TYPES = frozenset({OperationType.QUERY, OperationType.MUTATION})


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
            return responses.Ready(b"", 200, [(b"allow", b"GET, POST, OPTIONS")])
        try:
            headers = requests.headers_of(scope)
            if self._server.settings.development and requests.is_visit(scope, headers):
                return responses.Ready(b"", 303, [(b"location", b"/")])  # the explorer
            media_type = requests.media_type(headers.get("accept"))
            return await self._answer(scope, headers, receive, media_type)
        except Rejected as rejected:
            self._server.metrics.rejected(rejected.status)
            return responses.reject(rejected, JSON if media_type == EVENTS else media_type)
        except Refusal as refusal:
            await self._server.hold(operation_stats.current())
            return responses.refuse(refusal, JSON if media_type == EVENTS else media_type)

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
                operation_stats.begin()
                self._server.admit(operation, actor)
                planned = None if media_type == EVENTS else await self._plan(operation, actor)
        except TimeoutError as error:
            if operation is None:
                raise Rejected(408, "The body did not arrive in time.", connection="close") from error
            raise Unavailable(SLOW) from error
        if planned is not None:
            return responses.send(responses.bounded(planned), 200, media_type)
        if media_type == EVENTS:
            return await sse.begin(self._server, operation, actor)
        return await self._once(operation, actor, media_type, until, is_get=scope["method"] == "GET")

    async def _plan(self, operation: Operation, actor: Actor) -> bytes | None:
        """What the planner answers; None where it leaves the operation to graphql-core."""
        return None if self._planner is None else await self._server.plan(self._planner, operation, actor)

    async def _once(
        self, operation: Operation, actor: Actor, media_type: str, until: float, *, is_get: bool
    ) -> ASGIApp:
        operation_stats.begin()
        try:
            result = await self._server.execute(operation, actor, GET_TYPES if is_get else POST_TYPES, until)
        except CannotGetOperationTypeError as error:
            raise NotRun("The document has no operation of this name.") from error
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.MUTATION:
                raise Rejected(405, "Send a mutation by POST.", allow="POST") from error
            raise NotRun(f"Subscribe over a WebSocket, or with Accept: {EVENTS}.") from error
        return responses.answer(result, media_type)
