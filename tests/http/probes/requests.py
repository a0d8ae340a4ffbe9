"""How the probes are built: requests as bytes, and a probe for each of several values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BAD_REQUEST, QUERY_TOO_COMPLEX, UNAUTHENTICATED = "BAD_REQUEST", "QUERY_TOO_COMPLEX", "UNAUTHENTICATED"
TOKEN = b"<token>"
"""Placeholder for the token of a platform admin, who has every permission."""
ADMIN = b"Authorization: Bearer " + TOKEN
ACCEPT_GRAPHQL = b"Accept: application/graphql-response+json"
PREFLIGHT = b"GraphQL-Require-Preflight: 1"
JSON = b"Content-Type: application/json"
TYPENAME_BODY = b'{"query":"{ __typename }"}'
DEEP_LIST: Any = "deep"
for _ in range(20):
    DEEP_LIST = [DEEP_LIST]
MAX_NAME_CHARACTERS = 80


@dataclass(frozen=True)
class Probe:
    """A request, and the status and the error code of its response; no code for a response without errors."""

    name: str
    request: bytes
    status: int
    code: str | None = None


def probes(
    name: str, status: int, code: str | None, build: Callable[[Any], bytes], *values: Any, **named: Any
) -> list[Probe]:
    """A probe for each value, of which `build` makes the request; named after the value, or by a keyword."""
    labelled = [(repr(value)[:MAX_NAME_CHARACTERS], value) for value in values]
    labelled += [(label.replace("_", " "), value) for label, value in named.items()]
    return [Probe(f"{name}: {label}", build(value), status, code) for label, value in labelled]


def request(line: bytes, *headers: bytes, body: bytes = b"", host: bytes = b"Host: notify\r\n") -> bytes:
    """A request with this first line, these headers and, for a body, its length."""
    length = (b"Content-Length: %d" % len(body),) if body else ()
    return line + b"\r\n" + host + b"".join(header + b"\r\n" for header in (*headers, *length)) + b"\r\n" + body


def post(*headers: bytes, body: bytes = TYPENAME_BODY, path: bytes = b"/graphql") -> bytes:
    """A POST with these headers."""
    return request(b"POST %b HTTP/1.1" % path, *headers, body=body)


def body(content: bytes) -> bytes:
    """A POST of any bytes as JSON."""
    return post(JSON, body=content)


def member(text: bytes) -> bytes:
    """A POST of a valid body with one more member."""
    return body(TYPENAME_BODY[:-1] + b"," + text + b"}")


def comment(text: bytes) -> bytes:
    """A POST of a document with these bytes in a comment."""
    return body(TYPENAME_BODY[:-2] + b" # " + text + b'"}')


def document(text: str, name: str | None = None, **variables: Any) -> bytes:
    """A POST of a document by a platform admin; the status of its response says whether it ran."""
    content = {"query": text, "operationName": name, "variables": variables}
    return post(JSON, ACCEPT_GRAPHQL, ADMIN, body=json.dumps(content).encode())


def variable(value: Any) -> bytes:
    """A POST of a document with a variable that it does not use."""
    return document("{ __typename }", v=value)


def as_variable(graphql_type: str, field: str) -> Callable[[Any], bytes]:
    """Build a document from a value: the field's `$v` is a variable of this type."""
    return lambda value: document(f"query ($v: {graphql_type}) {{ {field} }}", v=value)


def as_literal(field: str) -> Callable[[str], bytes]:
    """Build a document from the text of a value, which replaces the field's `$v`."""
    return lambda value: document(f"{{ {field.replace('$v', value)} }}")


def get(query_string: bytes) -> bytes:
    """A GET that a page of another origin could not send without a preflight."""
    return request(b"GET /graphql%b HTTP/1.1" % query_string, PREFLIGHT, ACCEPT_GRAPHQL)


def header(line: bytes) -> bytes:
    """A valid POST with one more header."""
    return post(JSON, ACCEPT_GRAPHQL, line)


def accept(media_type: bytes) -> bytes:
    """A valid POST that accepts a media type."""
    return post(JSON, b"Accept: " + media_type)


def host(lines: bytes) -> bytes:
    """A POST with these lines in place of its Host header."""
    return request(b"POST /graphql HTTP/1.1", JSON, body=TYPENAME_BODY, host=lines)


def method(name: bytes) -> bytes:
    """A request by another method."""
    return request(name + b" /graphql HTTP/1.1", JSON, PREFLIGHT, body=TYPENAME_BODY)


def path(value: bytes) -> bytes:
    """A POST to another path."""
    return post(JSON, path=value)


def content_type(media_type: bytes, content: bytes = TYPENAME_BODY) -> bytes:
    """A POST with a Content-Type."""
    return post(b"Content-Type: " + media_type, body=content)


def upload(*headers: bytes) -> bytes:
    """An upload of something that is no list of recipients."""
    return post(ADMIN, *headers, path=b"/uploads")
