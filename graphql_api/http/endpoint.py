"""The ASGI application of `/graphql`, by the GraphQL over HTTP specification: POST, GET, and event streams."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from graphql_api.errors import RequestError, Unavailable
from graphql_api.http import disconnects, requests, responses, sse
from graphql_api.http.executor import TIMEOUT_MESSAGE, Executor
from graphql_api.http.rejections import HTTPRejection, OperationNotExecuted
from graphql_api.http.requests import EVENT_STREAM_MEDIA_TYPE, JSON_MEDIA_TYPE
from graphql_api.observability import operation_stats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

GET_OPERATION_TYPES = frozenset({OperationType.QUERY})
POST_OPERATION_TYPES = frozenset({OperationType.QUERY, OperationType.MUTATION})


class Endpoint:
    """The ASGI application of `/graphql` for HTTP."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request; drop it where the client has disconnected."""
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
        except HTTPRejection as rejection:
            self._executor.metrics.record_rejections(rejection.status)
            return responses.rejection_response(rejection, _error_media_type(media_type))
        except RequestError as error:
            await self._executor.delay_response(operation_stats.current())
            return responses.error_response(error, _error_media_type(media_type))

    async def _handle_operation(
        self, scope: Scope, headers: Mapping[str, str], receive: Receive, media_type: str
    ) -> ASGIApp:
        executor, settings = self._executor, self._executor.settings
        operation, result = None, None
        try:
            async with asyncio.timeout(settings.request_timeout):
                operation = await requests.read_operation(
                    scope, headers, receive, settings.max_body_bytes, executor.persisted_documents
                )
                if media_type != EVENT_STREAM_MEDIA_TYPE and not operation.may_be_mutation:
                    disconnects.allow_cancel(scope)
                actor = await executor.authenticate_request(headers, scope)
                if media_type != EVENT_STREAM_MEDIA_TYPE:
                    allowed_types = GET_OPERATION_TYPES if scope["method"] == "GET" else POST_OPERATION_TYPES
                    result = await executor.execute(operation, actor, allowed_types)
        except TimeoutError as error:
            if operation is None:
                raise HTTPRejection(408, "The body did not arrive in time.", connection="close") from error
            raise Unavailable(TIMEOUT_MESSAGE) from error
        except CannotGetOperationTypeError as error:
            raise OperationNotExecuted("The document has no operation of this name.") from error
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.MUTATION:
                raise HTTPRejection(405, "Send a mutation by POST.", allow="POST") from error
            raise OperationNotExecuted(
                f"Subscribe over a WebSocket, or with Accept: {EVENT_STREAM_MEDIA_TYPE}."
            ) from error
        if result is None:
            return await sse.open_stream(executor, operation, actor)
        await executor.delay_response(operation_stats.current())
        if isinstance(result, bytes):
            return responses.bytes_response(responses.check_response_size(result), 200, media_type)
        return responses.result_response(result, media_type)


def _error_media_type(media_type: str) -> str:
    return JSON_MEDIA_TYPE if media_type == EVENT_STREAM_MEDIA_TYPE else media_type
