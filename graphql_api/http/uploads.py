"""`POST /uploads`: a list of recipients as text/csv, streamed to the object store, for a job to come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from graphql_api.domain import uploads
from graphql_api.enums import UserErrorCode
from graphql_api.errors import DomainError, RequestError
from graphql_api.http.requests import drain_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graphql_api.auth.actors import Actor
    from graphql_api.database.database import Database
    from graphql_api.gateways.object_store import Store
    from graphql_api.settings import Settings

UPLOAD_TIMEOUT_SECONDS = 60
"""Seconds that a list may take to arrive."""

_STATUS_BY_CODE = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "RATE_LIMITED": 429,
    "UNAVAILABLE": 503,
    UserErrorCode.FILE_TOO_LARGE.value: 413,
    UserErrorCode.TOO_MANY_ROWS.value: 413,
}


async def receive(
    request: Request, *, actor: Actor, database: Database, store: Store, settings: Settings
) -> JSONResponse:
    """Take a list in: 201 with `{"id", "byteCount", "rowCount"}`, or errors as GraphQL spells them.

    The body is text/csv in UTF-8, as it is; its name may be given as `?fileName=`.
    """
    problem = _header_error(request, settings.max_upload_bytes)
    if problem is not None:
        await drain_body(request.receive, settings.max_upload_bytes)
        return problem
    body = _RequestBody(request)
    try:
        async with asyncio.timeout(UPLOAD_TIMEOUT_SECONDS):
            upload = await uploads.receive(
                database.transaction,
                actor,
                store,
                chunks=body.chunks(),
                max_bytes=settings.max_upload_bytes,
                file_name=request.query_params.get("fileName"),
            )
    except (RequestError, DomainError) as refusal:
        if not body.complete:
            await drain_body(request.receive, settings.max_upload_bytes)
        return error_response(refusal)
    except TimeoutError:
        return _json_error(408, "BAD_REQUEST", "The list took too long to arrive.")
    except ClientDisconnect:
        return _json_error(400, "BAD_REQUEST", "The list broke off.")
    kept = {"id": str(upload.id), "byteCount": upload.byte_count, "rowCount": upload.row_count}
    return JSONResponse(kept, 201, {"Cache-Control": "no-store"})


def error_response(error: RequestError | DomainError) -> JSONResponse:
    """The answer for a refusal, of whoever raised it."""
    code = error.code.value if isinstance(error, DomainError) else error.code
    return _json_error(_STATUS_BY_CODE.get(code, 400), code, error.message)


class _RequestBody:
    """The body of a request, and whether all of it has been heard."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.complete = False

    async def chunks(self) -> AsyncIterator[bytes]:
        async for piece in self._request.stream():
            yield piece
        self.complete = True


def _header_error(request: Request, max_bytes: int) -> JSONResponse | None:
    """What the request's head alone is refused for."""
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if kind.strip().lower() != "text/csv" or charset not in {"", "charset=utf-8", "charset=utf8", "header=present"}:
        return _json_error(415, "BAD_REQUEST", "Send the list as text/csv in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        return _json_error(415, "BAD_REQUEST", "Send the list as it is, not compressed.")
    length = request.headers.get("content-length", "0")
    if not length.isdecimal():
        return _json_error(400, "BAD_REQUEST", "The Content-Length is none.")
    return error_response(uploads.too_large_error(max_bytes)) if int(length) > max_bytes else None


def _json_error(status: int, code: str, message: str) -> JSONResponse:
    body = {"errors": [{"message": message, "extensions": {"code": code}}]}
    return JSONResponse(body, status, {"Cache-Control": "no-store"})
