"""An HTTP request becomes a GraphQL operation, or is rejected: read so strictly that nobody reads it differently."""

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
from graphql_api.http.rejections import Rejected
from graphql_api.limits.value_limits import DIGITS, check_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Receive, Scope

    from graphql_api.http.persisted_documents import Persisted

GRAPHQL, JSON, EVENTS = "application/graphql-response+json", "application/json", "text/event-stream"
PREFLIGHTED = ("authorization", "graphql-require-preflight", "apollo-require-preflight", "x-requested-with")
"""Headers that a page of another origin cannot send unasked: a query by GET needs one of them."""
BOM = b"\xef\xbb\xbf"

LONGEST_FAREWELL = 2
"""Seconds for which the rest of a refused body is heard and forgotten."""

ONCE = frozenset({"authorization", "content-type", "content-length", "content-encoding", "x-notify-user-id"})
"""Headers that say one thing only."""

_CONTENT_TYPE = re.compile(r'application/json(\s*;\s*charset\s*=\s*("utf-8"|utf-8))?\s*', re.IGNORECASE)
_PORT = re.compile(r"^(?:\[([^\]]*)\](?::\d+)?|([^:]*):\d+)$")
_RANGE = re.compile(r"\s*([!#$%&'*+.^_`|~\w-]+/[!#$%&'*+.^_`|~\w-]+)\s*((?:;[^;,]*)*)\s*", re.ASCII)
_QUALITY = re.compile(r";\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Operation:
    """A document, the name of the operation in it, and its variables."""

    query: str
    name: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=64)
def media_type(accept: str | None) -> str:
    """What to answer in, by the header Accept; raises `Rejected` where none of ours will do.

    The newer GraphQL type is chosen where it is named and ranks as high as JSON. Events are chosen only where no JSON
    will do: some clients list them with every query.
    """
    if accept is None or not accept.strip():
        return JSON
    ranges: dict[str, float] = {}
    for one in accept.split(","):
        if match := _RANGE.fullmatch(one):
            quality = _QUALITY.search(match[2])
            ranges[match[1].lower()] = float(quality[1]) if quality else 1.0

    def rank(kind: str) -> float:
        return next((ranges[one] for one in (kind, kind.partition("/")[0] + "/*", "*/*") if one in ranges), 0.0)

    if ranges.get(GRAPHQL, 0) > 0 and ranges[GRAPHQL] >= rank(JSON):
        return GRAPHQL
    if rank(JSON) > 0:
        return JSON
    if rank(GRAPHQL) > 0:
        return GRAPHQL
    if rank(EVENTS) > 0:
        return EVENTS
    raise Rejected(406, f"This API answers in {GRAPHQL}, {JSON} or {EVENTS}.")


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request by their names, in lower case; raises `Rejected` for two of what may be said once."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name not in found:
            found[name] = value
        elif name in ONCE:
            raise Rejected(400, f"Send one header {name.title()}.")
        else:
            found[name] += f", {value}"
    return found


async def read(
    scope: Scope, headers: Mapping[str, str], receive: Receive, most: int, persisted: Persisted
) -> Operation:
    """The operation of a POST, or of a GET; raises `Rejected` where there is none."""
    if scope["method"] == "GET":
        return operation_of(_of_query_string(scope, headers), persisted)
    if scope["method"] != "POST":
        raise Rejected(405, "Send an operation by POST, or a query by GET.", allow="GET, POST")
    content_type = headers.get("content-type", "")
    if content_type != JSON and not _CONTENT_TYPE.fullmatch(content_type.strip()):
        raise Rejected(415, "The body must be application/json, in UTF-8.", accept_post=JSON)
    if "content-encoding" in headers:
        raise Rejected(415, "The body must not be compressed.", accept_encoding="identity")
    return operation_of(decode(await _body_of(headers, receive, most)), persisted)


async def _body_of(headers: Mapping[str, str], receive: Receive, most: int) -> bytes:
    """The body, counted while it is read: at most so many bytes."""
    length = int(headers.get("content-length", "0")[:20])  # which the parser has seen to be a number
    too_large = Rejected(413, f"The body may have {most:,} bytes at most.", connection="close")
    if length > most:
        if "expect" not in headers and length <= 2 * most:
            await let_finish(receive, most)
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece: bytes = message.get("body", b"")
        if len(body) + len(piece) > most:
            if message.get("more_body"):
                await let_finish(receive, most)
            raise too_large
        if not message.get("more_body"):
            return bytes(body) + piece if body else piece
        body += piece


async def let_finish(receive: Receive, most: int) -> None:
    """Hear so many bytes for a while: a caller who is cut off while they speak may never hear the answer."""
    heard = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_FAREWELL):
            while heard <= most:
                message = await receive()
                heard += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


def decode(body: bytes | str) -> Any:
    """The value of a JSON text that has one reading only; raises `Rejected`."""
    try:
        if isinstance(body, bytes):
            if body.startswith(BOM):
                raise Rejected(400, "The body is JSON in UTF-8 without a byte order mark.")
            body = body.decode("utf-8")
        return _DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        raise Rejected(400, "The body is not JSON that this API takes.") from error


def operation_of(body: Any, persisted: Persisted) -> Operation:
    """The operation of a decoded body; raises `Rejected` where it has another shape."""
    if not isinstance(body, dict):
        raise Rejected(400, "The body must be one JSON object.")
    query, name = body.get("query"), body.get("operationName")
    if not isinstance(name, str | None):
        raise Rejected(400, "`operationName` must be a text or null.")
    for member in ("variables", "extensions"):
        if not isinstance(body.get(member), dict | None):
            raise Rejected(400, f"`{member}` must be an object or null.")
    if query is None or not persisted.free or body.get("extensions"):
        query = persisted.text_of(body)
    if not isinstance(query, str) or not query:
        raise Rejected(400, "`query` must be the text of a GraphQL document.")
    try:
        check_text(query)
        check_text(name or "")
    except BadRequest as error:
        raise Rejected(400, error.message) from error
    return Operation(query, name or None, body.get("variables") or {})


def _of_query_string(scope: Scope, headers: Mapping[str, str]) -> Mapping[str, Any]:
    if not any(name in headers for name in PREFLIGHTED):
        raise Rejected(400, "A query by GET needs a header that pages of other origins cannot send, such as "
                            "GraphQL-Require-Preflight: 1.")  # fmt: skip
    found: dict[str, Any] = {}
    try:
        pairs = parse_qsl(scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise Rejected(400, "The address must be text in UTF-8, percent-encoded.") from error
    for name, value in pairs:
        if name in found:
            raise Rejected(400, "Each parameter may be given once.")
        found[name] = decode(value) if name in {"variables", "extensions"} and value else value or None
    return found


def is_visit(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Whether somebody has opened the address in a browser, and asks for nothing."""
    return scope["method"] == "GET" and not scope["query_string"] and "text/html" in headers.get("accept", "")


def address_of(scope: Scope, headers: Mapping[str, str], is_proxy: Callable[[str], bool]) -> str:
    """Where a request comes from, as far as it can be believed; "" where that is told by nobody but proxies.

    Each proxy adds to the header X-Forwarded-For whom it speaks for; what stands further left may be anybody's words.
    """
    told = reversed(headers.get("x-forwarded-for", "").split(","))
    for one in ((scope.get("client") or ("",))[0], *told):
        address = _PORT.sub(r"\1\2", one.strip())
        if address and not is_proxy(address):
            return address
    return ""


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of the header Authorization; None where there is none, and "" where it is of another scheme."""
    value = headers.get("authorization")
    if value is None:
        return None
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Rejected(400, "An object of the body has the same name twice.")
    return found


def _integer(digits: str) -> int:
    if len(digits) > DIGITS:
        raise Rejected(400, "A number of the body has too many digits.")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise Rejected(400, "A number of the body is out of range.")
    return value


def _constant(name: str) -> Any:
    raise Rejected(400, f"{name} is not JSON.")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_int=_integer, parse_float=_float, parse_constant=_constant)
