"""GraphQL over WebSockets: graphql-transport-ws, with the callers, the limits and the masks of HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.types.unset import UNSET, UnsetType

from graphql_api import answers, masking, requests, tokens
from graphql_api.actors import Actor
from graphql_api.errors import Refusal
from graphql_api.http import ACTING_USER, Server
from graphql_api.requests import NotRun, Operation, Rejected

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from graphql import GraphQLError

    from graphql_api.documents import Persisted

INIT_SECONDS = 5
MOST_OPERATIONS = 10
"""Operations that one connection may have under way."""
LONGEST_ID = 64

_MEMBERS: dict[str, dict[str, type]] = {
    "connection_init": {},
    "ping": {},
    "pong": {},
    "subscribe": {"id": str, "payload": dict},
    "complete": {"id": str},
}


@dataclass(slots=True)
class Connection:
    """One WebSocket: who opened it, as they said in the payload of `connection_init` or in its headers."""

    server: Server
    headers: Mapping[str, str]
    connection_params: dict[str, Any] = field(default_factory=dict)
    token: str | None = None
    actor: Actor = field(default_factory=Actor.anonymous)

    async def begin(self) -> None:
        """Find out who it is; raises `Unauthenticated`."""
        told = {name.lower(): value for name, value in self.connection_params.items() if isinstance(value, str)}
        headers = told if "authorization" in told else self.headers
        self.token = requests.bearer(headers)
        self.actor = await self.server.actor(self.token, headers.get(ACTING_USER))

    async def stream(
        self, query: str, *, variable_values: dict[str, Any] | None, operation_name: str | None, **_: Any
    ) -> Any:
        """Run one operation, with a context of its own; a session may have ended since the connection began."""
        if self.token and self.token.startswith(tokens.SESSION):
            try:
                self.actor = await self.server.actor(self.token)
            except Refusal:
                self.actor = Actor.anonymous()
        structlog.contextvars.bind_contextvars(request_id=masking.new_id())
        return self.server.stream(Operation(query, operation_name, variable_values or {}), self.actor)


class Adapter(ASGIWebSocketAdapter):
    """Messages in, each JSON with one reading and of the protocol's shape; messages out as text."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        """Each message; NonJsonMessageReceived for what is none of the protocol's."""
        del ignore_parsing_errors
        persisted = self.view.server.persisted  # type: ignore[attr-defined]  # ours
        try:
            while self.ws.application_state != WebSocketState.DISCONNECTED:
                yield message_of(await self.ws.receive_text(), persisted)
        except KeyError as error:
            raise NonTextMessageReceived from error
        except WebSocketDisconnect:
            return


def message_of(text: str, persisted: Persisted) -> dict[str, Any]:
    """A message of a client; raises NonJsonMessageReceived where it has not the shape of one.

    It tells the document, whose id may have been sent; where there is none of that id, `refused` is why.
    """
    try:
        message = requests.decode(text)
        if not isinstance(message, dict) or not isinstance(message.get("payload"), dict | None):
            raise NonJsonMessageReceived
        members = _MEMBERS[message.get("type")]  # type: ignore[index]
        if not all(isinstance(message.get(name), kind) for name, kind in members.items()):
            raise NonJsonMessageReceived
        if "id" in members and not (message["id"].isascii() and 0 < len(message["id"]) <= LONGEST_ID):
            raise NonJsonMessageReceived
        if message["type"] == "subscribe":
            try:
                message["payload"]["query"] = requests.operation_of(message["payload"], persisted).query
            except NotRun as refused:
                message["payload"]["query"], message["refused"] = "", refused
    except (Rejected, KeyError, TypeError) as error:
        raise NonJsonMessageReceived from error
    if message.get("payload") is None:
        message.pop("payload", None)
    return message


class Handler(BaseGraphQLTransportWSHandler[Connection, None]):
    """Strawberry's side of the protocol; operations run through the connection, each as itself."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.schema = self.context  # type: ignore[assignment]  # all that is asked of it is `stream`

    async def handle_subscribe(self, message: Any) -> None:
        """Begin an operation, or tell why not."""
        refused = message.get("refused")
        if refused and self.connection_acknowledged and message["id"] not in self.operations:
            error: Any = {"id": message["id"], "type": "error", "payload": answers.errors_of(refused)}
            await self.send_message(error)
        else:
            await super().handle_subscribe(message)

    @staticmethod
    def _get_pre_execution_close_reason(error: GraphQLError) -> str | None:
        """A bad document is an error of its operation; it closes nothing."""
        del error
        return None


class Sockets(GraphQL[Connection, None]):
    """The ASGI application of `/graphql` for WebSockets."""

    websocket_adapter_class = Adapter
    graphql_transport_ws_handler_class = Handler

    def __init__(self, server: Server) -> None:
        """Answer with this server."""
        self.server = server
        super().__init__(
            server.schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=MOST_OPERATIONS,
            allowed_origins=server.settings.cors_origins,
        )

    async def get_context(self, request: Any, response: Any) -> Connection:
        """The connection, of somebody not yet known."""
        del response
        return Connection(self.server, dict(request.headers))

    async def on_ws_connect(self, context: Connection) -> UnsetType | dict[str, object] | None:
        """Let the caller in, or close with 4403."""
        try:
            await context.begin()
        except Refusal as refusal:
            raise ConnectionRejectionError from refusal
        nothing: UnsetType = UNSET
        return nothing

    def encode_json(self, data: object) -> str:
        """As HTTP has it, but text: a browser takes bytes for a blob."""
        return answers.encode(data).decode()
