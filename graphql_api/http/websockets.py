"""GraphQL over WebSockets, by graphql-transport-ws, with the authentication, limits and error masking of HTTP."""

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
"""Operations that one connection may run at once."""
TOO_MANY_OPERATIONS = BadRequest(f"A connection may run at most {MAX_CONCURRENT_OPERATIONS} operations at once.")
MAX_OPERATION_ID_CHARACTERS = 64

CLOSE_REASONS = {
    CloseCode.BAD_REQUEST: "Invalid message",
    CloseCode.UNAUTHORIZED: "Send connection_init first",
    CloseCode.FORBIDDEN: "Forbidden",
    CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE: f"The subprotocol is {SUBPROTOCOL}",
    CloseCode.INIT_TIMEOUT: "connection_init did not arrive in time",
    CloseCode.OPERATION_ALREADY_EXISTS: "An operation with this id is running",
    CloseCode.TOO_MANY_INIT_REQUESTS: "Too many connection_init messages",
    CloseCode.SERVICE_RESTART: "Service restart: connect again",
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
    """The connection must be closed with this code."""

    def __init__(self, code: CloseCode) -> None:
        super().__init__(code)
        self.code = code


class RunningOperation(NamedTuple):
    """An operation that is running."""

    task: asyncio.Task[None]
    operation: Operation


class WebSocketEndpoint:
    """The ASGI application of `/graphql` for WebSockets."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until it closes."""
        await receive()  # "websocket.connect"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not is_origin_allowed(headers, self._executor.settings.cors_origins):
            await send({"type": "websocket.close"})  # a response of 403
            return
        connection = WebSocketConnection(self._executor, scope, headers, receive, send)
        try:
            with self._executor.connection_registry.reserve_slot(connection.request_close) as slot:
                await connection.serve(slot, scope["subprotocols"])
        except Unavailable:
            await send({"type": "websocket.http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]})
            await send({"type": "websocket.http.response.body", "body": b""})


class WebSocketConnection:
    """One connection: its caller, once authenticated, and its running operations."""

    def __init__(
        self, executor: Executor, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send
    ) -> None:
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
        """Accept the connection, and handle its messages in order."""
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
            pass  # the client has disconnected
        finally:
            timer.cancel()
            self._closed = True
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def request_close(self, code: CloseCode) -> None:
        """Close the connection soon; on a restart after its queries and mutations have ended."""
        self._start_task(self._drain_and_close() if code == CloseCode.SERVICE_RESTART else self._close(code))

    async def _drain_and_close(self) -> None:
        self._draining = True
        if tasks := [task for task, operation in self._operations.values() if not self._is_subscription(operation)]:
            await asyncio.wait(tasks)
        await self._close(CloseCode.SERVICE_RESTART)

    def _is_subscription(self, operation: Operation) -> bool:
        documents = document_cache_of(self._executor.schema)
        try:
            definition = get_operation_ast(documents.get_or_parse(operation.query).document, operation.name)
        except (GraphQLError, RequestError):
            return False
        return definition is not None and definition.operation is OperationType.SUBSCRIPTION

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
        except RuntimeError as error:  # uvicorn has closed the connection
            raise ConnectionError from error

    async def _handle_message(self, message: Mapping[str, Any], slot: Slot) -> None:
        """Handle one message; raises CloseRequired where it breaks the protocol."""
        message_type = message["type"]
        if message_type == "connection_init":
            await self._handle_init(message.get("payload") or {}, slot)
        elif message_type == "ping":
            await self._send_message({"type": "pong"})
        elif message_type == "subscribe":
            await self._handle_subscribe(message["id"], message["payload"])
        elif message_type == "complete" and (running := self._operations.pop(message["id"], None)):
            running.task.cancel()

    async def _handle_init(self, payload: Mapping[str, Any], slot: Slot) -> None:
        """Authenticate by the payload or, without a token in it, by the headers of the handshake."""
        if self._init_received:
            raise CloseRequired(CloseCode.TOO_MANY_INIT_REQUESTS)
        self._init_received = True
        members = {name.lower(): value for name, value in payload.items()}
        headers = members if "authorization" in members else self._headers
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
        """Run an operation to its end, and send each result."""
        structlog.contextvars.bind_contextvars(request_id=error_masking.new_request_id())
        try:
            actor = await self._executor.reauthenticate(actor)
            await self._send_results(operation_id, actor, operation)
        except OSError:
            pass  # the client has disconnected
        except Unauthenticated:
            await self._close(CloseCode.FORBIDDEN)
        except Exception as error:  # noqa: BLE001 - masked and sent
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
        """Free the id, before the last message of its operation is sent."""
        running = self._operations.get(operation_id)
        if running is not None and running.task is asyncio.current_task():
            del self._operations[operation_id]


def is_origin_allowed(headers: Mapping[str, str], allowed_origins: Iterable[str]) -> bool:
    """Whether a client may connect: a page of the same or of an allowed origin, or a program, which sends none."""
    origin = headers.get("origin")
    return origin is None or origin in allowed_origins or is_same_origin(origin, headers.get("host"))


def parse_message(text: str | None) -> dict[str, Any]:
    """Parse a client's message; raises CloseRequired for an invalid one."""
    try:
        message = requests.decode_json(text or "")
        if not isinstance(message, dict) or not isinstance(message.get("payload"), dict | None):
            raise CloseRequired(CloseCode.BAD_REQUEST)
        members = _MEMBERS_BY_MESSAGE_TYPE[message.get("type")]  # type: ignore[index]
        if not all(isinstance(message.get(name), member_type) for name, member_type in members.items()):
            raise CloseRequired(CloseCode.BAD_REQUEST)
        if "id" in members and not (message["id"].isascii() and 0 < len(message["id"]) <= MAX_OPERATION_ID_CHARACTERS):
            raise CloseRequired(CloseCode.BAD_REQUEST)
    except (HTTPRejection, KeyError, TypeError) as error:
        raise CloseRequired(CloseCode.BAD_REQUEST) from error
    return message
