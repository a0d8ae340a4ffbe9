"""Points: what operations cost, how callers spend them, and what happens when they are spent."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
import strawberry
from graphql import DocumentNode
from pydantic import SecretStr

from graphql_api import app
from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.auth.crypto import Signer
from graphql_api.context import Context
from graphql_api.database.database import Database
from graphql_api.domain import sessions
from graphql_api.enums import KeyType
from graphql_api.errors import TooManyRequests
from graphql_api.gateways.object_store import Store
from graphql_api.http.requests import client_address
from graphql_api.limits import extension, lexer, points, redis_buckets
from graphql_api.limits import rate_limiter as rates_module
from graphql_api.limits.buckets import Bucket, MemoryBuckets
from graphql_api.limits.extension import LimitsExtension
from graphql_api.limits.rate_limiter import RateLimiter
from graphql_api.limits.redis_buckets import RedisBuckets
from graphql_api.limits.redis_buckets import connect as connect_redis
from graphql_api.observability import error_masking
from graphql_api.settings import Settings
from tests.app_server import serve_settings
from tests.builders import Builders
from tests.waiting import attempts
from tests.websocket_client import connection_init, receive_message, send_messages, subscribe
from tests.websocket_client import open_websocket as socket_of

PERSON = Actor(ActorKind.PERSON, user_id=uuid4())
BUCKET = Bucket("somebody", 60, 21)


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing flow into the buckets of this process, however long a test takes."""
    now = time.monotonic()
    monkeypatch.setattr(rates_module, "time", SimpleNamespace(monotonic=lambda: now, time=time.time))


def test_a_bucket_holds_a_third_of_a_minutes_points_and_fills_again() -> None:
    buckets = MemoryBuckets()

    assert buckets.take(BUCKET, 20, now=0) == 1
    assert buckets.take(BUCKET, 1, now=0) == 0
    assert buckets.take(BUCKET, 1, now=0) == -1
    assert buckets.take(BUCKET, 1, now=0.5) == -0.5
    assert buckets.take(BUCKET, 1, now=1) == 0
    assert buckets.take(BUCKET, 21, now=1_000) == 0
    assert buckets.take(BUCKET, -5, now=1_000) == 5
    assert buckets.take(BUCKET, -50, now=1_000) == 21


def test_what_costs_more_than_a_bucket_holds_waits_for_a_full_one_and_is_paid_off() -> None:
    buckets = MemoryBuckets()

    assert buckets.take(BUCKET, 50, now=0) == -29
    assert buckets.take(BUCKET, 1, now=29) == -1
    assert buckets.take(BUCKET, 1, now=30) == 0


def test_the_buckets_that_are_kept_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphql_api.limits.buckets.MAX_BUCKETS", 3)
    buckets = MemoryBuckets()
    for number in range(10):
        buckets.take(BUCKET._replace(key=number), 1, now=0)

    assert len(buckets) == 3


async def test_each_person_has_a_bucket_and_keys_of_one_type_share_one() -> None:
    rates = RateLimiter(3)  # of which two may be spent at once
    service, other = uuid4(), uuid4()
    live = Actor(ActorKind.KEY, api_key_id=uuid4(), key_type=KeyType.LIVE, permissions={service: frozenset()})
    live_too = Actor(ActorKind.KEY, api_key_id=uuid4(), key_type=KeyType.LIVE, permissions={service: frozenset()})
    test = Actor(ActorKind.KEY, api_key_id=uuid4(), key_type=KeyType.TEST, permissions={service: frozenset()})
    elsewhere = Actor(ActorKind.KEY, api_key_id=uuid4(), key_type=KeyType.LIVE, permissions={other: frozenset()})

    await rates.reserve(live, 1)
    await rates.reserve(live_too, 1)
    with pytest.raises(TooManyRequests) as refused:
        await rates.reserve(live, 1)
    for fresh in (test, elsewhere, PERSON, Actor(ActorKind.PERSON, user_id=uuid4())):
        await rates.reserve(fresh, 2)

    assert refused.value.extensions == {"code": "RATE_LIMITED", "retryAfterSeconds": 20}
    assert await rates.reserve(Actor.anonymous(), 1_000) is None  # over no network
    assert await rates.reserve(Actor.system(), 1_000) is None


async def test_a_key_may_spend_no_less_than_its_service_may_send() -> None:
    fast = Actor(
        ActorKind.KEY,
        api_key_id=uuid4(),
        key_type=KeyType.LIVE,
        permissions={uuid4(): frozenset()},
        messages_per_minute=60_000,
    )
    slow = Actor(
        ActorKind.KEY,
        api_key_id=uuid4(),
        key_type=KeyType.LIVE,
        permissions={uuid4(): frozenset()},
        messages_per_minute=10,
    )

    assert [RateLimiter(3_000).bucket_for(one) for one in (fast, slow)] == [
        Bucket((fast.key_service_id, KeyType.LIVE), 60_000, 1_000),
        Bucket((slow.key_service_id, KeyType.LIVE), 3_000, 1_000),
    ]
    assert RateLimiter(0).bucket_for(fast) is None


class Desk:
    """Somebody at a server whose callers have 60 points a minute, 21 of them at once."""

    def __init__(self, client: httpx2.AsyncClient, token: str) -> None:
        self.client = client
        self.token = token

    async def ask(self, query: str, **variables: object) -> httpx2.Response:
        body = {"query": query, "variables": variables}
        return await self.client.post("/graphql", json=body, headers={"authorization": f"Bearer {self.token}"})

    async def costs(self, query: str, **variables: object) -> tuple[int, int]:
        cost = (await self.ask(query, **variables)).json()["extensions"]["cost"]
        return cost["requested"], cost["actual"]

    async def remaining(self) -> int:
        return int((await self.ask("{ rateLimit { remaining } }")).json()["data"]["rateLimit"]["remaining"])


async def token_of(make: Builders) -> str:
    """A new key of a service that may send a message a minute."""
    secret, service = str(uuid4()), await make.service(rate_limit=1)
    await make.api_key(service, secret=secret)
    return f"key-{service.id}-{secret}"


@asynccontextmanager
async def desk_of(
    settings: Settings, database: Database, store: Store, make: Builders, rate: int
) -> AsyncIterator[Desk]:
    token = await token_of(make)
    limited = settings.model_copy(update={"points_per_minute": rate})
    application = app.create(limited, database=database, store=store)
    transport = httpx2.ASGITransport(application)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield Desk(client, token)


@pytest_asyncio.fixture
async def desk(settings: Settings, database: Database, store: Store, make: Builders) -> AsyncIterator[Desk]:
    """With a key of a service."""
    async with desk_of(settings, database, store, make, 60) as desk:
        yield desk


PAGE = "query ($first: Int) { viewer { service { templates(first: $first) { nodes { id } } } } }"


async def test_a_point_is_a_hundred_objects_that_may_be_found(desk: Desk) -> None:
    small = "{ viewer { service { id } } }"

    assert await desk.costs(small) == (1, 1)
    assert await desk.costs("{ __typename }") == (1, 1)
    assert await desk.costs(PAGE, first=97) == (1, 1)  # and three objects around them
    assert await desk.costs(PAGE, first=98) == (2, 1)
    assert await desk.costs("{ viewer { nothing } }") == (1, 1)
    assert await desk.costs("{") == (1, 1)


async def test_what_was_not_found_is_given_back(desk: Desk) -> None:
    before = await desk.remaining()
    assert await desk.costs(PAGE.replace("{ id }", "{ id service { id } createdBy { id } }"), first=100) == (4, 1)

    assert await desk.remaining() in {before - 2, before - 1}


async def test_a_caller_learns_what_is_left(desk: Desk) -> None:
    answer = (await desk.ask("{ rateLimit { limit capacity cost remaining } }")).json()

    assert answer["data"] == {"rateLimit": {"limit": 60, "capacity": 21, "cost": 1, "remaining": 20}}


@pytest.mark.parametrize("query", ["{ viewer { service { id } } }", "{ rateLimit { cost } }", "{ nothing }", "{"])
async def test_who_has_spent_all_is_told_when_to_ask_again(desk: Desk, query: str) -> None:
    for _ in range(21):
        assert (await desk.ask("{ __typename }")).status_code == 200
    refused = await desk.ask(query)

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert refused.json()["errors"] == [
        {
            "message": "You ask too often. Wait 1 s, then ask again.",
            "extensions": {"code": "RATE_LIMITED", "retryAfterSeconds": 1},
        }
    ]
    assert "data" not in refused.json()


async def test_a_mutation_costs_five_points_and_one_that_sends_a_point(desk: Desk) -> None:
    send = "mutation ($input: SendNotificationsInput!) { sendNotifications(input: $input) { acceptedCount } }"
    items = [{"recipient": {"email": "somebody@example.gov.uk"}}]
    input_ = {"templateId": str(uuid4()), "items": items}

    assert await desk.costs('mutation { archiveTemplate(input: {templateId: "1"}) { template { id } } }') == (5, 5)
    assert await desk.costs(send, input=input_) == (1, 1)
    assert await desk.costs(send, input=input_ | {"items": items * 99}) == (1, 1)
    assert await desk.costs(send, input=input_ | {"items": items * 100}) == (2, 2)


async def test_people_unknown_at_one_address_share_a_bucket_of_their_own(
    settings: Settings, database: Database, store: Store, make: Builders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MIN_FAILURE_SECONDS", 0)
    sign_in = """mutation { signIn(input: {emailAddress: "a@example.gov.uk", password: "a guess"}) {
      userErrors { code } } }"""

    async def statuses(desk: Desk, told: str) -> list[int]:
        headers = {"x-forwarded-for": told}
        asked = [await desk.client.post("/graphql", json={"query": sign_in}, headers=headers) for _ in range(5)]
        return [one.status_code for one in asked]

    async with desk_of(settings, database, store, make, 60) as desk:  # to which this machine is a proxy
        assert await statuses(desk, "192.0.2.7") == [200, 200, 200, 200, 429]
        assert await statuses(desk, "192.0.2.9, 192.0.2.7, 10.0.0.1") == [429] * 5
        assert await statuses(desk, "192.0.2.8:4711") == [200, 200, 200, 200, 429]
        assert await statuses(desk, "") == [200] * 5
        assert await desk.remaining() == 20
    async with desk_of(settings.model_copy(update={"proxies": []}), database, store, make, 60) as desk:
        assert await statuses(desk, "192.0.2.7") == [200, 200, 200, 200, 429]
        assert await statuses(desk, "192.0.2.10") == [429] * 5


@pytest.mark.parametrize(
    ("peer", "told", "address"),
    [
        ("192.0.2.1", "192.0.2.7", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.9, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7:4711", "192.0.2.7"),
        ("::1", "[2001:db8::7]:443", "2001:db8::7"),
        ("::1", "[2001:db8::7]", "2001:db8::7"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "192.0.2.9, unknown", "unknown"),
        ("10.0.0.1", "10.0.0.2", ""),
        ("10.0.0.1", "", ""),
        ("", "", ""),
    ],
)
def test_only_proxies_are_believed_about_where_a_request_comes_from(peer: str, told: str, address: str) -> None:
    scope = {"client": (peer, 80) if peer else None}

    assert client_address(scope, {"x-forwarded-for": told}, Settings().is_proxy) == address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("no address", "no address"),
    ],
)
def test_an_address_is_as_much_of_it_as_tells_whose_it_is(address: str, network: str) -> None:
    assert RateLimiter(60).bucket_for(Actor.anonymous(address)) == Bucket(network, 60, 21)


async def test_a_socket_spends_from_the_same_bucket_and_nothing_more_of_it_is_read(
    settings: Settings, database: Database, store: Store, make: Builders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates_module, "time", time)
    token, read = await token_of(make), []

    def parsed(text: str, most: int) -> DocumentNode:
        read.append(text)
        return lexer.parse(text, most)

    monkeypatch.setattr(extension, "parse", parsed)
    limited = settings.model_copy(update={"points_per_minute": 6})
    documents = [f"{{ a{uuid4().hex}: __typename }}" for _ in range(4)]
    async with serve_settings(limited, database, store) as address, socket_of(address) as connection:
        await send_messages(connection, connection_init(token))
        await receive_message(connection)
        answers = []
        for document in documents:
            began = time.monotonic()
            await send_messages(connection, subscribe(document))
            answers.append(await receive_message(connection))
            if answers[-1]["type"] == "next":
                await receive_message(connection)
        took = time.monotonic() - began

    assert [answer["type"] for answer in answers] == ["next", "next", "next", "error"]
    (error,) = answers[-1]["payload"]
    assert error["extensions"]["code"] == "RATE_LIMITED"
    assert 1 <= error["extensions"]["retryAfterSeconds"] <= 10
    assert read == documents[:3]
    assert took >= rates_module.REJECTION_DELAY_SECONDS


LIMIT: ContextVar[asyncio.Timeout] = ContextVar("limit")


@strawberry.type
class Query:
    """What takes longer than it may."""

    @strawberry.field(metadata=points.weight(900))  # type: ignore[untyped-decorator]
    async def slow(self) -> str | None:
        LIMIT.get().reschedule(asyncio.get_running_loop().time())
        await asyncio.sleep(3_600)
        return None


async def test_what_times_out_costs_what_was_reserved(
    settings: Settings, database: Database, signer: Signer, store: Store
) -> None:
    schema, rates = error_masking.ErrorMaskingSchema(Query, extensions=[LimitsExtension]), RateLimiter(60)
    context = Context(PERSON, database, settings, signer, store, rates)

    async def ask() -> None:
        async with asyncio.timeout(None) as limit:
            LIMIT.set(limit)
            await schema.execute("{ slow }", context_value=context)

    with pytest.raises(TimeoutError):
        await ask()
    standing = await rates.reserve(PERSON, 0)

    assert standing is not None
    assert standing.remaining == 12


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Redis of its own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("There is no redis-server on this machine.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    for _ in attempts():
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                break
    yield f"redis://127.0.0.1:{port}/0", process
    process.kill()
    process.wait()


async def test_processes_share_the_buckets_of_a_redis(redis: tuple[str, subprocess.Popen[bytes]]) -> None:
    one, other = (RateLimiter(3, connect_redis(redis[0])) for _ in range(2))
    person = Actor(ActorKind.PERSON, user_id=uuid4())

    standing = await one.reserve(person, 2)
    with pytest.raises(TooManyRequests) as refused:
        await other.reserve(person, 1)
    await other.refund(standing, 1)
    await one.reserve(person, 1)

    assert standing is not None
    assert standing.remaining == 0
    assert refused.value.retry_after == 20
    for rates in (one, other):
        await rates.close()


async def test_a_bucket_in_redis_does_as_one_in_memory(redis: tuple[str, subprocess.Popen[bytes]]) -> None:
    shared, here = connect_redis(redis[0]), MemoryBuckets()
    bucket = Bucket(f"{uuid4()}", 1, 21)

    taken = [20, 1, 1, -5, 6, 5, 50, -100, 50, 1]
    assert [round(await shared.take(bucket, points)) for points in taken] == [
        round(here.take(bucket, points, now=0)) for points in taken
    ]
    await shared.close()


async def test_a_redis_that_is_away_is_asked_once(
    redis: tuple[str, subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    del redis
    assert (rates_module.REDIS_RETRY_SECONDS, redis_buckets.REDIS_TIMEOUT_SECONDS) == (1.0, 0.1)
    monkeypatch.setattr(rates_module, "REDIS_RETRY_SECONDS", 3_600)
    asked, take = [], RedisBuckets.take

    async def noted(self: RedisBuckets, bucket: Bucket, points: int) -> float:
        asked.append(points)
        return await take(self, bucket, points)

    monkeypatch.setattr(RedisBuckets, "take", noted)
    listener = socket.socket()  # it takes connections, and never says a word
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    for url in (f"redis://127.0.0.1:{listener.getsockname()[1]}", "redis://127.0.0.1:1"):
        rates = RateLimiter(3, connect_redis(url))
        await rates.reserve(PERSON, 1)
        await rates.reserve(PERSON, 1)
        with pytest.raises(TooManyRequests):
            await rates.reserve(PERSON, 1)
        await rates.close()
    listener.close()

    assert asked == [1, 1]


def test_a_server_counts_where_its_settings_say(settings: Settings) -> None:
    shared = RateLimiter.from_settings(settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1")}))

    assert isinstance(shared._redis_buckets, RedisBuckets)  # noqa: SLF001 - nothing is asked of it here
    assert RateLimiter.from_settings(settings)._redis_buckets is None  # noqa: SLF001
    assert Settings(environment="production").effective_points_per_minute == 3_000
