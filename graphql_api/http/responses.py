"""Responses over HTTP: results and errors as JSON, with their status and headers."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from graphql import GraphQLError
from starlette.responses import Response

from graphql_api.errors import (
    INTERNAL_ERROR_CODE,
    DomainError,
    QueryTooComplex,
    RequestError,
    TooManyRequests,
    http_status,
)
from graphql_api.http.rejections import HTTPRejection, OperationNotExecuted
from graphql_api.http.requests import GRAPHQL_MEDIA_TYPE, JSON_MEDIA_TYPE
from graphql_api.observability import error_masking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send
    from strawberry.types import ExecutionResult

MAX_RESPONSE_BYTES = 10_000_000
REQUEST_ERROR_STATUSES = (429, 500, 503)
"""Statuses of an operation that did not run, whatever the media type; the first of several errors' is taken."""
_COMMON_HEADERS = {
    media_type: [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"cache-control", b"no-store"),
        (b"vary", b"Accept, Authorization"),
    ]
    for media_type in (JSON_MEDIA_TYPE, GRAPHQL_MEDIA_TYPE)
}


def encode_json(value: Any) -> bytes:
    """JSON in UTF-8; raises `QueryTooComplex` over `MAX_RESPONSE_BYTES`."""
    try:
        encoded = orjson.dumps(value)
    except TypeError:  # an integer of over 64 bits, for example
        encoded = json.dumps(value, separators=(",", ":")).encode()
    return check_response_size(encoded)


def check_response_size(body: bytes) -> bytes:
    """Return the body; raises `QueryTooComplex` over `MAX_RESPONSE_BYTES`."""
    if len(body) > MAX_RESPONSE_BYTES:
        raise QueryTooComplex(f"The response is over {MAX_RESPONSE_BYTES:,} bytes: select less.")
    return body


def format_result(result: ExecutionResult) -> dict[str, Any]:
    """The response of an operation; without `data` where the operation did not run."""
    body: dict[str, Any] = {} if is_request_error(result) else {"data": result.data}
    if result.errors:
        body["errors"] = [error.formatted for error in result.errors]
    if result.extensions:
        body["extensions"] = result.extensions
    return body


def is_request_error(result: ExecutionResult) -> bool:
    """Whether the operation did not run: no data, and no error with a path."""
    return result.data is None and bool(result.errors) and all(error.path is None for error in result.errors or ())


def result_response(result: ExecutionResult, media_type: str) -> BytesResponse:
    """The response of a result: 200 where the operation ran.

    Otherwise a status of `REQUEST_ERROR_STATUSES`, 400 for the GraphQL media type, or 200 for plain JSON, whose clients
    read errors only there.
    """
    status, headers = 200, None
    if is_request_error(result):
        extensions = [error.extensions or {} for error in result.errors or ()]
        statuses = {http_status(members.get("code")) for members in extensions}
        default = 400 if media_type == GRAPHQL_MEDIA_TYPE else 200
        status = next((status for status in REQUEST_ERROR_STATUSES if status in statuses), default)
        seconds = max(members.get("retryAfterSeconds", 1) for members in extensions)
        headers = _status_headers(status, retry_after_seconds=seconds)
    return json_response(format_result(result), status, media_type, headers)


def rejection_response(rejection: HTTPRejection, media_type: str = JSON_MEDIA_TYPE) -> BytesResponse:
    """The response to a request that never became an operation."""
    status = 200 if media_type == JSON_MEDIA_TYPE and isinstance(rejection, OperationNotExecuted) else rejection.status
    return json_response({"errors": format_errors(rejection)}, status, media_type, rejection.headers)


def format_errors(error: HTTPRejection | RequestError | DomainError) -> list[dict[str, Any]]:
    """The `errors` of a request that failed before its operation ran."""
    extensions = {"code": error.code.value} if isinstance(error, DomainError) else error.extensions
    return [{"message": error.message, "extensions": extensions}]


def format_exception(error: Exception) -> Any:
    """Any exception as a GraphQL error, masked and logged where it is internal."""
    return error_masking.mask_error(GraphQLError(str(error), original_error=error)).formatted


def internal_error_response(request_id: str) -> BytesResponse:
    """A 500 that gives the id under which the error was logged."""
    extensions = {"code": INTERNAL_ERROR_CODE, "requestId": request_id}
    return json_response({"errors": [{"message": error_masking.INTERNAL_ERROR_MESSAGE, "extensions": extensions}]}, 500)


def error_response(error: RequestError | DomainError, media_type: str = JSON_MEDIA_TYPE) -> BytesResponse:
    """A request that failed before its operation ran."""
    status = http_status(error.code)
    seconds = error.retry_after if isinstance(error, TooManyRequests) else 1
    headers = _status_headers(status, retry_after_seconds=seconds)
    return json_response({"errors": format_errors(error)}, status, media_type, headers)


def _status_headers(status: int, *, retry_after_seconds: int) -> dict[str, str] | None:
    """Headers that go with a status."""
    if status == HTTPStatus.UNAUTHORIZED:
        return {"www-authenticate": "Bearer"}
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        return {"retry-after": str(retry_after_seconds)}
    return None


def json_response(
    body: Mapping[str, Any], status: int, media_type: str = JSON_MEDIA_TYPE, headers: Mapping[str, str] | None = None
) -> BytesResponse:
    """A response of JSON that no cache stores."""
    return bytes_response(encode_json(body), status, media_type, headers)


class BytesResponse(Response):
    """A response whose body is complete: faster than Starlette's own."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.body = body
        self.status_code = status
        self.raw_headers = [(b"content-length", str(len(body)).encode()), *headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


def bytes_response(
    body: bytes, status: int, media_type: str = JSON_MEDIA_TYPE, headers: Mapping[str, str] | None = None
) -> BytesResponse:
    """A response of encoded JSON that no cache stores."""
    extra_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return BytesResponse(body, status, _COMMON_HEADERS[media_type] + extra_headers)
