"""Results as server-sent events, as the distinct connections of graphql-sse have them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError

from graphql_api.errors import QueryTooComplex, Unauthenticated
from graphql_api.http import responses
from graphql_api.http.open_connections import FORBIDDEN
from graphql_api.http.requests import EVENTS, GRAPHQL
from graphql_api.observability import error_masking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import ASGIApp, Receive, Scope, Send
    from strawberry.types import ExecutionResult

    from graphql_api.auth.actors import Actor
    from graphql_api.http.executor import Server
    from graphql_api.http.requests import Operation

KEEP_ALIVE = 12.0
"""Seconds of silence after which a stream says that it is still there."""
HEADERS = [
    (b"content-type", f"{EVENTS}; charset=utf-8".encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
COMPLETE, COMMENT = b"event: complete\ndata:\n\n", b":\n\n"


async def begin(server: Server, operation: Operation, actor: Actor) -> ASGIApp:
    """A stream of results, unless the operation is refused before the first.

    Raises `Unavailable` where there are too many streams.
    """
    with contextlib.ExitStack() as stack:
        stream = Stream(server, operation, actor)
        server.live.take(stack.enter_context(server.live.seat(stream.end)), actor)
        refusal = await stream.first()
        if refusal is not None:
            return responses.answer(refusal, GRAPHQL)
        stream.until = stack.pop_all()
    return stream


class Stream:
    """One operation, for as long as it has results and somebody reads them."""

    def __init__(self, server: Server, operation: Operation, actor: Actor) -> None:
        """Begin with nothing asked."""
        self.until = contextlib.ExitStack()
        self._pressure = server.pressure
        self._results: AsyncGenerator[ExecutionResult] = server.stream(operation, actor, counted=True)
        self._next: asyncio.Future[ExecutionResult | None] = asyncio.get_running_loop().create_future()
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def end(self, code: int) -> None:
        """End it soon, for a reason that is told as on a socket."""
        if not self._ended.done():
            self._ended.set_result(code)

    async def first(self) -> ExecutionResult | None:
        """Read the first result; answers it where it is a refusal."""
        result = await anext(self._results, None)
        if result is not None and responses.refused(result):
            await self._results.aclose()
            return result
        self._next.set_result(result)
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell each result as it comes."""
        del scope
        with self.until, self._pressure.stepped_aside():
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            gone = asyncio.ensure_future(_gone(receive))
            try:
                async for event in self._events(gone):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                tasks: set[asyncio.Future[Any]] = {gone, self._next}
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                await self._results.aclose()

    async def _events(self, gone: asyncio.Future[None]) -> AsyncGenerator[bytes]:
        while True:
            waiting: set[asyncio.Future[Any]] = {self._next, self._ended, gone}
            done, _ = await asyncio.wait(waiting, timeout=KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
            if gone in done:
                return
            if self._ended in done:
                if self._ended.result() == FORBIDDEN:
                    yield _event({"errors": [_shown(Unauthenticated())]})
                    yield COMPLETE
                # Otherwise it is not complete, and the client comes back for the rest.
                return
            if self._next not in done:
                yield COMMENT
                continue
            try:
                result = self._next.result()
            except Exception as error:  # noqa: BLE001 - told as every other
                yield _event({"errors": [_shown(error)]})
                result = None
            if result is None:
                yield COMPLETE
                return
            yield _event(responses.body_of(result))
            self._next = asyncio.ensure_future(anext(self._results, None))


def _event(body: dict[str, Any]) -> bytes:
    try:
        written = responses.encode(body)
    except QueryTooComplex as refusal:
        written = responses.encode({"errors": responses.errors_of(refusal)})
    return b"event: next\ndata: " + written + b"\n\n"


def _shown(error: Exception) -> Any:
    return error_masking.shown(GraphQLError(str(error), original_error=error)).formatted


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
