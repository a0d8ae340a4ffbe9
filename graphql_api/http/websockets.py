"""GraphQL over WebSockets: graphql-transport-ws, with the callers, the limits and the masks of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from graphql import GraphQLError, OperationType, get_operation_ast
from strawberry.http.websocket_origin import is_same_origin

from graphql_api.errors import BadRequest, Refusal, Unauthenticated, Unavailable
from graphql_api.http import requests, responses
from graphql_api.http.executor import ACTING_USER
from graphql_api.http.open_connections import FORBIDDEN, LATER, RESTART
from graphql_api.http.rejections import NotRun, Rejected
from graphql_api.limits.extension import documents_of
from graphql_api.observability import error_masking, operation_stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import Receive, Scope, Send

    from graphql_api.auth.actors import Actor
    from graphql_api.http.executor import Server
    from graphql_api.http.open_connections import Seat
    from graphql_api.http.requests import Operation

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 5
MOST_OPERATIONS = 10
"""Operations that one connection may have under way."""
TOO_MANY = BadRequest(f"A connection may have {MOST_OPERATIONS} operations under way: end one first.")
LONGEST_ID = 64

REASONS = {
    4400: "The message is none of the protocol's",
    4401: "Send connection_init first",
    FORBIDDEN: "Forbidden",
    4406: f"The subprotocol is {PROTOCOL}",
    4408: "connection_init did not arrive in time",
    4409: "An operation of this id is under way",
    4429: "Send connection_init once",
    RESTART: "The server stops: connect again",
    LATER: "Try again later",
}

_MEMBERS: dict[str, dict[str, type]] = {
    "connection_init": {},
    "ping": {},
    "pong": {},
    "subscribe": {"id": str, "payload": dict},
    "complete": {"id": str},
}


class Closed(Exception):
    """The connection must be closed, with a code."""

    def __init__(self, code: int) -> None:
        """Name the code."""
        super().__init__(code)
        self.code = code


class Running(NamedTuple):
    """An operation under way."""

    task: asyncio.Task[None]
    operation: Operation


class Sockets:
    """The ASGI application of `/graphql` for WebSockets."""

    def __init__(self, server: Server) -> None:
        """Answer with this server."""
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until its end."""
        await receive()  # "websocket.connect"
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not may_open(headers, self._server.settings.cors_origins):
            await send({"type": "websocket.close"})  # answers 403
            return
        socket = Socket(self._server, scope, headers, receive, send)
        try:
            with self._server.live.seat(socket.end) as seat:
                await socket.serve(seat, scope["subprotocols"])
        except Unavailable:
            await send({"type": "websocket.http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]})
            await send({"type": "websocket.http.response.body", "body": b""})


class Socket:
    """One connection: what it has said of itself, and its operations."""

    def __init__(self, server: Server, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        """Begin with nothing said."""
        self._server = server
        self._scope = scope
        self._headers = headers
        self._receive = receive
        self._send = send
        self._greeted = self._leaving = self._closed = False
        self._actor: Actor | None = None
        self._operations: dict[str, Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, seat: Seat, offered: Iterable[str]) -> None:
        """Take the connection, and answer its messages one by one."""
        timer = asyncio.get_running_loop().call_later(INIT_SECONDS, self._give_up)
        try:
            if PROTOCOL not in offered:
                await self._send({"type": "websocket.accept"})
                await self._close(4406)
                return
            await self._send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            while (message := await self._receive())["type"] == "websocket.receive":
                await self._hear(message_of(message.get("text")), seat)
        except Closed as closed:
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

    def end(self, code: int) -> None:
        """Close the connection soon; a server that stops lets its queries and mutations end."""
        self._spawn(self._leave() if code == RESTART else self._close(code))

    async def _leave(self) -> None:
        self._leaving = True
        if waiting := [task for task, operation in self._operations.values() if not self._goes_on(operation)]:
            await asyncio.wait(waiting)
        await self._close(RESTART)

    def _goes_on(self, operation: Operation) -> bool:
        """Whether it is a subscription."""
        documents = documents_of(self._server.schema)
        try:
            found = get_operation_ast(documents.read(operation.query).document, operation.name)
        except (GraphQLError, Refusal):
            return False
        return found is not None and found.operation is OperationType.SUBSCRIPTION

    def _give_up(self) -> None:
        if not self._greeted:
            self.end(4408)

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _close(self, code: int) -> None:
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            await self._send({"type": "websocket.close", "code": code, "reason": REASONS[code]})

    async def _tell(self, message: Mapping[str, Any]) -> None:
        if self._closed:
            return
        try:
            await self._send({"type": "websocket.send", "text": responses.encode(message).decode()})
        except RuntimeError as error:  # uvicorn's word for a connection that it has closed itself
            raise ConnectionError from error

    async def _hear(self, message: Mapping[str, Any], seat: Seat) -> None:
        """Do what one message asks for; raises `Closed` where it breaks the protocol."""
        kind = message["type"]
        if kind == "connection_init":
            await self._begin(message.get("payload") or {}, seat)
        elif kind == "ping":
            await self._tell({"type": "pong"})
        elif kind == "subscribe":
            await self._subscribe(message["id"], message["payload"])
        elif kind == "complete" and (running := self._operations.pop(message["id"], None)):
            running.task.cancel()

    async def _begin(self, payload: Mapping[str, Any], seat: Seat) -> None:
        """Find out who it is, as they say in the payload or have said in the headers."""
        if self._greeted:
            raise Closed(4429)
        self._greeted = True
        told = {name.lower(): value for name, value in payload.items()}
        headers = told if "authorization" in told else self._headers
        if not all(isinstance(headers.get(name, ""), str) for name in ("authorization", ACTING_USER)):
            raise Closed(FORBIDDEN)
        try:
            self._actor = await self._server.actor_of(headers, self._scope)
            self._server.live.take(seat, self._actor)
        except Unavailable as error:
            raise Closed(LATER) from error
        except Refusal as refusal:
            raise Closed(FORBIDDEN) from refusal
        await self._tell({"type": "connection_ack"})

    async def _subscribe(self, one: str, payload: Mapping[str, Any]) -> None:
        operation = None
        try:
            operation = requests.operation_of(payload, self._server.persisted)
        except NotRun as rejected:
            refused = rejected
        except Rejected as rejected:
            raise Closed(4400) from rejected
        if self._actor is None:
            raise Closed(4401)
        if one in self._operations:
            raise Closed(4409)
        if operation is None:
            await self._tell({"type": "error", "id": one, "payload": responses.errors_of(refused)})
        elif len(self._operations) >= MOST_OPERATIONS:
            await self._tell({"type": "error", "id": one, "payload": responses.errors_of(TOO_MANY)})
        elif not self._leaving:
            self._operations[one] = Running(self._spawn(self._run(one, self._actor, operation)), operation)

    async def _run(self, one: str, actor: Actor, operation: Operation) -> None:
        """Run an operation to its end, and tell each result."""
        structlog.contextvars.bind_contextvars(request_id=error_masking.new_id())
        try:
            actor = await self._server.renewed(actor)
            operation_stats.begin()
            self._server.admit(operation, actor)
            await self._stream(one, actor, operation)
        except OSError:
            pass  # the client is gone
        except Unauthenticated:
            await self._close(FORBIDDEN)
        except Exception as error:  # noqa: BLE001 - told as every other
            await self._server.hold(operation_stats.current(), counted=False)
            self._forget(one)
            with contextlib.suppress(OSError):
                await self._refuse(one, error)

    async def _stream(self, one: str, actor: Actor, operation: Operation) -> None:
        async with aclosing(self._server.stream(operation, actor)) as results:
            async for result in results:
                if responses.refused(result):
                    self._forget(one)
                    await self._tell({"type": "error", "id": one, "payload": responses.body_of(result)["errors"]})
                    return
                await self._tell({"type": "next", "id": one, "payload": responses.body_of(result)})
        self._forget(one)
        await self._tell({"type": "complete", "id": one})

    async def _refuse(self, one: str, error: Exception) -> None:
        shown = error_masking.shown(GraphQLError(str(error), original_error=error))
        await self._tell({"type": "error", "id": one, "payload": [shown.formatted]})

    def _forget(self, one: str) -> None:
        """Let the id be used again, before the last message of its operation is sent."""
        running = self._operations.get(one)
        if running is not None and running.task is asyncio.current_task():
            del self._operations[one]


def may_open(headers: Mapping[str, str], allowed: Iterable[str]) -> bool:
    """Whether a page may open a connection: one of ours, or of an origin of the settings; programs always may."""
    origin = headers.get("origin")
    return origin is None or origin in allowed or is_same_origin(origin, headers.get("host"))


def message_of(text: str | None) -> dict[str, Any]:
    """A message of a client; raises `Closed` where it has not the shape of one."""
    try:
        message = requests.decode(text or "")
        if not isinstance(message, dict) or not isinstance(message.get("payload"), dict | None):
            raise Closed(4400)
        members = _MEMBERS[message.get("type")]  # type: ignore[index]
        if not all(isinstance(message.get(name), kind) for name, kind in members.items()):
            raise Closed(4400)
        if "id" in members and not (message["id"].isascii() and 0 < len(message["id"]) <= LONGEST_ID):
            raise Closed(4400)
    except (Rejected, KeyError, TypeError) as error:
        raise Closed(4400) from error
    return message
