"""Results as server-sent events, by the distinct connections mode of graphql-sse."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from graphql_api.errors import CloseCode, QueryTooComplex, Unauthenticated
from graphql_api.http import responses
from graphql_api.http.requests import EVENT_STREAM_MEDIA_TYPE, GRAPHQL_MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Receive, Scope, Send
    from strawberry.types import ExecutionResult

    from graphql_api.auth.actors import Actor
    from graphql_api.http.executor import Executor
    from graphql_api.http.requests import Operation

KEEP_ALIVE_INTERVAL_SECONDS = 12.0
"""Seconds without an event after which a comment keeps the connection open."""
EVENT_STREAM_HEADERS = [
    (b"content-type", f"{EVENT_STREAM_MEDIA_TYPE}; charset=utf-8".encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
COMPLETE_EVENT, KEEP_ALIVE_COMMENT = b"event: complete\ndata:\n\n", b":\n\n"


async def open_stream(executor: Executor, operation: Operation, actor: Actor) -> ASGIApp:
    """A stream of results, or an error response where the operation did not run.

    Raises `Unavailable` where too many connections are open.
    """
    with contextlib.ExitStack() as stack:
        stream = EventStream(executor, operation, actor)
        executor.connection_registry.assign_actor(
            stack.enter_context(executor.connection_registry.reserve_slot(stream.request_close)), actor
        )
        request_error = await stream.read_first()
        if request_error is not None:
            return responses.result_response(request_error, GRAPHQL_MEDIA_TYPE)
        stream.exit_stack = stack.pop_all()
    return stream


class EventStream:
    """The ASGI application of one stream: it ends with the operation, the client, or `request_close`."""

    def __init__(self, executor: Executor, operation: Operation, actor: Actor) -> None:
        self.exit_stack = contextlib.ExitStack()
        self._load_shedder = executor.load_shedder
        self._results: AsyncGenerator[ExecutionResult] = executor.stream(operation, actor, occupies_capacity=True)
        self._next_result: asyncio.Future[ExecutionResult | None] = asyncio.get_running_loop().create_future()
        self._close_code: asyncio.Future[CloseCode] = asyncio.get_running_loop().create_future()

    def request_close(self, code: CloseCode) -> None:
        """Close the stream soon."""
        if not self._close_code.done():
            self._close_code.set_result(code)

    async def read_first(self) -> ExecutionResult | None:
        """Read the first result; return it only where it is a request error."""
        result = await anext(self._results, None)
        if result is not None and responses.is_request_error(result):
            await self._results.aclose()
            return result
        self._next_result.set_result(result)
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send each result as an event."""
        del scope
        with self.exit_stack, self._load_shedder.exclude_request():
            await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM_HEADERS})
            disconnected = asyncio.ensure_future(_wait_for_disconnect(receive))
            try:
                async for event in self._events(disconnected):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                tasks: set[asyncio.Future[Any]] = {disconnected, self._next_result}
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                await self._results.aclose()

    async def _events(self, disconnected: asyncio.Future[None]) -> AsyncGenerator[bytes]:
        while True:
            waiting: set[asyncio.Future[Any]] = {self._next_result, self._close_code, disconnected}
            done, _ = await asyncio.wait(
                waiting, timeout=KEEP_ALIVE_INTERVAL_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if disconnected in done:
                return
            if self._close_code in done:
                if self._close_code.result() == CloseCode.FORBIDDEN:
                    yield _format_event({"errors": [responses.format_exception(Unauthenticated())]})
                    yield COMPLETE_EVENT
                # Without a complete event the client connects again.
                return
            if self._next_result not in done:
                yield KEEP_ALIVE_COMMENT
                continue
            try:
                result = self._next_result.result()
            except Exception as error:  # noqa: BLE001 - masked and sent
                yield _format_event({"errors": [responses.format_exception(error)]})
                result = None
            if result is None:
                yield COMPLETE_EVENT
                return
            yield _format_event(responses.format_result(result))
            self._next_result = asyncio.ensure_future(anext(self._results, None))


def _format_event(body: dict[str, Any]) -> bytes:
    try:
        encoded = responses.encode_json(body)
    except QueryTooComplex as error:
        encoded = responses.encode_json({"errors": responses.format_errors(error)})
    return b"event: next\ndata: " + encoded + b"\n\n"


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
