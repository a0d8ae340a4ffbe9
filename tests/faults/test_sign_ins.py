"""People who guess at sign-ins: they learn nothing from how long it takes, and slow nobody down."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Mapping

import httpx2
import pytest

from graphql_api.auth import crypto
from tests.cluster.servers import ServerProcess, running_server
from tests.worker.harnesses import WorkerHarness

pytestmark = pytest.mark.timeout(300)

SIGN_IN = """mutation ($input: SignInInput!) { signIn(input: $input) {
  challenge { token } userErrors { code path message } } }"""
TRIES, AT_ONCE, EACH = 2_000, 8, 8
"""Tries, half of them with addresses that are somebody's; so many at once; and of each account, fewer than lock it."""
SECONDS, SHARE = 0.002, 0.05


@pytest.fixture
def environment(harness: WorkerHarness) -> Mapping[str, str]:
    """What a server is told: all guess from one address here, as nobody could."""
    return {**harness.process_environment(), "DATABASE_POOL_SIZE": "20"}


async def addresses(harness: WorkerHarness, count: int) -> list[str]:
    """Addresses of people whose password is another."""
    password = await crypto.hash_password("correct horse battery staple", for_notify=False)
    return [(await harness.make.user(password=password)).email_address for _ in range(count)]


async def guess(http: httpx2.AsyncClient, address: str) -> tuple[bytes, float]:
    """The answer without the id of the request, and how long it took."""
    began = time.perf_counter()
    asked = {"query": SIGN_IN, "variables": {"input": {"emailAddress": address, "password": "a guess of mine"}}}
    response = await http.post("/graphql", json=asked)
    return response.content, time.perf_counter() - began


async def test_two_thousand_attempts_do_not_distinguish_registered_addresses(
    harness: WorkerHarness, environment: Mapping[str, str]
) -> None:
    known = itertools.cycle(await addresses(harness, TRIES // 2 // EACH))
    bodies, taken = set(), {True: [0.0], False: [0.0]}
    async with running_server(environment, harness.settings.data_dir) as served, client(served) as http:
        for begin in range(0, TRIES, AT_ONCE):
            turns = [number % 2 == begin // AT_ONCE % 2 for number in range(AT_ONCE)]  # each kind is first in turn
            asked = [next(known) if there else f"nobody.{begin}.{n}@example.gov.uk" for n, there in enumerate(turns)]
            for there, (body, seconds) in zip(
                turns, await asyncio.gather(*(guess(http, one) for one in asked)), strict=True
            ):
                bodies.add(body)
                taken[there].append(seconds)

    of_somebody, of_nobody = statistics.median(taken[True]), statistics.median(taken[False])
    print(f"somebody's: {of_somebody * 1e3:.2f} ms, nobody's: {of_nobody * 1e3:.2f} ms")  # noqa: T201 - figures to know
    assert len(bodies) == 1
    assert b'"code":"CREDENTIALS_WRONG"' in bodies.pop()
    assert abs(of_somebody - of_nobody) < min(SECONDS, SHARE * of_nobody)


async def test_fifty_concurrent_attempts_delay_no_other_request(
    harness: WorkerHarness, environment: Mapping[str, str]
) -> None:
    waits = []
    async with running_server(environment, harness.settings.data_dir) as served, client(served) as http:
        guessing = [asyncio.create_task(guess(http, one)) for one in await addresses(harness, 50)]
        while not all(task.done() for task in guessing):
            began = time.perf_counter()
            assert (await http.post("/graphql", json={"query": "{ __typename }"})).status_code == 200
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.005)
        bodies = {body for body, _ in await asyncio.gather(*guessing)}

    print(f"others waited {statistics.median(waits) * 1e3:.1f} ms, {max(waits) * 1e3:.1f} at most")  # noqa: T201
    assert len(bodies) == 1
    assert statistics.median(waits) < 0.02


def client(served: ServerProcess) -> httpx2.AsyncClient:
    """A client of many connections."""
    return httpx2.AsyncClient(base_url=served.url, timeout=20, limits=httpx2.Limits(max_connections=100))
