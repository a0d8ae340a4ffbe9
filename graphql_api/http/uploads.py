"""`POST /uploads`: a list of recipients as text/csv, streamed to the object store, for a job to come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from graphql_api.domain import uploads
from graphql_api.enums import UserErrorCode
from graphql_api.errors import DomainError, Refusal
from graphql_api.http.requests import let_finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graphql_api.auth.actors import Actor
    from graphql_api.database.database import Database
    from graphql_api.gateways.object_store import Store
    from graphql_api.settings import Settings

LONGEST_WAIT = 60
"""Seconds that a list may take to arrive."""

_STATUSES = {
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
    problem = _unsuitable(request, settings.max_upload_bytes)
    if problem is not None:
        await let_finish(request.receive, settings.max_upload_bytes)
        return problem
    body = _Body(request)
    try:
        async with asyncio.timeout(LONGEST_WAIT):
            upload = await uploads.receive(
                database.transaction,
                actor,
                store,
                pieces=body.pieces(),
                most_bytes=settings.max_upload_bytes,
                file_name=request.query_params.get("fileName"),
            )
    except (Refusal, DomainError) as refusal:
        if not body.ended:
            await let_finish(request.receive, settings.max_upload_bytes)
        return refused(refusal)
    except TimeoutError:
        return _error(408, "BAD_REQUEST", "The list took too long to arrive.")
    except ClientDisconnect:
        return _error(400, "BAD_REQUEST", "The list broke off.")
    kept = {"id": str(upload.id), "byteCount": upload.byte_count, "rowCount": upload.row_count}
    return JSONResponse(kept, 201, {"Cache-Control": "no-store"})


def refused(refusal: Refusal | DomainError) -> JSONResponse:
    """The answer for a refusal, of whoever raised it."""
    code = refusal.code.value if isinstance(refusal, DomainError) else refusal.code
    return _error(_STATUSES.get(code, 400), code, refusal.message)


class _Body:
    """The body of a request, and whether all of it has been heard."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.ended = False

    async def pieces(self) -> AsyncIterator[bytes]:
        async for piece in self._request.stream():
            yield piece
        self.ended = True


def _unsuitable(request: Request, most_bytes: int) -> JSONResponse | None:
    """What the request's head alone is refused for."""
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if kind.strip().lower() != "text/csv" or charset not in {"", "charset=utf-8", "charset=utf8", "header=present"}:
        return _error(415, "BAD_REQUEST", "Send the list as text/csv in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        return _error(415, "BAD_REQUEST", "Send the list as it is, not compressed.")
    length = request.headers.get("content-length", "0")
    if not length.isdecimal():
        return _error(400, "BAD_REQUEST", "The Content-Length is none.")
    return refused(uploads.too_large(most_bytes)) if int(length) > most_bytes else None


def _error(status: int, code: str, message: str) -> JSONResponse:
    body = {"errors": [{"message": message, "extensions": {"code": code}}]}
    return JSONResponse(body, status, {"Cache-Control": "no-store"})
