"""Results as server-sent events, as the distinct connections of graphql-sse have them."""

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
"""Seconds of silence after which a stream says that it is still there."""
EVENT_STREAM_HEADERS = [
    (b"content-type", f"{EVENT_STREAM_MEDIA_TYPE}; charset=utf-8".encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
COMPLETE_EVENT, KEEP_ALIVE_COMMENT = b"event: complete\ndata:\n\n", b":\n\n"


async def open_stream(executor: Executor, operation: Operation, actor: Actor) -> ASGIApp:
    """A stream of results, unless the operation is refused before the first.

    Raises `Unavailable` where there are too many streams.
    """
    with contextlib.ExitStack() as stack:
        stream = EventStream(executor, operation, actor)
        executor.connection_registry.assign_actor(
            stack.enter_context(executor.connection_registry.reserve_slot(stream.request_close)), actor
        )
        refusal = await stream.read_first()
        if refusal is not None:
            return responses.result_response(refusal, GRAPHQL_MEDIA_TYPE)
        stream.exit_stack = stack.pop_all()
    return stream


class EventStream:
    """One operation, for as long as it has results and somebody reads them."""

    def __init__(self, executor: Executor, operation: Operation, actor: Actor) -> None:
        """Begin with nothing asked."""
        self.exit_stack = contextlib.ExitStack()
        self._load_shedder = executor.load_shedder
        self._results: AsyncGenerator[ExecutionResult] = executor.stream(operation, actor, occupies_capacity=True)
        self._next_result: asyncio.Future[ExecutionResult | None] = asyncio.get_running_loop().create_future()
        self._close_code: asyncio.Future[CloseCode] = asyncio.get_running_loop().create_future()

    def request_close(self, code: CloseCode) -> None:
        """End it soon, for a reason that is told as on a socket."""
        if not self._close_code.done():
            self._close_code.set_result(code)

    async def read_first(self) -> ExecutionResult | None:
        """Read the first result; answers it where it is a refusal."""
        result = await anext(self._results, None)
        if result is not None and responses.is_request_error(result):
            await self._results.aclose()
            return result
        self._next_result.set_result(result)
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell each result as it comes."""
        del scope
        with self.exit_stack, self._load_shedder.exclude_request():
            await send({"type": "http.response.start", "status": 200, "headers": EVENT_STREAM_HEADERS})
            gone = asyncio.ensure_future(_wait_for_disconnect(receive))
            try:
                async for event in self._events(gone):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                tasks: set[asyncio.Future[Any]] = {gone, self._next_result}
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
                # Otherwise it is not complete, and the client comes back for the rest.
                return
            if self._next_result not in done:
                yield KEEP_ALIVE_COMMENT
                continue
            try:
                result = self._next_result.result()
            except Exception as error:  # noqa: BLE001 - told as every other
                yield _format_event({"errors": [responses.format_exception(error)]})
                result = None
            if result is None:
                yield COMPLETE_EVENT
                return
            yield _format_event(responses.format_result(result))
            self._next_result = asyncio.ensure_future(anext(self._results, None))


def _format_event(body: dict[str, Any]) -> bytes:
    try:
        written = responses.encode_json(body)
    except QueryTooComplex as refusal:
        written = responses.encode_json({"errors": responses.format_errors(refusal)})
    return b"event: next\ndata: " + written + b"\n\n"


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
