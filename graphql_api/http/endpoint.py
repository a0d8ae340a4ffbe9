"""GraphQL over HTTP, as its specification has it: POST and GET in two media types, and events."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graphql_api.errors import RequestError, Unavailable
from graphql_api.http import requests, responses, sse
from graphql_api.http.executor import TIMEOUT_MESSAGE, Executor
from graphql_api.http.rejections import HTTPRejection, OperationNotExecuted
from graphql_api.http.requests import EVENT_STREAM_MEDIA_TYPE, JSON_MEDIA_TYPE, Operation
from graphql_api.limits.load_shedding import cancel_on_disconnect
from graphql_api.observability import operation_stats

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from graphql_api.auth.actors import Actor
    from graphql_api.context import Context


GET_OPERATION_TYPES = frozenset({OperationType.QUERY})
POST_OPERATION_TYPES = frozenset({OperationType.QUERY, OperationType.MUTATION})


class Endpoint:
    """The ASGI application of `/graphql` for HTTP."""

    def __init__(
        self, executor: Executor, planner: Callable[[Operation, Context], Awaitable[bytes | None]] | None = None
    ) -> None:
        """Answer with this server; a planner may answer before, with the whole of the JSON."""
        self._executor = executor
        self._planner = planner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; one whose sender is gone is dropped."""
        try:
            response = await self._respond(scope, receive)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> ASGIApp:
        media_type = JSON_MEDIA_TYPE
        if scope["method"] == "OPTIONS":
            return responses.BytesResponse(b"", 200, [(b"allow", b"GET, POST, OPTIONS")])
        try:
            headers = requests.parse_headers(scope)
            if self._executor.settings.is_development and requests.is_browser_navigation(scope, headers):
                return responses.BytesResponse(b"", 303, [(b"location", b"/")])  # the explorer
            media_type = requests.negotiate_media_type(headers.get("accept"))
            return await self._handle_operation(scope, headers, receive, media_type)
        except HTTPRejection as rejected:
            self._executor.metrics.record_rejections(rejected.status)
            return responses.rejection_response(
                rejected, JSON_MEDIA_TYPE if media_type == EVENT_STREAM_MEDIA_TYPE else media_type
            )
        except RequestError as refusal:
            await self._executor.delay_response(operation_stats.current())
            return responses.request_error_response(
                refusal, JSON_MEDIA_TYPE if media_type == EVENT_STREAM_MEDIA_TYPE else media_type
            )

    async def _handle_operation(
        self, scope: Scope, headers: Mapping[str, str], receive: Receive, media_type: str
    ) -> ASGIApp:
        settings = self._executor.settings
        operation, until = None, asyncio.get_running_loop().time() + settings.request_timeout
        try:
            async with asyncio.timeout_at(until):
                operation = await requests.read_operation(
                    scope, headers, receive, settings.max_body_bytes, self._executor.persisted_documents
                )
                if media_type != EVENT_STREAM_MEDIA_TYPE and "mutation" not in operation.query:
                    cancel_on_disconnect(scope)
                actor = await self._executor.authenticate_request(headers, scope)
                operation_stats.begin()
                self._executor.check_rate_limit(operation, actor)
                planned = (
                    None if media_type == EVENT_STREAM_MEDIA_TYPE else await self._execute_planned(operation, actor)
                )
        except TimeoutError as error:
            if operation is None:
                raise HTTPRejection(408, "The body did not arrive in time.", connection="close") from error
            raise Unavailable(TIMEOUT_MESSAGE) from error
        if planned is not None:
            return responses.bytes_response(responses.check_response_size(planned), 200, media_type)
        if media_type == EVENT_STREAM_MEDIA_TYPE:
            return await sse.open_stream(self._executor, operation, actor)
        return await self._execute_once(operation, actor, media_type, until, is_get=scope["method"] == "GET")

    async def _execute_planned(self, operation: Operation, actor: Actor) -> bytes | None:
        """What the planner answers; None where it leaves the operation to graphql-core."""
        return None if self._planner is None else await self._executor.execute_planned(self._planner, operation, actor)

    async def _execute_once(
        self, operation: Operation, actor: Actor, media_type: str, deadline: float, *, is_get: bool
    ) -> ASGIApp:
        operation_stats.begin()
        try:
            result = await self._executor.execute(
                operation, actor, GET_OPERATION_TYPES if is_get else POST_OPERATION_TYPES, deadline
            )
        except CannotGetOperationTypeError as error:
            raise OperationNotExecuted("The document has no operation of this name.") from error
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.MUTATION:
                raise HTTPRejection(405, "Send a mutation by POST.", allow="POST") from error
            raise OperationNotExecuted(
                f"Subscribe over a WebSocket, or with Accept: {EVENT_STREAM_MEDIA_TYPE}."
            ) from error
        return responses.result_response(result, media_type)
