"""GraphQL over HTTP, from outside: media types, methods, bodies, tokens, and what no request may do."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey

from graphql_api import app
from graphql_api.database.database import Database
from graphql_api.enums import KeyType
from graphql_api.gateways.object_store import Store
from graphql_api.http import responses
from graphql_api.settings import Settings
from tests.app_server import client_of, serve_settings
from tests.builders import Builders

JSON = "application/json; charset=utf-8"
GRAPHQL = "application/graphql-response+json; charset=utf-8"
NAMES = "{ __typename }"
PREFLIGHTED = {"GraphQL-Require-Preflight": "1"}


@pytest_asyncio.fixture
async def client(database: Database, settings: Settings, store: Store) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the whole application, in this process; a fault of the application would be raised here."""
    transport = httpx2.ASGITransport(app.create(settings, database=database, store=store))
    async with httpx2.AsyncClient(transport=transport, base_url="http://notify") as client:
        yield client


BAD_TOKENS = ["Bearer x.y.z", "Bearer ", "Bearer", "Basic abc", "x", "Bearer " + "x" * 2_000]


async def post(client: httpx2.AsyncClient, body: Any = None, **headers: str) -> httpx2.Response:
    """Post a body, JSON unless it is bytes; headers by their names, with underscores for hyphens."""
    names = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body or {"query": NAMES}).encode()
    return await client.post("/graphql", content=content, headers=names)


def codes(response: httpx2.Response) -> list[str]:
    """Codes of the errors."""
    return [error["extensions"]["code"] for error in response.json()["errors"]]


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL),
        ("application/graphql-response+json, application/json", GRAPHQL),
        ("application/graphql-response+json;q=0.9, application/json;q=0.8", GRAPHQL),
        ("application/graphql-response+json;q=0.8, application/json;q=0.9", JSON),
        ("application/graphql-response+json, application/json, text/event-stream, multipart/mixed", GRAPHQL),
        ("text/html, */*;q=0.1", JSON),
        ("APPLICATION/GRAPHQL-RESPONSE+JSON", GRAPHQL),
        ("nonsense, application/json", JSON),
    ],
)
async def test_the_caller_chooses_the_media_type(client: httpx2.AsyncClient, accept: str, answered: str) -> None:
    response = await post(client, accept=accept)

    assert (response.status_code, response.headers["content-type"]) == (200, answered)
    assert response.content == b'{"data":{"__typename":"Query"},"extensions":{"cost":{"requested":1,"actual":1}}}'


async def test_a_type_that_is_not_ours_is_not_acceptable(client: httpx2.AsyncClient) -> None:
    response = await post(client, accept="text/html")

    assert (response.status_code, codes(response)) == (406, ["BAD_REQUEST"])


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{"},
        {"query": "{ nothing }"},
        {"query": "query ($id: ID!) { node(id: $id) { id } }"},
        {"query": NAMES, "operationName": "Other"},
        {"query": "subscription { nothing }"},
    ],
    ids=["syntax", "validation", "variables", "operation name", "subscription"],
)
async def test_an_operation_that_never_runs_has_no_data(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    modern = await post(client, body, accept="application/graphql-response+json")
    plain = await post(client, body, accept="application/json")

    assert (modern.status_code, plain.status_code) == (400, 200)
    assert modern.json() == plain.json()
    assert "data" not in modern.json()
    assert codes(modern) == ["BAD_REQUEST"]


async def test_a_field_that_fails_leaves_the_status_and_the_other_fields(client: httpx2.AsyncClient) -> None:
    body = {"query": '{ node(id: "x") { id } __typename }'}
    response = await post(client, body, accept="application/graphql-response+json")

    assert response.status_code == 200
    assert response.json()["data"] == {"node": None, "__typename": "Query"}
    assert codes(response) == ["UNAUTHENTICATED"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('Application/JSON;charset="UTF-8"', 200),
        ("application/json; charset=latin-1", 415),
        ("xapplication/json", 415),
        ("application/json, text/plain", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
async def test_a_body_is_json_by_name(client: httpx2.AsyncClient, content_type: str, status: int) -> None:
    response = await post(client, content_type=content_type)

    assert response.status_code == status


async def test_a_compressed_body_is_refused(client: httpx2.AsyncClient) -> None:
    assert (await post(client, content_encoding="gzip")).status_code == 415


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"1",
        b"[]",
        b'[{"query": "{ __typename }"}]',
        b"{",
        b"{}",
        b"\xff",
        b'\xef\xbb\xbf{"query": "{ __typename }"}',
        b'{"query": 1}',
        b'{"query": ""}',
        b'{"query": "{ __typename }", "query": "mutation { __typename }"}',
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "variables": "{}"}',
        b'{"query": "{ __typename }", "extensions": 1}',
        b'{"query": "{ __typename }", "operationName": 1}',
        b'{"query": "{ __typename }", "variables": {"a": NaN}}',
        b'{"query": "{ __typename }", "variables": {"a": 1e999}}',
        b'{"query": "{ __typename }", "variables": {"a": ' + b"1" * 5_000 + b"}}",
        b'{"query": "{ __typename }", "variables": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"query": "{ __typename } # \\u0000"}',
        b'{"query": "{ __typename } # \\ud800"}',
        b'{"query": "{ __typename }", "operationName": "\\udfff"}',
    ],
    ids=lambda body: body[:60].decode(errors="replace"),
)
async def test_a_malformed_body_is_a_bad_request(client: httpx2.AsyncClient, body: bytes) -> None:
    response = await post(client, body)

    assert (response.status_code, codes(response)) == (400, ["BAD_REQUEST"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("\0", "Text may not hold the character NUL."),
        ("é\0", "Text may not hold the character NUL."),
        ("\ud800", "Text may not hold half a surrogate pair."),
        (["\0"], "Text may not hold the character NUL."),
        ({"\0": 1}, "Text may not hold the character NUL."),
        (2**63, "A number has too many digits."),
        ([[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]], "Variables may be nested 16 deep at most."),
        ([0] * 1_001, "A list or an object may hold 1,000 values at most."),
        ([[0] * 1_000] * 20, "Variables may hold 20,000 values at most."),
        ("x" * 65_537, "A text may have 65,536 characters at most."),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_a_variable_that_cannot_be_kept_is_refused(client: httpx2.AsyncClient, value: Any, message: str) -> None:
    query = "query ($value: ID!) { node(id: $value) { id } }"
    response = await post(client, {"query": query, "variables": {"value": value}})

    assert response.status_code == 200
    assert response.json()["errors"] == [{"message": message, "extensions": {"code": "BAD_REQUEST"}}]


async def test_a_body_over_a_megabyte_is_too_large(client: httpx2.AsyncClient) -> None:
    response = await post(client, b" " * 1_000_001)

    assert (response.status_code, codes(response)) == (413, ["BAD_REQUEST"])
    assert response.headers["connection"] == "close"


async def test_a_body_is_counted_though_its_length_is_not_told(client: httpx2.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 100_000

    response = await client.post("/graphql", content=pieces(), headers={"content-type": "application/json"})

    assert response.status_code == 413


async def test_other_methods_are_told_which_there_are(client: httpx2.AsyncClient) -> None:
    for method in ("PUT", "DELETE", "PATCH", "HEAD"):
        response = await client.request(method, "/graphql")
        assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_a_query_may_be_sent_by_get(client: httpx2.AsyncClient) -> None:
    query = "query A($id: ID!) { node(id: $id) { id } } query B($yes: Boolean!) { __typename @include(if: $yes) }"
    parameters = {"query": query, "operationName": "B", "variables": '{"yes": true}'}
    response = await client.get("/graphql", params=parameters, headers=PREFLIGHTED)

    assert (response.status_code, response.json()["data"]) == (200, {"__typename": "Query"})


async def test_one_of_several_operations_is_named(client: httpx2.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "query A { __typename } query B { __typename }"})

    assert (response.json().get("data"), codes(response)) == (None, ["BAD_REQUEST"])


async def test_a_page_of_another_origin_cannot_query_by_get(client: httpx2.AsyncClient) -> None:
    response = await client.get("/graphql", params={"query": NAMES})

    assert (response.status_code, codes(response)) == (400, ["BAD_REQUEST"])


@pytest.mark.parametrize("parameters", [{}, {"query": NAMES, "variables": "{"}, [("query", NAMES), ("query", NAMES)]])
async def test_a_malformed_query_string_is_a_bad_request(client: httpx2.AsyncClient, parameters: Any) -> None:
    response = await client.get("/graphql", params=parameters, headers=PREFLIGHTED)

    assert (response.status_code, codes(response)) == (400, ["BAD_REQUEST"])


@pytest.mark.parametrize("address", ["/graphql?query=%FF", "/graphql?query=%7B__typename%7D&variables=%ED%A0%80"])
async def test_an_address_that_is_not_utf_8_is_a_bad_request(client: httpx2.AsyncClient, address: str) -> None:
    response = await client.get(address, headers=PREFLIGHTED)

    assert (response.status_code, codes(response)) == (400, ["BAD_REQUEST"])


async def test_there_are_no_redirects(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/graphql/")).status_code == 404


async def test_an_api_key_is_a_token(client: httpx2.AsyncClient, make: Builders) -> None:
    service = await make.service()
    secret = str(uuid4())
    await make.api_key(service, KeyType.TEST, secret=secret)

    token = f"a-name-{service.id}-{secret}"
    response = await post(
        client, {"query": f'{{ node(id: "{service.id}") {{ id }} }}'}, authorization=f"Bearer {token}"
    )

    assert response.json()["data"] == {"node": {"id": str(service.id)}}


async def test_a_program_of_the_platform_names_the_person_whom_it_asks_for(
    client: httpx2.AsyncClient, make: Builders
) -> None:
    service = await make.service()
    member = await make.member(service)
    claims = {"iss": "notify-admin", "iat": int(time.time())}
    token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key("test-admin-secret"))
    response = await post(
        client,
        {"query": f'{{ node(id: "{service.id}") {{ id }} }}'},
        authorization=f"Bearer {token}",
        x_notify_user_id=str(member.id),
    )

    assert response.json()["data"] == {"node": {"id": str(service.id)}}


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
@pytest.mark.parametrize(
    "authorization", ["Bearer x.y.z", "Bearer ", "Bearer", "Basic abc", "x", "Bearer " + "x" * 2000]
)
async def test_a_bad_token_is_answered_with_401(client: httpx2.AsyncClient, authorization: str, accept: str) -> None:
    response = await post(client, {"query": NAMES}, authorization=authorization, accept=accept)

    assert (response.status_code, codes(response)) == (401, ["UNAUTHENTICATED"])
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == f"{accept}; charset=utf-8"


async def test_two_tokens_are_one_too_many(client: httpx2.AsyncClient) -> None:
    headers = [("content-type", "application/json"), ("authorization", "Bearer a"), ("authorization", "Bearer b")]
    response = await client.post("/graphql", content=b'{"query": "{ __typename }"}', headers=headers)

    assert response.status_code == 400


async def test_answers_are_kept_by_nobody_and_have_an_id(client: httpx2.AsyncClient) -> None:
    response = await post(client)

    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert len(response.headers["x-request-id"]) == 32


async def test_an_answer_of_over_10_megabytes_is_an_error(
    client: httpx2.AsyncClient, make: Builders, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await make.service()
    secret = str(uuid4())
    await make.api_key(service, KeyType.TEST, secret=secret)
    monkeypatch.setattr(responses, "MAX_RESPONSE_BYTES", 200)
    query = "{ " + " ".join(f"a{number}: __typename" for number in range(20)) + " }"
    by_nobody = await post(client, {"query": query})
    by_a_plan = await post(client, {"query": query}, authorization=f"Bearer a-name-{service.id}-{secret}")

    for response in (by_nobody, by_a_plan):
        assert (response.status_code, response.json()) == (
            400,
            {
                "errors": [
                    {
                        "message": "The answer has over 200 bytes: ask for less at once.",
                        "extensions": {"code": "QUERY_TOO_COMPLEX"},
                    }
                ]
            },
        )


PAGE = "https://app.example.gov.uk"
ALLOWED = {
    "access-control-allow-origin": PAGE,
    "access-control-allow-methods": "GET, POST",
    "access-control-max-age": "600",
}


@pytest_asyncio.fixture
async def browser(settings: Settings, database: Database, store: Store) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server that listens, and lets pages of one other origin ask."""
    changed = settings.model_copy(update={"cors_origins": [PAGE], "environment": "production", "shutdown_notice": 0})
    async with (
        serve_settings(changed, database, store) as address,
        client_of(address) as client,
    ):
        yield client


async def test_a_page_of_a_configured_origin_may_ask(browser: httpx2.AsyncClient) -> None:
    wanted = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    before = await browser.options("/graphql", headers={"origin": PAGE} | wanted)
    then = await post(browser, origin=PAGE)

    assert before.status_code == 200
    assert {name: before.headers[name] for name in ALLOWED} == ALLOWED
    assert "authorization" in before.headers["access-control-allow-headers"].lower()
    assert (then.status_code, then.headers["access-control-allow-origin"]) == (200, PAGE)
    assert not [name for name in (*before.headers, *then.headers) if name == "access-control-allow-credentials"]


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"{PAGE}.evil.example", "http://app.example.gov.uk"]
)
async def test_a_page_of_another_origin_is_told_nothing(browser: httpx2.AsyncClient, origin: str) -> None:
    wanted = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    before = await browser.options("/graphql", headers={"origin": origin} | wanted)
    then = await post(browser, origin=origin)

    assert before.status_code == 400
    assert not [name for name in (*before.headers, *then.headers) if name == "access-control-allow-origin"]


async def test_every_answer_protects_browsers_and_names_no_server(browser: httpx2.AsyncClient) -> None:
    refused = await browser.get("/graphql")
    lost = await browser.get("/nowhere")
    for response in (await post(browser), refused, lost):
        assert "server" not in response.headers
        assert {name: response.headers[name] for name in app.SECURITY_HEADERS} == app.SECURITY_HEADERS
        assert response.headers["strict-transport-security"] == "max-age=31536000"

    assert (refused.status_code, lost.status_code) == (400, 404)


async def test_methods_are_told_to_whoever_asks_for_them(browser: httpx2.AsyncClient) -> None:
    options = await browser.options("/graphql")
    head = await browser.head("/graphql")
    slash = await browser.post("/graphql/", json={"query": NAMES})

    assert (options.status_code, options.headers["allow"], options.content) == (200, "GET, POST, OPTIONS", b"")
    assert (head.status_code, head.headers["allow"], head.content) == (405, "GET, POST", b"")
    assert (slash.status_code, codes(slash)) == (404, ["NOT_FOUND"])


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"content-type": "text/plain"}, 415, "The body must be application/json, in UTF-8."),
        ({"content-type": "application/json; charset=utf-16"}, 415, "The body must be application/json, in UTF-8."),
        ({"content-encoding": "gzip"}, 415, "The body must not be compressed."),
        ({"content-encoding": "br, identity"}, 415, "The body must not be compressed."),
        (
            {"accept": "image/png"},
            406,
            "This API answers in application/graphql-response+json, application/json or text/event-stream.",
        ),
    ],
)
async def test_what_is_wrong_with_a_request_is_one_sentence(
    browser: httpx2.AsyncClient, headers: dict[str, str], status: int, message: str
) -> None:
    response = await post(browser, **{name.replace("-", "_"): value for name, value in headers.items()})

    assert response.status_code == status
    assert response.json() == {"errors": [{"message": message, "extensions": {"code": "BAD_REQUEST"}}]}
