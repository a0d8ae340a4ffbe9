"""Persisted documents over every transport: from a manifest, and registered by their hashes."""

import hashlib
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets import Subprotocol
from websockets.asyncio.client import connect

from graphql_api.database.database import Database
from graphql_api.gateways.object_store import Store
from graphql_api.http import persisted_documents
from graphql_api.http.persisted_documents import PersistedDocuments
from graphql_api.http.rejections import OperationNotExecuted
from graphql_api.settings import Settings
from tests.app_server import client_of, serve_settings

TYPENAME, OTHER, MUTATION = "{ __typename }", "{ other: __typename }", "mutation { __typename }"
COST = {"extensions": {"cost": {"requested": 1, "actual": 1}}}
RESPONSE, OTHER_RESPONSE = {"data": {"__typename": "Query"}, **COST}, {"data": {"other": "Query"}, **COST}
GRAPHQL = "application/graphql-response+json"
PREFLIGHT_HEADERS = {"GraphQL-Require-Preflight": "1"}
PERSISTED_ONLY = "This server accepts persisted documents only: send `documentId`, and no `query`."

Serving = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]


def sha256(text: str) -> str:
    """The id of a document by its hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def automatic(text: str) -> dict[str, Any]:
    """The `extensions` that request a document by its hash, as Apollo's clients send them."""
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}


def error(message: str, code: str = "BAD_REQUEST") -> dict[str, Any]:
    """A response of one error."""
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


NOT_FOUND = error("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
NOT_SUPPORTED = error("PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED")


@pytest.fixture
def serving(settings: Settings, database: Database, store: Store) -> Serving:
    """A client of a server that listens, with some settings changed."""

    @asynccontextmanager
    async def with_settings(**changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
        async with (
            serve_settings(settings.model_copy(update=changes), database, store) as address,
            client_of(address) as client,
        ):
            yield client

    return with_settings


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A manifest of two documents, one by an id of Relay's kind and one by its hash."""
    path = tmp_path / "persisted-documents.json"
    path.write_text(json.dumps({"0d1f": TYPENAME, sha256(MUTATION): MUTATION}))
    return path


async def test_a_document_of_the_manifest_is_found_by_every_name_of_its_id(serving: Serving, manifest: Path) -> None:
    bodies: list[dict[str, Any]] = [
        {"documentId": "0d1f"},
        {"documentId": f"sha256:{sha256(TYPENAME)}"},
        {"id": "0d1f", "query": None},
        {"doc_id": "0d1f"},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0d1f"}}},
        {"extensions": automatic(TYPENAME)},
    ]
    async with serving(persisted_documents=manifest) as client:
        responses = [(await client.post("/graphql", json=body)).json() for body in bodies]
        got = await client.get("/graphql", params={"documentId": "0d1f"}, headers=PREFLIGHT_HEADERS)

    assert responses == [RESPONSE] * 6
    assert (got.status_code, got.json()) == (200, RESPONSE)


async def test_an_id_that_is_not_in_the_manifest_is_not_found(serving: Serving, manifest: Path) -> None:
    async with serving(persisted_documents=manifest) as client:
        plain = await client.post("/graphql", json={"documentId": "0d20"})
        modern = await client.post("/graphql", json={"extensions": automatic(OTHER)}, headers={"accept": GRAPHQL})

    assert (plain.status_code, plain.json()) == (200, NOT_FOUND)
    assert (modern.status_code, modern.json()) == (400, NOT_FOUND)


@pytest.mark.parametrize(
    "body",
    [
        {"query": TYPENAME},
        {"query": TYPENAME, "documentId": "0d1f"},
        {"query": TYPENAME, "extensions": automatic(TYPENAME)},
    ],
)
async def test_a_manifest_excludes_other_documents(serving: Serving, manifest: Path, body: dict[str, Any]) -> None:
    async with serving(persisted_documents=manifest) as client:
        response = await client.post("/graphql", json=body, headers={"accept": GRAPHQL})

    assert (response.status_code, response.json()) == (400, error(PERSISTED_ONLY))


async def test_a_setting_allows_other_documents_beside_a_manifest(serving: Serving, manifest: Path) -> None:
    async with serving(persisted_documents=manifest, free_documents=True) as client:
        free = await client.post("/graphql", json={"query": OTHER})
        persisted = await client.post("/graphql", json={"documentId": "0d1f"})

    assert (free.json(), persisted.json()) == (OTHER_RESPONSE, RESPONSE)


async def test_a_mutation_may_be_persisted_but_not_sent_by_get(serving: Serving, manifest: Path) -> None:
    async with serving(persisted_documents=manifest) as client:
        posted = await client.post("/graphql", json={"documentId": sha256(MUTATION)})
        got = await client.get("/graphql", params={"documentId": sha256(MUTATION)}, headers=PREFLIGHT_HEADERS)

    assert posted.json()["data"] == {"__typename": "Mutation"}
    assert (got.status_code, got.headers["allow"], got.json()) == (405, "POST", error("Send a mutation by POST."))


async def test_event_streams_and_websockets_accept_persisted_documents(serving: Serving, manifest: Path) -> None:
    async with serving(persisted_documents=manifest) as client:
        events = await client.post("/graphql", json={"documentId": "0d1f"}, headers={"accept": "text/event-stream"})
        address = str(client.base_url).replace("http:", "ws:") + "/graphql"
        async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send('{"type": "connection_init"}')
            for number, payload in enumerate([{"documentId": "0d1f"}, {"documentId": "0d20"}, {"query": TYPENAME}]):
                await socket.send(json.dumps({"type": "subscribe", "id": str(number), "payload": payload}))
            messages = [json.loads(await socket.recv()) for _ in range(5)]

    answer = '{"data":{"__typename":"Query"},"extensions":{"cost":{"requested":1,"actual":1}}}'
    assert events.text == f"event: next\ndata: {answer}\n\nevent: complete\ndata:\n\n"
    assert messages[0] == {"type": "connection_ack"}
    assert sorted(messages[1:], key=lambda message: (message["id"], message["type"] == "complete")) == [
        {"type": "next", "id": "0", "payload": RESPONSE},
        {"type": "complete", "id": "0"},
        {"type": "error", "id": "1", "payload": NOT_FOUND["errors"]},
        {"type": "error", "id": "2", "payload": error(PERSISTED_ONLY)["errors"]},
    ]


async def test_a_document_sent_with_its_hash_is_registered(serving: Serving) -> None:
    body = {"extensions": automatic(OTHER)}
    async with serving(automatic_documents=True) as client:
        before = await client.post("/graphql", json=body)
        sent = await client.post("/graphql", json=body | {"query": OTHER})
        after = await client.post("/graphql", json=body)
        by_get = await client.get(
            "/graphql", params={"extensions": json.dumps(body["extensions"])}, headers=PREFLIGHT_HEADERS
        )

    assert [response.json() for response in (before, sent, after, by_get)] == [NOT_FOUND, *[OTHER_RESPONSE] * 3]


async def test_a_document_sent_by_get_is_registered_too(serving: Serving) -> None:
    extensions = json.dumps(automatic(OTHER))
    async with serving(automatic_documents=True) as client:
        sent = await client.get(
            "/graphql", params={"query": OTHER, "extensions": extensions}, headers=PREFLIGHT_HEADERS
        )
        after = await client.get("/graphql", params={"extensions": extensions}, headers=PREFLIGHT_HEADERS)

    assert [response.json() for response in (sent, after)] == [OTHER_RESPONSE, OTHER_RESPONSE]


async def test_a_document_is_not_registered_under_another_hash(serving: Serving) -> None:
    async with serving(automatic_documents=True) as client:
        sent = await client.post("/graphql", json={"query": OTHER, "extensions": automatic(TYPENAME)})
        after = await client.post("/graphql", json={"extensions": automatic(TYPENAME)})

    assert (sent.status_code, sent.json()) == (400, error("`sha256Hash` is not the hash of `query`."))
    assert after.json() == NOT_FOUND


async def test_without_automatic_documents_the_client_sends_the_whole_document(serving: Serving) -> None:
    body = {"extensions": automatic(TYPENAME)}
    async with serving() as client:
        first = await client.post("/graphql", json=body)
        then = await client.post("/graphql", json=body | {"query": TYPENAME})

    assert (first.json(), then.json()) == (NOT_SUPPORTED, RESPONSE)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"documentId": 1}, "The id of a document must be a string."),
        ({"documentId": ["0d1f"]}, "The id of a document must be a string."),
        ({"documentId": ""}, PERSISTED_ONLY),
        ({}, PERSISTED_ONLY),
        ({"extensions": {"persistedQuery": 1}}, "`persistedQuery` must be an object of version 1 with a `sha256Hash`."),
        (
            {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": "0d1f"}}},
            "`persistedQuery` must be an object of version 1 with a `sha256Hash`.",
        ),
        ({"extensions": {"persistedQuery": {"version": 1}}}, PERSISTED_ONLY),
        ({"documentId": "0d1f", "variables": []}, "`variables` must be an object or null."),
    ],
)
async def test_a_malformed_id_is_a_bad_request(
    serving: Serving, manifest: Path, body: dict[str, Any], message: str
) -> None:
    async with serving(persisted_documents=manifest) as client:
        response = await client.post("/graphql", json=body)

    assert (response.status_code, response.json()) == (400, error(message))


def test_registered_documents_are_evicted_least_recently_used_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted_documents, "MAX_REGISTERED_BYTES", 1_800)
    persisted = PersistedDocuments({}, automatic=True)
    texts = [f"{{ a{number}: __typename }} #{'x' * 300}" for number in range(3)]
    for text in texts[:2]:
        persisted.resolve({"query": text, "extensions": automatic(text)})
    persisted.resolve({"extensions": automatic(texts[0])})
    persisted.resolve({"query": texts[2], "extensions": automatic(texts[2])})

    assert [persisted.resolve({"extensions": automatic(text)}) for text in (texts[0], texts[2])] == [texts[0], texts[2]]
    with pytest.raises(OperationNotExecuted, match="PersistedQueryNotFound"):
        persisted.resolve({"extensions": automatic(texts[1])})


def test_short_documents_take_no_more_memory_than_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted_documents, "MAX_REGISTERED_BYTES", 1_000_000)
    persisted = PersistedDocuments({}, automatic=True)
    tracemalloc.start()
    for number in range(10_000):
        text = f"{{ a{number} }}"
        persisted.resolve({"query": text, "extensions": automatic(text)})
    allocated_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 800_000 < allocated_bytes < 1_200_000


def test_a_folder_holds_the_manifests_of_several_clients_or_releases(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text(json.dumps({"a": TYPENAME}))
    (tmp_path / "2.json").write_text(json.dumps({"a": TYPENAME, "b": OTHER}))
    operations = [{"id": "c", "name": "C", "type": "mutation", "body": MUTATION}]
    (tmp_path / "3.json").write_text(
        json.dumps({"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations})
    )

    assert persisted_documents.read_manifest(tmp_path) == {"a": TYPENAME, "b": OTHER, "c": MUTATION}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "is not a JSON object of ids and documents."),
        ("{", "is not a JSON object of ids and documents."),
        ('{"a": 1}', "is not a JSON object of ids and documents."),
        ("{}", "has no documents."),
        ('{"a": "{ b }"}', "has another document for the id a."),
    ],
)
def test_a_file_that_is_not_a_manifest_is_an_error(tmp_path: Path, text: str, problem: str) -> None:
    if "another" in problem:
        (tmp_path / "0.json").write_text('{"a": "{ c }"}')
    (tmp_path / "1.json").write_text(text)

    with pytest.raises(ValueError, match=problem):
        persisted_documents.read_manifest(tmp_path)


def test_a_missing_manifest_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json cannot be read \(No such file or directory\)\.$"):
        persisted_documents.read_manifest(tmp_path / "none.json")


def test_settings_that_contradict_each_other_are_errors(settings: Settings, manifest: Path) -> None:
    for changes in (
        {"free_documents": False},
        {"persisted_documents": manifest, "automatic_documents": True},
        {"persisted_documents": manifest.with_name("missing.json")},
    ):
        with pytest.raises(ValueError, match="DOCUMENTS"):
            PersistedDocuments.from_settings(settings.model_copy(update=changes))
