"""Persisted documents, from outside: of a manifest, remembered by their hashes, by POST, GET, events and sockets."""

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

NAMES, OTHER, CHANGE = "{ __typename }", "{ other: __typename }", "mutation { __typename }"
COST = {"extensions": {"cost": {"requested": 1, "actual": 1}}}
ANSWER, OTHER_ANSWER = {"data": {"__typename": "Query"}, **COST}, {"data": {"other": "Query"}, **COST}
GRAPHQL = "application/graphql-response+json"
PREFLIGHTED = {"GraphQL-Require-Preflight": "1"}
ONLY = "This server answers persisted documents only: send `documentId`, and no `query`."

Serving = Callable[..., AbstractAsyncContextManager[httpx2.AsyncClient]]


def sha256(text: str) -> str:
    """The hash by which a text is known."""
    return hashlib.sha256(text.encode()).hexdigest()


def automatic(text: str) -> dict[str, Any]:
    """What asks for a text by its hash, as Apollo's clients do."""
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text)}}


def error(message: str, code: str = "BAD_REQUEST") -> dict[str, Any]:
    """An answer of one error."""
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
    path.write_text(json.dumps({"0d1f": NAMES, sha256(CHANGE): CHANGE}))
    return path


async def test_a_document_of_the_manifest_goes_by_every_name_that_clients_give_its_id(
    serving: Serving, manifest: Path
) -> None:
    bodies: list[dict[str, Any]] = [
        {"documentId": "0d1f"},
        {"documentId": f"sha256:{sha256(NAMES)}"},
        {"id": "0d1f", "query": None},
        {"doc_id": "0d1f"},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0d1f"}}},
        {"extensions": automatic(NAMES)},
    ]
    async with serving(persisted_documents=manifest) as client:
        answers = [(await client.post("/graphql", json=body)).json() for body in bodies]
        got = await client.get("/graphql", params={"documentId": "0d1f"}, headers=PREFLIGHTED)

    assert answers == [ANSWER] * 6
    assert (got.status_code, got.json()) == (200, ANSWER)


async def test_an_id_that_the_manifest_has_not_is_not_found(serving: Serving, manifest: Path) -> None:
    async with serving(persisted_documents=manifest) as client:
        plain = await client.post("/graphql", json={"documentId": "0d20"})
        modern = await client.post("/graphql", json={"extensions": automatic(OTHER)}, headers={"accept": GRAPHQL})

    assert (plain.status_code, plain.json()) == (200, NOT_FOUND)
    assert (modern.status_code, modern.json()) == (400, NOT_FOUND)


@pytest.mark.parametrize(
    "body", [{"query": NAMES}, {"query": NAMES, "documentId": "0d1f"}, {"query": NAMES, "extensions": automatic(NAMES)}]
)
async def test_where_there_is_a_manifest_no_text_is_answered(
    serving: Serving, manifest: Path, body: dict[str, Any]
) -> None:
    async with serving(persisted_documents=manifest) as client:
        response = await client.post("/graphql", json=body, headers={"accept": GRAPHQL})

    assert (response.status_code, response.json()) == (400, error(ONLY))


async def test_a_text_is_answered_beside_a_manifest_by_a_setting(serving: Serving, manifest: Path) -> None:
    async with serving(persisted_documents=manifest, free_documents=True) as client:
        free = await client.post("/graphql", json={"query": OTHER})
        persisted = await client.post("/graphql", json={"documentId": "0d1f"})

    assert (free.json(), persisted.json()) == (OTHER_ANSWER, ANSWER)


async def test_a_mutation_goes_by_its_id_too_but_never_by_get(serving: Serving, manifest: Path) -> None:
    async with serving(persisted_documents=manifest) as client:
        posted = await client.post("/graphql", json={"documentId": sha256(CHANGE)})
        got = await client.get("/graphql", params={"documentId": sha256(CHANGE)}, headers=PREFLIGHTED)

    assert posted.json()["data"] == {"__typename": "Mutation"}
    assert (got.status_code, got.headers["allow"], got.json()) == (405, "POST", error("Send a mutation by POST."))


async def test_events_and_sockets_know_the_manifest(serving: Serving, manifest: Path) -> None:
    async with serving(persisted_documents=manifest) as client:
        events = await client.post("/graphql", json={"documentId": "0d1f"}, headers={"accept": "text/event-stream"})
        address = str(client.base_url).replace("http:", "ws:") + "/graphql"
        async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send('{"type": "connection_init"}')
            for number, payload in enumerate([{"documentId": "0d1f"}, {"documentId": "0d20"}, {"query": NAMES}]):
                await socket.send(json.dumps({"type": "subscribe", "id": str(number), "payload": payload}))
            heard = [json.loads(await socket.recv()) for _ in range(5)]

    answer = '{"data":{"__typename":"Query"},"extensions":{"cost":{"requested":1,"actual":1}}}'
    assert events.text == f"event: next\ndata: {answer}\n\nevent: complete\ndata:\n\n"
    assert heard[0] == {"type": "connection_ack"}
    assert sorted(heard[1:], key=lambda message: (message["id"], message["type"] == "complete")) == [
        {"type": "next", "id": "0", "payload": ANSWER},
        {"type": "complete", "id": "0"},
        {"type": "error", "id": "1", "payload": NOT_FOUND["errors"]},
        {"type": "error", "id": "2", "payload": error(ONLY)["errors"]},
    ]


async def test_a_text_that_was_sent_with_its_hash_is_remembered(serving: Serving) -> None:
    body = {"extensions": automatic(OTHER)}
    async with serving(automatic_documents=True) as client:
        before = await client.post("/graphql", json=body)
        sent = await client.post("/graphql", json=body | {"query": OTHER})
        after = await client.post("/graphql", json=body)
        by_get = await client.get(
            "/graphql", params={"extensions": json.dumps(body["extensions"])}, headers=PREFLIGHTED
        )

    assert [one.json() for one in (before, sent, after, by_get)] == [NOT_FOUND, *[OTHER_ANSWER] * 3]


async def test_what_comes_by_get_is_remembered_too(serving: Serving) -> None:
    extensions = json.dumps(automatic(OTHER))
    async with serving(automatic_documents=True) as client:
        sent = await client.get("/graphql", params={"query": OTHER, "extensions": extensions}, headers=PREFLIGHTED)
        after = await client.get("/graphql", params={"extensions": extensions}, headers=PREFLIGHTED)

    assert [one.json() for one in (sent, after)] == [OTHER_ANSWER, OTHER_ANSWER]


async def test_nothing_is_remembered_by_the_hash_of_something_else(serving: Serving) -> None:
    async with serving(automatic_documents=True) as client:
        sent = await client.post("/graphql", json={"query": OTHER, "extensions": automatic(NAMES)})
        after = await client.post("/graphql", json={"extensions": automatic(NAMES)})

    assert (sent.status_code, sent.json()) == (400, error("`sha256Hash` is not the hash of `query`."))
    assert after.json() == NOT_FOUND


async def test_a_server_that_remembers_nothing_says_so_once_and_takes_the_text(serving: Serving) -> None:
    body = {"extensions": automatic(NAMES)}
    async with serving() as client:
        first = await client.post("/graphql", json=body)
        then = await client.post("/graphql", json=body | {"query": NAMES})

    assert (first.json(), then.json()) == (NOT_SUPPORTED, ANSWER)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"documentId": 1}, "The id of a document must be a text."),
        ({"documentId": ["0d1f"]}, "The id of a document must be a text."),
        ({"documentId": ""}, ONLY),
        ({}, ONLY),
        ({"extensions": {"persistedQuery": 1}}, "`persistedQuery` must be an object of version 1 with a `sha256Hash`."),
        (
            {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": "0d1f"}}},
            "`persistedQuery` must be an object of version 1 with a `sha256Hash`.",
        ),
        ({"extensions": {"persistedQuery": {"version": 1}}}, ONLY),
        ({"documentId": "0d1f", "variables": []}, "`variables` must be an object or null."),
    ],
)
async def test_a_malformed_id_is_a_bad_request(
    serving: Serving, manifest: Path, body: dict[str, Any], message: str
) -> None:
    async with serving(persisted_documents=manifest) as client:
        response = await client.post("/graphql", json=body)

    assert (response.status_code, response.json()) == (400, error(message))


def test_the_memory_for_texts_is_bounded_and_the_latest_asked_for_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted_documents, "MAX_REGISTERED_BYTES", 1_500)
    persisted = PersistedDocuments({}, automatic=True)
    texts = [f"{{ a{number}: __typename }} #{'x' * 300}" for number in range(3)]
    for text in texts[:2]:
        persisted.resolve({"query": text, "extensions": automatic(text)})
    persisted.resolve({"extensions": automatic(texts[0])})
    persisted.resolve({"query": texts[2], "extensions": automatic(texts[2])})

    assert [persisted.resolve({"extensions": automatic(text)}) for text in (texts[0], texts[2])] == [texts[0], texts[2]]
    with pytest.raises(OperationNotExecuted, match="PersistedQueryNotFound"):
        persisted.resolve({"extensions": automatic(texts[1])})


def test_texts_that_are_short_take_no_more_memory_than_long_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted_documents, "MAX_REGISTERED_BYTES", 1_000_000)
    persisted = PersistedDocuments({}, automatic=True)
    tracemalloc.start()
    for number in range(10_000):
        text = f"{{ a{number} }}"
        persisted.resolve({"query": text, "extensions": automatic(text)})
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 800_000 < held < 1_200_000


def test_a_folder_holds_the_manifests_of_several_clients_or_releases(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text(json.dumps({"a": NAMES}))
    (tmp_path / "2.json").write_text(json.dumps({"a": NAMES, "b": OTHER}))
    operations = [{"id": "c", "name": "C", "type": "mutation", "body": CHANGE}]
    (tmp_path / "3.json").write_text(
        json.dumps({"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations})
    )

    assert persisted_documents.read_manifest(tmp_path) == {"a": NAMES, "b": OTHER, "c": CHANGE}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "is no JSON object of ids and their documents."),
        ("{", "is no JSON object of ids and their documents."),
        ('{"a": 1}', "is no JSON object of ids and their documents."),
        ("{}", "there is no document in"),
        ('{"a": "{ b }"}', "the id a means another document than before."),
    ],
)
def test_a_file_that_is_no_manifest_is_complained_of(tmp_path: Path, text: str, problem: str) -> None:
    if "another" in problem:
        (tmp_path / "0.json").write_text('{"a": "{ c }"}')
    (tmp_path / "1.json").write_text(text)

    with pytest.raises(ValueError, match=problem):
        persisted_documents.read_manifest(tmp_path)


def test_a_manifest_that_is_not_there_is_complained_of(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json cannot be read \(No such file or directory\)\.$"):
        persisted_documents.read_manifest(tmp_path / "none.json")


def test_settings_that_contradict_each_other_are_refused(settings: Settings, manifest: Path) -> None:
    for changes in (
        {"free_documents": False},
        {"persisted_documents": manifest, "automatic_documents": True},
        {"persisted_documents": manifest.with_name("missing.json")},
    ):
        with pytest.raises(ValueError, match="DOCUMENTS"):
            PersistedDocuments.from_settings(settings.model_copy(update=changes))
