"""Parsing of requests into GraphQL operations: strict, so that no proxy can read a request differently."""

from __future__ import annotations

import asyncio
import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect

from graphql_api.errors import BadRequest
from graphql_api.http.rejections import HTTPRejection
from graphql_api.limits.value_limits import MAX_INTEGER_DIGITS, check_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope

    from graphql_api.http.persisted_documents import PersistedDocuments

GRAPHQL_MEDIA_TYPE, JSON_MEDIA_TYPE, EVENT_STREAM_MEDIA_TYPE = (
    "application/graphql-response+json",
    "application/json",
    "text/event-stream",
)
PREFLIGHT_HEADERS = ("authorization", "graphql-require-preflight", "apollo-require-preflight", "x-requested-with")
"""Headers that a page of another origin cannot send without a preflight: a GET needs one of them."""
UTF8_BOM = b"\xef\xbb\xbf"

BODY_DRAIN_TIMEOUT_SECONDS = 2
"""Seconds for which the rest of a rejected body is read and discarded."""

SINGLE_VALUE_HEADERS = frozenset(
    {"authorization", "content-type", "content-length", "content-encoding", "x-notify-user-id"}
)
"""Headers that may be sent once only."""

_CONTENT_TYPE = re.compile(r'application/json(\s*;\s*charset\s*=\s*("utf-8"|utf-8))?\s*', re.IGNORECASE)
_ADDRESS_WITH_PORT = re.compile(r"^(?:\[([^\]]*)\](?::\d+)?|([^:]*):\d+)$")
_MEDIA_RANGE = re.compile(r"\s*([!#$%&'*+.^_`|~\w-]+/[!#$%&'*+.^_`|~\w-]+)\s*((?:;[^;,]*)*)\s*", re.ASCII)
_QUALITY = re.compile(r";\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Operation:
    """A document, the name of the operation in it, and its variables."""

    query: str
    name: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def may_be_mutation(self) -> bool:
        """Whether the document may hold a mutation: true for every one that does, and for some that do not."""
        return "mutation" in self.query


@lru_cache(maxsize=64)
def negotiate_media_type(accept: str | None) -> str:
    """The response's media type for an Accept header; raises HTTPRejection where none is acceptable.

    The GraphQL media type is chosen where it is named and ranks no lower than JSON. Event streams are chosen only where
    no JSON is acceptable: some clients list them with every query.
    """
    if accept is None or not accept.strip():
        return JSON_MEDIA_TYPE
    ranges: dict[str, float] = {}
    for media_range in accept.split(","):
        if match := _MEDIA_RANGE.fullmatch(media_range):
            quality = _QUALITY.search(match[2])
            ranges[match[1].lower()] = float(quality[1]) if quality else 1.0

    def rank(media_type: str) -> float:
        candidates = (media_type, media_type.partition("/")[0] + "/*", "*/*")
        return next((ranges[candidate] for candidate in candidates if candidate in ranges), 0.0)

    if ranges.get(GRAPHQL_MEDIA_TYPE, 0) > 0 and ranges[GRAPHQL_MEDIA_TYPE] >= rank(JSON_MEDIA_TYPE):
        return GRAPHQL_MEDIA_TYPE
    if rank(JSON_MEDIA_TYPE) > 0:
        return JSON_MEDIA_TYPE
    if rank(GRAPHQL_MEDIA_TYPE) > 0:
        return GRAPHQL_MEDIA_TYPE
    if rank(EVENT_STREAM_MEDIA_TYPE) > 0:
        return EVENT_STREAM_MEDIA_TYPE
    raise HTTPRejection(
        406, f"Acceptable media types are {GRAPHQL_MEDIA_TYPE}, {JSON_MEDIA_TYPE} and {EVENT_STREAM_MEDIA_TYPE}."
    )


def parse_headers(scope: Scope) -> dict[str, str]:
    """The headers of a request by lower-case name; raises HTTPRejection for a repeated `SINGLE_VALUE_HEADERS`."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name not in headers:
            headers[name] = value
        elif name in SINGLE_VALUE_HEADERS:
            raise HTTPRejection(400, f"Duplicate header {name.title()}.")
        else:
            headers[name] += f", {value}"
    return headers


async def read_operation(
    scope: Scope,
    headers: Mapping[str, str],
    receive: Receive,
    max_body_bytes: int,
    persisted_documents: PersistedDocuments,
) -> Operation:
    """The operation of a POST or a GET; raises HTTPRejection."""
    if scope["method"] == "GET":
        return parse_operation(_parse_query_string(scope, headers), persisted_documents)
    if scope["method"] != "POST":
        raise HTTPRejection(405, "Send an operation by POST, or a query by GET.", allow="GET, POST")
    content_type = headers.get("content-type", "")
    if content_type != JSON_MEDIA_TYPE and not _CONTENT_TYPE.fullmatch(content_type.strip()):
        raise HTTPRejection(415, "The body must be application/json, in UTF-8.", accept_post=JSON_MEDIA_TYPE)
    if "content-encoding" in headers:
        raise HTTPRejection(415, "The body must not be compressed.", accept_encoding="identity")
    return parse_operation(decode_json(await _read_body(headers, receive, max_body_bytes)), persisted_documents)


async def _read_body(headers: Mapping[str, str], receive: Receive, max_body_bytes: int) -> bytes:
    """The body, of at most `max_body_bytes`; raises HTTPRejection."""
    length = int(headers.get("content-length", "0")[:20])  # the HTTP parser accepts digits only
    too_large = HTTPRejection(413, f"The body may have at most {max_body_bytes:,} bytes.", connection="close")
    if length > max_body_bytes:
        if "expect" not in headers and length <= 2 * max_body_bytes:
            await drain_body(receive, max_body_bytes)
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        if len(body) + len(chunk) > max_body_bytes:
            if message.get("more_body"):
                await drain_body(receive, max_body_bytes)
            raise too_large
        if not message.get("more_body"):
            return bytes(body) + chunk if body else chunk
        body += chunk


async def drain_body(receive: Receive, max_body_bytes: int) -> None:
    """Discard up to `max_body_bytes`, for some seconds: a client may read no response before it has sent its body."""
    received = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(BODY_DRAIN_TIMEOUT_SECONDS):
            while received <= max_body_bytes:
                message = await receive()
                received += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


def decode_json(body: bytes | str) -> Any:
    """The value of JSON; raises HTTPRejection, for ambiguous JSON such as repeated names, too."""
    try:
        if isinstance(body, bytes):
            if body.startswith(UTF8_BOM):
                raise HTTPRejection(400, "The body must not begin with a byte order mark.")
            body = body.decode("utf-8")
        return _DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        raise HTTPRejection(400, "The body is not valid JSON.") from error


def parse_operation(body: Any, persisted_documents: PersistedDocuments) -> Operation:
    """The operation of a decoded body; raises HTTPRejection."""
    if not isinstance(body, dict):
        raise HTTPRejection(400, "The body must be one JSON object.")
    query, name = body.get("query"), body.get("operationName")
    if not isinstance(name, str | None):
        raise HTTPRejection(400, "`operationName` must be a string or null.")
    for member in ("variables", "extensions"):
        if not isinstance(body.get(member), dict | None):
            raise HTTPRejection(400, f"`{member}` must be an object or null.")
    if query is None or not persisted_documents.allow_arbitrary or body.get("extensions"):
        query = persisted_documents.resolve(body)
    if not isinstance(query, str) or not query:
        raise HTTPRejection(400, "`query` must be the text of a GraphQL document.")
    try:
        check_text(query)
        check_text(name or "")
    except BadRequest as error:
        raise HTTPRejection(400, error.message) from error
    return Operation(query, name or None, body.get("variables") or {})


def _parse_query_string(scope: Scope, headers: Mapping[str, str]) -> Mapping[str, Any]:
    if not any(name in headers for name in PREFLIGHT_HEADERS):
        raise HTTPRejection(400, "A query by GET needs a header that pages of other origins cannot send, such as "
                            "GraphQL-Require-Preflight: 1.")  # fmt: skip
    parameters: dict[str, Any] = {}
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise HTTPRejection(400, "The query string must be percent-encoded UTF-8.") from error
    for name, value in pairs:
        if name in parameters:
            raise HTTPRejection(400, "Duplicate parameter in the query string.")
        parameters[name] = decode_json(value) if name in {"variables", "extensions"} and value else value or None
    return parameters


def is_browser_navigation(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Whether a person has opened the URL in a browser, without a query."""
    return scope["method"] == "GET" and not scope["query_string"] and "text/html" in headers.get("accept", "")


def client_address(scope: Scope, headers: Mapping[str, str], is_proxy: Callable[[str], bool]) -> str:
    """The client's address: the last of X-Forwarded-For and the peer that is no proxy; "" where all are proxies.

    Each proxy appends the address of its peer to X-Forwarded-For; what stands further left can be forged.
    """
    forwarded = reversed(headers.get("x-forwarded-for", "").split(","))
    for hop in ((scope.get("client") or ("",))[0], *forwarded):
        address = _ADDRESS_WITH_PORT.sub(r"\1\2", hop.strip())
        if address and not is_proxy(address):
            return address
    return ""


def bearer_token(headers: Mapping[str, str]) -> str | None:
    """The token of the Authorization header; None without the header, and "" for another scheme than Bearer."""
    value = headers.get("authorization")
    if value is None:
        return None
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _object_from_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise HTTPRejection(400, "An object of the body has a duplicate name.")
    return members


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_INTEGER_DIGITS:
        raise HTTPRejection(400, "A number of the body has too many digits.")
    return int(digits)


def _parse_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise HTTPRejection(400, "A number of the body is out of range.")
    return value


def _reject_constant(name: str) -> Any:
    raise HTTPRejection(400, f"{name} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object_from_pairs,
    parse_int=_parse_int,
    parse_float=_parse_float,
    parse_constant=_reject_constant,
)
