"""`POST /uploads`: a list of recipients as text/csv, streamed to the object store, for a later job."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from graphql_api.domain import uploads
from graphql_api.errors import DomainError, RequestError
from graphql_api.http import responses
from graphql_api.http.rejections import HTTPRejection
from graphql_api.http.requests import drain_body
from graphql_api.observability.operation_stats import OperationStats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graphql_api.auth.actors import Actor
    from graphql_api.http.executor import Executor

UPLOAD_TIMEOUT_SECONDS = 60
"""Seconds within which the whole list must arrive."""
CSV_MEDIA_TYPE = "text/csv"
CSV_PARAMETERS = frozenset({"", "charset=utf-8", "charset=utf8", "header=present"})


async def receive(request: Request) -> Response:
    """Store a list: 201 with `{"id", "byteCount", "rowCount"}`, or errors in the format of GraphQL.

    The body is text/csv in UTF-8; `?fileName=` may name it. A call of an API key is counted.
    """
    executor: Executor = request.app.state.executor
    try:
        actor = await executor.authenticate_request(request.headers, request.scope)
    except RequestError as error:
        return responses.error_response(error)
    started_at = time.perf_counter()
    response = await _store(request, actor, executor)
    if actor.api_key_id:
        executor.api_key_usage.record_call(
            actor.api_key_id,
            failed=response.status_code >= HTTPStatus.BAD_REQUEST,
            seconds=time.perf_counter() - started_at,
            stats=OperationStats(),
        )
    return response


async def _store(request: Request, actor: Actor, executor: Executor) -> Response:
    max_bytes = executor.settings.max_upload_bytes
    body = _RequestBody(request)
    try:
        _check_headers(request, max_bytes)
        async with asyncio.timeout(UPLOAD_TIMEOUT_SECONDS):
            upload = await uploads.receive(
                executor.database.transaction,
                actor,
                executor.store,
                chunks=body.chunks(),
                max_bytes=max_bytes,
                file_name=request.query_params.get("fileName"),
            )
    except (HTTPRejection, RequestError, DomainError) as error:
        if not body.complete:
            await drain_body(request.receive, max_bytes)
        if isinstance(error, HTTPRejection):
            return responses.rejection_response(error)
        return responses.error_response(error)
    except TimeoutError:
        return responses.rejection_response(HTTPRejection(408, "The list did not arrive in time."))
    except ClientDisconnect:
        return responses.rejection_response(HTTPRejection(400, "The request was aborted."))
    content = {"id": str(upload.id), "byteCount": upload.byte_count, "rowCount": upload.row_count}
    return JSONResponse(content, 201, {"Cache-Control": "no-store"})


class _RequestBody:
    """The body of a request; `complete` once all of it has been read."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.complete = False

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._request.stream():
            yield chunk
        self.complete = True


def _check_headers(request: Request, max_bytes: int) -> None:
    """Raise HTTPRejection or `Invalid` for a media type, an encoding or a length that is not accepted."""
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    parameters = parameters.strip().lower().replace('"', "")
    if media_type.strip().lower() != CSV_MEDIA_TYPE or parameters not in CSV_PARAMETERS:
        raise HTTPRejection(415, "Send the list as text/csv in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPRejection(415, "The list must not be compressed.")
    length = request.headers.get("content-length", "0")
    if not length.isdecimal():
        raise HTTPRejection(400, "Invalid Content-Length.")
    if int(length) > max_bytes:
        raise uploads.too_large_error(max_bytes)
