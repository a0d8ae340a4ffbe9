"""Answers over HTTP: JSON bytes, the status that goes with them, and errors in GraphQL's own shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from graphql_api.errors import QueryTooComplex, Refusal, TooManyRequests, Unauthenticated, Unavailable
from graphql_api.http.rejections import NotRun, Rejected
from graphql_api.http.requests import GRAPHQL, JSON
from graphql_api.observability.error_masking import INTERNAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send
    from strawberry.types import ExecutionResult

BYTES = 10_000_000
"""Of an answer, at most."""
RETRY = {"retry-after": "1"}
_COMMON = {
    media_type: [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"cache-control", b"no-store"),
        (b"vary", b"Accept, Authorization"),
    ]
    for media_type in (JSON, GRAPHQL)
}
CHALLENGE = {"www-authenticate": "Bearer"}
_STATUSES = {
    Unauthenticated.code: 401,
    Unavailable.code: 503,
    INTERNAL: 500,
    "FORBIDDEN": 403,
    TooManyRequests.code: 429,
}


def encode(value: Any) -> bytes:
    """JSON in UTF-8; slower for the values of a database that orjson cannot write, such as integers over 64 bits.

    Raises `QueryTooComplex` where it is larger than an answer may be.
    """
    try:
        written = orjson.dumps(value)
    except TypeError:
        written = json.dumps(value, separators=(",", ":")).encode()
    return bounded(written)


def bounded(written: bytes) -> bytes:
    """An answer as it is; raises `QueryTooComplex` where it is larger than one may be."""
    if len(written) > BYTES:
        raise QueryTooComplex(f"The answer has over {BYTES:,} bytes: ask for less at once.")
    return written


def body_of(result: ExecutionResult) -> dict[str, Any]:
    """The answer of an operation; one that was refused before it ran has no `data` at all."""
    body: dict[str, Any] = {} if refused(result) else {"data": result.data}
    if result.errors:
        body["errors"] = [error.formatted for error in result.errors]
    if result.extensions:
        body["extensions"] = result.extensions
    return body


def refused(result: ExecutionResult) -> bool:
    """Whether an operation never ran: no data, and no error that points into them."""
    return result.data is None and bool(result.errors) and all(error.path is None for error in result.errors or ())


def answer(result: ExecutionResult, media_type: str) -> Ready:
    """A result in one of our types: 200, unless it was refused before it ran.

    Then it is 400 for the GraphQL type, and 200 for plain JSON, whose clients read errors only there; a fault of ours
    is one for both.
    """
    status = 200
    if refused(result):
        codes = {(error.extensions or {}).get("code") for error in result.errors or ()}
        if TooManyRequests.code in codes:
            waits = [(error.extensions or {}).get("retryAfterSeconds", 1) for error in result.errors or ()]
            return respond(body_of(result), 429, media_type, {"retry-after": str(max(waits))})
        if codes & {INTERNAL, Unavailable.code}:
            status = 500 if INTERNAL in codes else 503
        elif media_type == GRAPHQL:
            status = 400
    return respond(body_of(result), status, media_type, RETRY if status == 503 else None)  # noqa: PLR2004 - its name is a number


def reject(rejected: Rejected, media_type: str = JSON) -> Ready:
    """A request that never became an operation."""
    status = 200 if media_type == JSON and isinstance(rejected, NotRun) else rejected.status
    return respond({"errors": errors_of(rejected)}, status, media_type, rejected.headers)


def errors_of(told: Rejected | Refusal) -> list[dict[str, Any]]:
    """What never ran, as GraphQL's errors."""
    return [{"message": told.message, "extensions": told.extensions}]


def refuse(refusal: Refusal, media_type: str = JSON) -> Ready:
    """A caller who is not let in, or a server that cannot tell just now."""
    status = _STATUSES.get(refusal.code, 400)
    headers = {401: CHALLENGE, 503: RETRY}.get(status)
    if isinstance(refusal, TooManyRequests):
        headers = {"retry-after": str(refusal.retry_after)}
    return respond({"errors": errors_of(refusal)}, status, media_type, headers)


def respond(
    body: Mapping[str, Any], status: int, media_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Ready:
    """JSON of a type, which nobody keeps."""
    return send(encode(body), status, media_type, headers)


class Ready(Response):
    """An answer whose bytes are all there, and nothing else to be done about it."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Answer with this."""
        self.body = body
        self.status_code = status
        self.raw_headers = [(b"content-length", str(len(body)).encode()), *headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def send(body: bytes, status: int, media_type: str = JSON, headers: Mapping[str, str] | None = None) -> Ready:
    """The same of what is JSON already."""
    given = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return Ready(body, status, _COMMON[media_type] + given)
