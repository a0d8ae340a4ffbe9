"""Requests that are odd or wrong in one way each, as they go over the wire, and what each is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.limits.test_extension import chain, nested

BAD_REQUEST, QUERY_TOO_COMPLEX, UNAUTHENTICATED = "BAD_REQUEST", "QUERY_TOO_COMPLEX", "UNAUTHENTICATED"
TOKEN = b"<token>"
"""Stands for the token of a platform admin, who may ask for anything."""
ADMIN = b"Authorization: Bearer " + TOKEN
ACCEPT_GRAPHQL_RESPONSE = b"Accept: application/graphql-response+json"
PREFLIGHT = b"GraphQL-Require-Preflight: 1"
JSON, CSV, FORM = b"Content-Type: application/json", b"Content-Type: text/csv", b"multipart/form-data; boundary=x"
TYPENAME_BODY = b'{"query":"{ __typename }"}'


@dataclass(frozen=True)
class Probe:
    """A request, and the status and the code of its answer; no code where it is answered without errors."""

    name: str
    request: bytes
    status: int
    code: str | None


# The requests.


def request(line: bytes, *headers: bytes, body: bytes = b"", host: bytes = b"Host: notify\r\n") -> bytes:
    """A request with these lines, and the length of its body where it has one."""
    length = (b"Content-Length: %d" % len(body),) if body else ()
    return line + b"\r\n" + host + b"".join(one + b"\r\n" for one in (*headers, *length)) + b"\r\n" + body


def post(*headers: bytes, body: bytes = TYPENAME_BODY, path: bytes = b"/graphql") -> bytes:
    """A POST with these headers besides."""
    return request(b"POST %b HTTP/1.1" % path, *headers, body=body)


def post_with_header(header: bytes) -> bytes:
    """A good POST with a header more."""
    return post(JSON, ACCEPT_GRAPHQL_RESPONSE, header)


def post_with_content_type(content_type: bytes, body: bytes = TYPENAME_BODY) -> bytes:
    """A POST of another media type."""
    return post(b"Content-Type: " + content_type, body=body)


def post_json(text: bytes) -> bytes:
    """A POST of any bytes as JSON."""
    return post(JSON, body=text)


def post_with_member(text: bytes) -> bytes:
    """A POST of a good body with one member more."""
    return post_json(TYPENAME_BODY[:-1] + b"," + text + b"}")


def post_with_comment(text: bytes) -> bytes:
    """A POST of a document with these bytes in a comment."""
    return post_json(TYPENAME_BODY[:-2] + b" # " + text + b'"}')


def post_document(document: str, name: str | None = None, **variables: Any) -> bytes:
    """A POST of a document by a platform admin, whose status tells whether it ran."""
    said = {"query": document, "operationName": name, "variables": variables}
    return post(JSON, ACCEPT_GRAPHQL_RESPONSE, ADMIN, body=json.dumps(said).encode())


def post_with_variable(value: Any) -> bytes:
    """A POST with a variable that nothing uses."""
    return post_document("{ __typename }", v=value)


def get_query(query: bytes) -> bytes:
    """A GET that no page of another origin could send."""
    return request(b"GET /graphql%b HTTP/1.1" % query, PREFLIGHT, ACCEPT_GRAPHQL_RESPONSE)


def post_to_path(path: bytes) -> bytes:
    """A POST to another path."""
    return post(JSON, path=path)


def request_by_method(method: bytes) -> bytes:
    """A request by another method."""
    return request(method + b" /graphql HTTP/1.1", JSON, PREFLIGHT, body=TYPENAME_BODY)


def post_with_host_lines(host: bytes) -> bytes:
    """A POST with these lines for its host."""
    return request(b"POST /graphql HTTP/1.1", JSON, body=TYPENAME_BODY, host=host)


def post_upload(*headers: bytes) -> bytes:
    """A POST of a list of recipients, which is none."""
    return post(ADMIN, *headers, path=b"/uploads")


def form_part(name: bytes, value: bytes) -> bytes:
    """A part of a form."""
    return b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (name, value)


def variable_query(kind: str, field: str) -> Callable[[Any], bytes]:
    """What asks for a field with a value as a variable of this type, in place of `$v`."""
    return lambda value: post_document(f"query ($v: {kind}) {{ {field} }}", v=value)


def literal_query(field: str) -> Callable[[str], bytes]:
    """What asks for a field with a value in the document itself, in place of `$v`."""
    return lambda value: post_document(f"{{ {field.replace('$v', value)} }}")


SERVICE = "6f0f3f0a-5d3b-4d0f-9d55-0a9f6f3a1c11"
NODE, NODES = "node(id: $v) { id }", "nodes(ids: $v) { id }"
USER_BY_EMAIL = "userByEmailAddress(emailAddress: $v) { id }"
SERVICES_FIRST, SERVICES_AFTER = "services(first: $v) { totalCount }", "services(after: $v) { totalCount }"
AUDIT_LOG_FROM = "auditLog(filter: {occurredAt: {from: $v}}) { totalCount }"
PREVIEW = f'previewTemplate(input: {{serviceId: "{SERVICE}", content: $v}}) {{ body }}'
PREVIEW_WITH_PERSONALISATION = PREVIEW.replace("$v", '{sms: {body: "x"}}, personalisation: $v')
DEEP_LIST: Any = "deep"
for _ in range(20):
    DEEP_LIST = [DEEP_LIST]


def aliases(count: int, field: str = "__typename") -> str:
    """The same field under so many names."""
    return " ".join(f"a{number}: {field}" for number in range(count))


# What they are answered: by kind, status and code.

OPERATIONS = form_part(
    b"operations", b'{"query":"mutation ($f: Upload!) { signOut { __typename } }","variables":{"f":null}}'
)
UPLOAD_FORM = OPERATIONS + form_part(b"map", b'{"0":["variables.f"]}') + form_part(b"0", b"x") + b"--x--\r\n"


def named_requests(build: Callable[[Any], bytes], *values: Any, **named: Any) -> dict[str, bytes]:
    """A request for each of some values, by the value or by a name."""
    found = {f"{build.__name__} {value!r:.50}": build(value) for value in values}
    return found | {name.replace("_", " "): build(value) for name, value in named.items()}


# fmt: off
TABLES: list[tuple[str, int, str | None, Mapping[str, bytes]]] = [
    ("json", 400, BAD_REQUEST, {
        **named_requests(post_json, b"null", b"1", b"true", b'"{ __typename }"', b"[]", b"[%b]" % TYPENAME_BODY, b"{",
            b"{}", b" \r\n",
               TYPENAME_BODY + TYPENAME_BODY, TYPENAME_BODY[:-2], TYPENAME_BODY + b"x", TYPENAME_BODY[:-1] + b",}",
               TYPENAME_BODY.replace(b'"', b"'"), b"/**/" + TYPENAME_BODY,
               b'{query:"{ __typename }"}', b"\xef\xbb\xbf" + TYPENAME_BODY, TYPENAME_BODY.decode().encode("utf-16"),
               TYPENAME_BODY.decode().encode("utf-32"), b"\x1f\x8b\x08\0\0\0\0\0\0\xff\0", TYPENAME_BODY + b"\0",
               b'{"query":"\xc3',
               b'{"query":"\n"}', b'{"query":"\t{ __typename }"}', b'{"query":"\\x"}', b'{"query":"\\u12"}',
               b'{"query":null}', b'{"query":1}', b'{"query":""}', b'{"query":["{ __typename }"]}', b'{"query":{}}',
               TYPENAME_BODY[:-1] + b',"query":"mutation { signOut { __typename } }"}',
               TYPENAME_BODY[:-1] + b',"\\u0071uery":"{"}',
               deep=b"[" * 90_000 + b"]" * 90_000, deep_objects=b'{"a":' * 50_000, deep_and_open=b"[" * 500_000),
        **named_requests(post_with_comment, b"\xe9", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\0",
            b"\\u0000", b"\\ud800",
               b"\\udc00\\ud800"),
        **named_requests(post_with_member, b'"variables":{"a":NaN}', b'"variables":{"a":-Infinity}',
            b'"variables":{"a":1e999}',
               b'"variables":{"a":01}', b'"variables":{"a":+1}', b'"variables":{"a":.5}', b'"variables":{"a":0x10}',
               b'"variables":{"a":{"b":1,"b":2}}', b'"variables":[]', b'"variables":"{}"', b'"variables":0',
               b'"variables":false', b'"extensions":[]', b'"extensions":"x"', b'"operationName":1',
               b'"operationName":[]', b'"operationName":false', b'"operationName":"\\u0000"',
               b'"operationName":"\\udfff"', many_digits=b'"variables":{"a":%b}' % (b"9" * 5_000),
               many_digits_elsewhere=b'"extensions":{"a":%b}' % (b"9" * 5_000)),
        **named_requests(post_with_variable, "\0", {"\ud800": 1}, [float("nan")], 2**63, DEEP_LIST,
            long_list=[0] * 1_001, long_text="x" * 65_537,
               many_values=[[0] * 999] * 21),
    }),
    ("json", 200, None, {
        **named_requests(post_with_member, b'"variables":null', b'"extensions":null', b'"operationName":null',
            b'"operationName":""',
               b'"id":7', b'"__proto__":{"query":"{"}', b'"x":"\\ud83d\\ude00"'),
        **named_requests(post_json, b" \r\n\t" + TYPENAME_BODY + b"\n ", TYPENAME_BODY.replace(b"query",
            b"\\u0071uery")),
    }),
    ("json", 413, BAD_REQUEST, {
        **named_requests(post_json, long=b" " * 1_000_001),
        "a length that is too large": post(JSON, b"Content-Length: 999999999999", body=b""),
    }),
    ("json", 408, BAD_REQUEST, {"a body that stays short": post(JSON, b"Content-Length: 99",
        body=b"") + TYPENAME_BODY}),
    ("content type", 415, BAD_REQUEST, {
        **named_requests(post_with_content_type, b"text/plain", b"application/x-www-form-urlencoded", b"text/html",
            b"application/graphql",
               b"xapplication/json", b"application/jsonx", b"application/x+json", b"*/*", b"application/*",
               b"text/plain; application/json", b"application/json, text/plain", b"application", b"application/", b"",
               b"application/json; charset=latin-1", b"application/json; charset=utf-16", b'"application/json"',
               b"application/json; charset=utf-7", b"application/json; charset=utf-8; charset=utf-7",
               b"application/json; boundary=x", b"application/json\xe9", b"application/json; charset=",
               long=b"application/json;" + b"a" * 9_000),
        "none": post(),
        "fields of a form": post_with_content_type(b"application/x-www-form-urlencoded", b"query=%7B__typename%7D"),
        **named_requests(post_with_header, b"Content-Encoding: gzip", b"Content-Encoding: br",
            b"Content-Encoding: identity",
               b"Content-Encoding:", b"Content-Encoding: x"),
    }),
    ("content type", 200, None, named_requests(
        post_with_content_type, b"application/json", b"APPLICATION/JSON", b"application/json; charset=utf-8",
        b'application/json;charset="UTF-8"', b"application/json ; charset = utf-8 ")),
    ("content type", 400, BAD_REQUEST, named_requests(post_with_header, JSON,
        twice=b"Content-Encoding: gzip\r\nContent-Encoding: gzip")),
    ("multipart", 415, BAD_REQUEST, {
        "a file for a mutation": post_with_content_type(FORM, UPLOAD_FORM),
        "a file, preflighted": post(b"Content-Type: " + FORM, b"Apollo-Require-Preflight: true", body=UPLOAD_FORM),
        "a part without end": post_with_content_type(FORM, OPERATIONS),
        "ten thousand parts": post_with_content_type(FORM, form_part(b"a", b"b") * 10_000),
        **named_requests(post_with_content_type, b"multipart/form-data", b"multipart/mixed; boundary=x",
            b"multipart/related; boundary=x"),
        **named_requests(post_upload, JSON, b"Content-Type: " + FORM, CSV + b"; charset=latin-1",
            CSV + b"\r\nContent-Encoding: gzip"),
    }),
    ("multipart", 401, UNAUTHENTICATED, {"a list of nobody's": post(CSV, path=b"/uploads")}),
    ("method", 405, BAD_REQUEST, {
        **named_requests(request_by_method, b"PUT", b"DELETE", b"PATCH", b"PROPFIND", b"TRACE", b"SEARCH"),
        "another method in a header": request(b"PUT /graphql HTTP/1.1", b"X-HTTP-Method-Override: POST",
        body=TYPENAME_BODY),
        "GET of uploads": request(b"GET /uploads HTTP/1.1"),
        "DELETE of the status": request(b"DELETE /_status HTTP/1.1"),
    }),
    ("method", 405, None, {"HEAD": request(b"HEAD /graphql HTTP/1.1", PREFLIGHT)}),
    ("method", 200, None, {
        "OPTIONS": request(b"OPTIONS /graphql HTTP/1.1"),
        "HTTP/1.0": request(b"POST /graphql HTTP/1.0", JSON, body=TYPENAME_BODY, host=b""),
        "an empty line before": b"\r\n" + post_json(TYPENAME_BODY),
    }),
    ("method", 404, "NOT_FOUND", named_requests(
        post_to_path, b"/", b"/graphql/", b"//graphql", b"/GRAPHQL", b"/graphql%00", b"/graphql;x=1",
            b"/../../etc/passwd",
        b"/%2e%2e/%2e%2e/etc/passwd", b"/graphql%0d%0aX:%20y", b"/%ff%fe", b"/assets/x", b"/docs", b"*",
        long=b"/" + b"x" * 10_000)),
    ("method", 400, BAD_REQUEST, {
        **named_requests(request_by_method, b"post", b"BREW", b"", b"GET\t", b" POST", b"P\0ST", b"POST /graph"),
        "HTTP/0.9": b"GET /graphql\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/3.0": request(b"GET /graphql HTTP/3.0"),
        "half a version": request(b"POST /graphql HTTP/", JSON, body=TYPENAME_BODY),
        "another protocol": request(b"POST /graphql HTTX/1.1", JSON, body=TYPENAME_BODY),
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "a tunnel": request(b"CONNECT notify:443 HTTP/1.1"),
        **named_requests(post_to_path, b"/graphql\xe9", b"/graph\0ql", b"graphql"),
    }),
    ("GET", 200, None, {
        **named_requests(get_query, b"?query=%7B__typename%7D", b"?query={__typename}",
            b"?query=%7B__typename%7D&variables=",
               b"?query=%7B__typename%7D&variables=%7B%7D&operationName=&extensions=%7B%7D",
               b"?query=%7B__typename%7D#x",
               b"?query=%7B__typename%7D&x=1", b"?query=+%7B+__typename+%7D+"),
        "with a body": request(b"GET /graphql?query=%7B__typename%7D HTTP/1.1", PREFLIGHT, body=b"{"),
        "of another site": request(b"GET http://elsewhere.example/graphql?query=%7B__typename%7D HTTP/1.1", PREFLIGHT),
    }),
    ("GET", 400, BAD_REQUEST, {
        **named_requests(get_query, b"", b"?", b"?query", b"?query=", b"?query=%7B", b"?query=%zz", b"?query=%FF",
            b"?query=%C0%AF",
               b"?query=%00", b"?query=%ED%A0%80", b"?query=%7B__typename%7D&query=%7B__typename%7D",
               b"?query=%7B__typename%7D&variables=%5B%5D", b"?query=%7B__typename%7D&variables=1",
               b"?query=%7B__typename%7D&variables=%7B", b"?query=%7B__typename%7D&extensions=%22%22",
               b"?query=%7B__typename%7D&operationName=B", b"?QUERY=%7B__typename%7D", b"?query=\xff",
               b"?query=subscription%7BjobProgress(jobId:1)%7B__typename%7D%7D", many=b"?" + b"a=1&" * 3_000),
        "by any page": request(b"GET /graphql?query=%7B__typename%7D HTTP/1.1"),
        "with a cookie": request(b"GET /graphql?query=%7B__typename%7D HTTP/1.1", b"Cookie: session=x"),
    }),
    ("GET", 405, BAD_REQUEST, named_requests(get_query, b"?query=mutation%7BsignOut%7B__typename%7D%7D",
        b"?query=mutation%7B__typename%7D")),
    ("GET", 431, BAD_REQUEST, named_requests(get_query, long=b"?query=" + b"x" * 17_000)),
    ("headers", 401, UNAUTHENTICATED, named_requests(
        post_with_header, b"Authorization:", b"Authorization: Bearer", b"Authorization: Bearer x.y.z",
        b"Authorization: Basic abc",
        b"Authorization: x", b"Authorization: Bearer \xe9", b"Authorization: Bearer e30.e30.",
        b"Authorization: Bearer a b",
        b"Authorization: Bearer session_x.y", b"Authorization: Bearer a, Bearer b", b"Authorization: Bearer null",
        long=b"Authorization: Bearer " + b"x" * 9_000)),
    ("headers", 200, None, named_requests(
        post_with_header, b"Accept: */*", b"Accept:", b"Accept: ;;;,,,", b"Cookie: a=b", b"X-Notify-User-Id: \xa0",
        b"Range: bytes=0-1",
        b"Origin: null", b"Origin: https://elsewhere.example", b"Origin: \xff", b"Connection: close", b"TE: trailers",
        b"If-None-Match: *", b"X-Forwarded-For: ' OR 1=1 --", b"Forwarded: for=x", b"X-Request-Id: %0d%0a",
        b"Via: 1.1 x",
        b"Expect: 100-continue", b"Upgrade: h2c\r\nConnection: Upgrade", b"Connection: keep-alive, x",
        b"Transfer_Encoding: x",
        b"X-Original-URL: /metrics", b"X: \xf0\x9f\x98\x80",
        many=b"\r\n".join(b"X-%d: x" % number for number in range(900)))),
    ("headers", 406, BAD_REQUEST, named_requests(
        lambda value: post(JSON, b"Accept: " + value), b"text/html", b"image/png, application/xml",
        b"application/json;q=0",
        b"multipart/mixed")),
    ("headers", 400, BAD_REQUEST, {
        **named_requests(post_with_header, ADMIN + b"\r\n" + ADMIN, b"X-Notify-User-Id: 1\r\nX-Notify-User-Id: 2",
            b"A B: 1", b": 1", b"X",
               b"X : 1",
               b"X\0: 1", b"X: \0", b"X: a\rb", b"X: a\nY: b", b"X: a\r\n b", b"X\xe9: 1", b"X(: 1", b"X: \x0b",
               b"X: \x7f"),
        **named_requests(post_with_host_lines, b"", b"Host: a\r\nHost: b\r\n", b"Host: a, b\r\n", b"Host: a b\r\n",
            b"Host: a/b\r\n",
               b"Host: a@b\r\n"),
    }),
    ("headers", 431, BAD_REQUEST, named_requests(
        post_with_header, long=b"X: " + b"x" * 16_400,
            many=b"\r\n".join(b"X-%d: x" % number for number in range(1_900)))),
    ("scalar", 400, BAD_REQUEST, {
        **named_requests(variable_query("ID!", NODE), None, True, 1.5, [], {"a": 1}, "\0", "\ud800"),
        **named_requests(variable_query("String!", USER_BY_EMAIL), None, 1, True, [], "\0", "é\0", "\udfff"),
        **named_requests(variable_query("Int", SERVICES_FIRST), "1", 1.5, True, 2**31, -(2**31) - 1, 2**63, [1]),
        **named_requests(variable_query("Boolean", "services(filter: {hasActiveGoLiveRequest: $v}) { totalCount }"), 0,
            "true", []),
        **named_requests(variable_query("ServiceStatus!", "services(filter: {statuses: [$v]}) { totalCount }"), "live",
            0, None,
               "__proto__"),
        **named_requests(variable_query("DateTime", AUDIT_LOG_FROM), 0, "", "now", "infinity", "2026-04-01",
            "2026-04-01T24:00:00Z",
               "0001-01-01T00:00:00Z",
               "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-04-01T09:30:00+25:00",
               "2026-04-01T09:30:00Z\n"),
        **named_requests(variable_query("JSON", PREVIEW_WITH_PERSONALISATION), DEEP_LIST, {"a": "\0"}, {"\0": 1},
            {"a": 2**63}),
        **named_requests(variable_query("TemplateContentInput!", PREVIEW), {}, {"sms": None}, {"sms": {"body": "x"},
            "email": None},
               {"x": 1}, []),
        **named_requests(literal_query(USER_BY_EMAIL), r'"\u0000"', '"\0"', r'"\uD800"', r'"\u{D800}"',
            r'"\u{110000}"', '"""\0"""', "1",
               "null"),
        **named_requests(literal_query(NODE), "1e999", "9" * 5_000, "[]", "{}", "true"),
        **named_requests(literal_query(PREVIEW), "{sms: null}", "{}", '{sms: {body: "x"}, email: null}'),
        **named_requests(literal_query(PREVIEW_WITH_PERSONALISATION), "1e999", "[" * 20 + "]" * 20, '{a: "\\u0000"}',
            "9" * 5_000),
    }),
    ("node", 200, None, {
        **named_requests(variable_query("ID!", NODE), "", "x", 5, SERVICE, f"{{{SERVICE}}}", f"urn:uuid:{SERVICE}",
            "' OR 1=1 --",
               "٣" * 32,
               f"{SERVICE}\n", "x" * 60_000, "VXNlcjox"),
        **named_requests(variable_query("[ID!]!", NODES), [], ["x"] * 100, SERVICE, [SERVICE, SERVICE]),
    }),
    ("node", 400, BAD_REQUEST, {
        **named_requests(variable_query("[ID!]!", NODES), [None], [[SERVICE]], None),
        **named_requests(variable_query("String", SERVICES_AFTER), "\ud83d"),
    }),
    ("node", 200, BAD_REQUEST, {
        **named_requests(variable_query("[ID!]!", NODES), many=["x"] * 101),
        **named_requests(variable_query("Int", SERVICES_FIRST), -1, 101, 2**31 - 1),
        **named_requests(variable_query("String", SERVICES_AFTER), "x", "W10=", "eyJ9", "A" * 9_000),
        **named_requests(literal_query("services($v) { totalCount }"), "first: 1, last: 1", 'after: "x", before: "x"',
            "last: -1"),
    }),
    ("document", 400, BAD_REQUEST, {
        **named_requests(post_document, "", " ", "{", "}", "x", "#", "query", "{ a: }", "{ __typename", "\ufeff{",
            "{ 😀 }", "{ a\u2028b }",
               "{ … }",
               "{ nothing }", "{ viewer }", "{ __typename { x } }", "{ node { id } }", "{ node(id: 1, id: 2) { id } }",
               "{ node(id: 1, x: 2) { id } }", "{ node(id: $v) { id } }", "query ($v: ID) { __typename }",
               "query ($v: Nothing) { node(id: $v) { id } }", "query ($v: User) { node(id: $v) { id } }",
               "query ($v: ID!, $v: ID!) { node(id: $v) { id } }",
               'query ($v: Int = "x") { services(first: $v) { totalCount } }',
               "{ a: viewer { __typename } a: node(id: 1) { id } }", "{ __typename @nothing }", "{ __typename @skip }",
               "{ __typename @include(if: 1) }", "{ __typename @skip(if: true) @skip(if: true) }",
               "query @skip(if: true) { __typename }",
               "query A { __typename } query B { __typename }", "query A { __typename } query A { __typename }",
               "{ __typename } query A { __typename }", "fragment A on Query { __typename }", "{ ...A }",
               "{ ...A } fragment A on Query { ...A }",
               "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
               "{ ...A } fragment A on Nothing { x }", "{ ...A } fragment A on Int { x }", "{ ... on User { id } }",
               "{ __typename } fragment A on Query { __typename }", "{ ...on } fragment on on Query { __typename }",
               "type Query { x: Int }", "schema { query: Query }", "extend type Query { x: Int }",
               "{ __typename } scalar X",
               "subscription { jobProgress(jobId: 1) { __typename } }", "subscription { __typename }",
               "{ ... @defer { __typename } }", "{ services @stream { totalCount } }",
               "query { __type(name: 1) { name } }",
               "{ __schema { ...A } } fragment A on __Schema { __typename ...B } fragment B on __Schema { ...A }",
               open_text='{ node(id: "' + "x" * 90_000, open_block='{ node(id: """' + "x" * 90_000,
               open_brackets="[" * 1_900, braces="{" * 1_999,
               unknown_fields="{ " + " ".join(f"x{number}" for number in range(19)) + " }"),
        "a name that is not there": post_document("query A { __typename }", "B"),
        "a name for what has none": post_document("{ __typename }", "A"),
    }),
    ("document", 200, None, {
        **named_requests(post_document, "{ __typename }", "\ufeff{ __typename }", ",,, { ,__typename, } ,",
               "{ __typename @skip(if: true) }",
               '{ __type(name: "Nothing") { name } }', '{ userByEmailAddress(emailAddress: "\\u{1F600}") { id } }',
               comment="#" * 99_000 + "\n{ __typename }"),
        "one of two": post_document("query A { __typename } query B { __typename }", "B"),
    }),
    ("document", 400, QUERY_TOO_COMPLEX, named_requests(
        post_document, depth=nested(13), doubling=chain(40, 2).replace("name", "__typename"), fragments=chain(51),
        aliases="{ viewer { " + aliases(61) + " } }", fields_at_the_root="{ " + aliases(21) + " }",
        one_field_often="{ viewer { " + "__typename " * 60 + "} }", tokens="{ " + "x " * 2_000 + "}",
        directives="{ " + "".join(f"a{number}: __typename " + "@skip(if: false) " * 5 for number in range(11)) + "}",
        directives_in_one_place="{ __typename " + "@x " * 10 + "}", bytes="#" * 100_001,
        operations=" ".join(f"query Q{number} {{ __typename }}" for number in range(6)),
        variables="query (" + " ".join(f"$v{number}: Int" for number in range(101)) + ") { __typename }",
        mutations="mutation { " + aliases(6, "signOut { __typename }") + " }",
        sign_ins="mutation { " + aliases(2, 'signIn(input: {emailAddress: "a", password: "b"}) { __typename }') + " }",
        pages="{ services(first: 100) { nodes { templates(first: 100) { nodes { id } } } } }",
        introspection="{ __schema { types { fields { type { " + "ofType { " * 12 + "name" + " }" * 17)),
    ("document", 200, UNAUTHENTICATED, {"the schema for nobody": post(JSON,
    body=b'{"query":"{ __schema { types { name } } }"}')}),
]
# fmt: on

PROBES = [
    Probe(f"{kind}: {name}", sent, status, code)
    for kind, status, code, requests in TABLES
    for name, sent in requests.items()
]
