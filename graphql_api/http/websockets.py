"""GraphQL over WebSockets: graphql-transport-ws, with the callers, the limits and the masks of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from graphql import GraphQLError, OperationType, get_operation_ast
from strawberry.http.websocket_origin import is_same_origin

from graphql_api.errors import BadRequest, CloseCode, RequestError, Unauthenticated, Unavailable, close_code
from graphql_api.http import requests, responses
from graphql_api.http.executor import ACTING_USER_HEADER
from graphql_api.http.rejections import HTTPRejection, OperationNotExecuted
from graphql_api.limits.extension import document_cache_of
from graphql_api.observability import error_masking, operation_stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import Receive, Scope, Send

    from graphql_api.auth.actors import Actor
    from graphql_api.http.executor import Executor
    from graphql_api.http.open_connections import Slot
    from graphql_api.http.requests import Operation

SUBPROTOCOL = "graphql-transport-ws"
INIT_TIMEOUT_SECONDS = 5
MAX_CONCURRENT_OPERATIONS = 10
"""Operations that one connection may have under way."""
TOO_MANY_OPERATIONS = BadRequest(
    f"A connection may have {MAX_CONCURRENT_OPERATIONS} operations under way: end one first."
)
MAX_OPERATION_ID_CHARACTERS = 64

CLOSE_REASONS = {
    CloseCode.BAD_REQUEST: "The message is none of the protocol's",
    CloseCode.UNAUTHORIZED: "Send connection_init first",
    CloseCode.FORBIDDEN: "Forbidden",
    CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE: f"The subprotocol is {SUBPROTOCOL}",
    CloseCode.INIT_TIMEOUT: "connection_init did not arrive in time",
    CloseCode.OPERATION_ALREADY_EXISTS: "An operation of this id is under way",
    CloseCode.TOO_MANY_INIT_REQUESTS: "Send connection_init once",
    CloseCode.SERVICE_RESTART: "The server stops: connect again",
    CloseCode.TRY_AGAIN_LATER: "Try again later",
}

_MEMBERS_BY_MESSAGE_TYPE: dict[str, dict[str, type]] = {
    "connection_init": {},
    "ping": {},
    "pong": {},
    "subscribe": {"id": str, "payload": dict},
    "complete": {"id": str},
}


class CloseRequired(Exception):
    """The connection must be closed, with a code."""

    def __init__(self, code: CloseCode) -> None:
        """Name the code."""
        super().__init__(code)
        self.code = code


class RunningOperation(NamedTuple):
    """An operation under way."""

    task: asyncio.Task[None]
    operation: Operation


class WebSocketEndpoint:
    """The ASGI application of `/graphql` for WebSockets."""

    def __init__(self, executor: Executor) -> None:
        """Answer with this server."""
        self._executor = executor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until its end."""
        await receive()  # "websocket.connect"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not is_origin_allowed(headers, self._executor.settings.cors_origins):
            await send({"type": "websocket.close"})  # answers 403
            return
        socket = WebSocketConnection(self._executor, scope, headers, receive, send)
        try:
            with self._executor.connection_registry.reserve_slot(socket.request_close) as seat:
                await socket.serve(seat, scope["subprotocols"])
        except Unavailable:
            await send({"type": "websocket.http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]})
            await send({"type": "websocket.http.response.body", "body": b""})


class WebSocketConnection:
    """One connection: what it has said of itself, and its operations."""

    def __init__(
        self, executor: Executor, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
        """Begin with nothing said."""
        self._executor = executor
        self._scope = scope
        self._headers = headers
        self._receive = receive
        self._send = send
        self._init_received = self._draining = self._closed = False
        self._actor: Actor | None = None
        self._operations: dict[str, RunningOperation] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, slot: Slot, offered_subprotocols: Iterable[str]) -> None:
        """Take the connection, and answer its messages one by one."""
        timer = asyncio.get_running_loop().call_later(INIT_TIMEOUT_SECONDS, self._close_without_init)
        try:
            if SUBPROTOCOL not in offered_subprotocols:
                await self._send({"type": "websocket.accept"})
                await self._close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE)
                return
            await self._send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            while (message := await self._receive())["type"] == "websocket.receive":
                await self._handle_message(parse_message(message.get("text")), slot)
        except CloseRequired as closed:
            await self._close(closed.code)
        except OSError:
            pass  # the client is gone
        finally:
            timer.cancel()
            self._closed = True
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def request_close(self, code: CloseCode) -> None:
        """Close the connection soon; a server that stops lets its queries and mutations end."""
        self._start_task(self._drain_and_close() if code == CloseCode.SERVICE_RESTART else self._close(code))

    async def _drain_and_close(self) -> None:
        self._draining = True
        if waiting := [task for task, operation in self._operations.values() if not self._is_subscription(operation)]:
            await asyncio.wait(waiting)
        await self._close(CloseCode.SERVICE_RESTART)

    def _is_subscription(self, operation: Operation) -> bool:
        """Whether it is a subscription."""
        documents = document_cache_of(self._executor.schema)
        try:
            found = get_operation_ast(documents.get_or_parse(operation.query).document, operation.name)
        except (GraphQLError, RequestError):
            return False
        return found is not None and found.operation is OperationType.SUBSCRIPTION

    def _close_without_init(self) -> None:
        if not self._init_received:
            self.request_close(CloseCode.INIT_TIMEOUT)

    def _start_task(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _close(self, code: CloseCode) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            await self._send({"type": "websocket.close", "code": code, "reason": CLOSE_REASONS[code]})

    async def _send_message(self, message: Mapping[str, Any]) -> None:
        if self._closed:
            return
        try:
            await self._send({"type": "websocket.send", "text": responses.encode_json(message).decode()})
        except RuntimeError as error:  # uvicorn's word for a connection that it has closed itself
            raise ConnectionError from error

    async def _handle_message(self, message: Mapping[str, Any], slot: Slot) -> None:
        """Do what one message asks for; raises `Closed` where it breaks the protocol."""
        kind = message["type"]
        if kind == "connection_init":
            await self._handle_init(message.get("payload") or {}, slot)
        elif kind == "ping":
            await self._send_message({"type": "pong"})
        elif kind == "subscribe":
            await self._handle_subscribe(message["id"], message["payload"])
        elif kind == "complete" and (running := self._operations.pop(message["id"], None)):
            running.task.cancel()

    async def _handle_init(self, payload: Mapping[str, Any], slot: Slot) -> None:
        """Find out who it is, as they say in the payload or have said in the headers."""
        if self._init_received:
            raise CloseRequired(CloseCode.TOO_MANY_INIT_REQUESTS)
        self._init_received = True
        told = {name.lower(): value for name, value in payload.items()}
        headers = told if "authorization" in told else self._headers
        if not all(isinstance(headers.get(name, ""), str) for name in ("authorization", ACTING_USER_HEADER)):
            raise CloseRequired(CloseCode.FORBIDDEN)
        try:
            self._actor = await self._executor.authenticate_request(headers, self._scope)
            self._executor.connection_registry.assign_actor(slot, self._actor)
        except RequestError as error:
            raise CloseRequired(close_code(error)) from error
        await self._send_message({"type": "connection_ack"})

    async def _handle_subscribe(self, operation_id: str, payload: Mapping[str, Any]) -> None:
        operation = None
        try:
            operation = requests.parse_operation(payload, self._executor.persisted_documents)
        except OperationNotExecuted as error:
            rejection = error
        except HTTPRejection as error:
            raise CloseRequired(CloseCode.BAD_REQUEST) from error
        if self._actor is None:
            raise CloseRequired(CloseCode.UNAUTHORIZED)
        if operation_id in self._operations:
            raise CloseRequired(CloseCode.OPERATION_ALREADY_EXISTS)
        if operation is None:
            await self._send_errors(operation_id, responses.format_errors(rejection))
        elif len(self._operations) >= MAX_CONCURRENT_OPERATIONS:
            await self._send_errors(operation_id, responses.format_errors(TOO_MANY_OPERATIONS))
        elif not self._draining:
            self._operations[operation_id] = RunningOperation(
                self._start_task(self._run_operation(operation_id, self._actor, operation)), operation
            )

    async def _run_operation(self, operation_id: str, actor: Actor, operation: Operation) -> None:
        """Run an operation to its end, and tell each result."""
        structlog.contextvars.bind_contextvars(request_id=error_masking.new_request_id())
        try:
            actor = await self._executor.reauthenticate(actor)
            await self._send_results(operation_id, actor, operation)
        except OSError:
            pass  # the client is gone
        except Unauthenticated:
            await self._close(CloseCode.FORBIDDEN)
        except Exception as error:  # noqa: BLE001 - told as every other
            await self._executor.delay_response(operation_stats.current(), occupies_capacity=False)
            self._release_operation_id(operation_id)
            with contextlib.suppress(OSError):
                await self._send_errors(operation_id, [responses.format_exception(error)])

    async def _send_results(self, operation_id: str, actor: Actor, operation: Operation) -> None:
        async with aclosing(self._executor.stream(operation, actor)) as results:
            async for result in results:
                if responses.is_request_error(result):
                    self._release_operation_id(operation_id)
                    await self._send_errors(operation_id, responses.format_result(result)["errors"])
                    return
                await self._send_message(
                    {"type": "next", "id": operation_id, "payload": responses.format_result(result)}
                )
        self._release_operation_id(operation_id)
        await self._send_message({"type": "complete", "id": operation_id})

    async def _send_errors(self, operation_id: str, errors: list[Any]) -> None:
        await self._send_message({"type": "error", "id": operation_id, "payload": errors})

    def _release_operation_id(self, operation_id: str) -> None:
        """Let the id be used again, before the last message of its operation is sent."""
        running = self._operations.get(operation_id)
        if running is not None and running.task is asyncio.current_task():
            del self._operations[operation_id]


def is_origin_allowed(headers: Mapping[str, str], allowed_origins: Iterable[str]) -> bool:
    """Whether a page may open a connection: one of ours, or of an origin of the settings; programs always may."""
    origin = headers.get("origin")
    return origin is None or origin in allowed_origins or is_same_origin(origin, headers.get("host"))


def parse_message(text: str | None) -> dict[str, Any]:
    """A message of a client; raises `Closed` where it has not the shape of one."""
    try:
        message = requests.decode_json(text or "")
        if not isinstance(message, dict) or not isinstance(message.get("payload"), dict | None):
            raise CloseRequired(CloseCode.BAD_REQUEST)
        members = _MEMBERS_BY_MESSAGE_TYPE[message.get("type")]  # type: ignore[index]
        if not all(isinstance(message.get(name), kind) for name, kind in members.items()):
            raise CloseRequired(CloseCode.BAD_REQUEST)
        if "id" in members and not (message["id"].isascii() and 0 < len(message["id"]) <= MAX_OPERATION_ID_CHARACTERS):
            raise CloseRequired(CloseCode.BAD_REQUEST)
    except (HTTPRejection, KeyError, TypeError) as error:
        raise CloseRequired(CloseCode.BAD_REQUEST) from error
    return message
