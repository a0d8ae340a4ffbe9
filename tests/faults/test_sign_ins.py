"""Sign-in attempts with wrong passwords: response times disclose nothing, and other requests are not delayed."""

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
ATTEMPTS, CONCURRENT_ATTEMPTS, ATTEMPTS_PER_ACCOUNT = 2_000, 8, 8
"""Half of the attempts have registered addresses; those for each account are too few to lock it."""
MAX_DIFFERENCE_SECONDS, MAX_DIFFERENCE_FRACTION = 0.002, 0.05


@pytest.fixture
def environment(harness: WorkerHarness) -> Mapping[str, str]:
    """Environment of a server."""
    return {**harness.process_environment(), "DATABASE_POOL_SIZE": "20"}


async def addresses(harness: WorkerHarness, count: int) -> list[str]:
    """Addresses of users with another password."""
    password = await crypto.hash_password("correct horse battery staple", for_notify=False)
    return [(await harness.make.user(password=password)).email_address for _ in range(count)]


async def attempt(http: httpx2.AsyncClient, address: str) -> tuple[bytes, float]:
    """The body of the response, and its latency in seconds."""
    started_at = time.perf_counter()
    payload = {"query": SIGN_IN, "variables": {"input": {"emailAddress": address, "password": "a guess of mine"}}}
    response = await http.post("/graphql", json=payload)
    return response.content, time.perf_counter() - started_at


async def test_two_thousand_attempts_do_not_distinguish_registered_addresses(
    harness: WorkerHarness, environment: Mapping[str, str]
) -> None:
    registered = itertools.cycle(await addresses(harness, ATTEMPTS // 2 // ATTEMPTS_PER_ACCOUNT))
    bodies, latencies = set(), {True: [0.0], False: [0.0]}
    async with running_server(environment, harness.settings.data_dir) as server, client(server) as http:
        for begin in range(0, ATTEMPTS, CONCURRENT_ATTEMPTS):
            # Alternates which kind is first.
            kinds = [number % 2 == begin // CONCURRENT_ATTEMPTS % 2 for number in range(CONCURRENT_ATTEMPTS)]
            batch = [
                next(registered) if is_registered else f"unknown.{begin}.{n}@example.gov.uk"
                for n, is_registered in enumerate(kinds)
            ]
            for is_registered, (body, seconds) in zip(
                kinds, await asyncio.gather(*(attempt(http, address) for address in batch)), strict=True
            ):
                bodies.add(body)
                latencies[is_registered].append(seconds)

    registered_median, unknown_median = statistics.median(latencies[True]), statistics.median(latencies[False])
    print(f"registered: {registered_median * 1e3:.2f} ms, unknown: {unknown_median * 1e3:.2f} ms")  # noqa: T201 - figures to know
    assert len(bodies) == 1
    assert b'"code":"CREDENTIALS_WRONG"' in bodies.pop()
    assert abs(registered_median - unknown_median) < min(
        MAX_DIFFERENCE_SECONDS, MAX_DIFFERENCE_FRACTION * unknown_median
    )


async def test_fifty_concurrent_attempts_delay_no_other_request(
    harness: WorkerHarness, environment: Mapping[str, str]
) -> None:
    waits = []
    async with running_server(environment, harness.settings.data_dir) as server, client(server) as http:
        attempts = [asyncio.create_task(attempt(http, address)) for address in await addresses(harness, 50)]
        while not all(task.done() for task in attempts):
            started_at = time.perf_counter()
            assert (await http.post("/graphql", json={"query": "{ __typename }"})).status_code == 200
            waits.append(time.perf_counter() - started_at)
            await asyncio.sleep(0.005)
        bodies = {body for body, _ in await asyncio.gather(*attempts)}

    print(f"others waited {statistics.median(waits) * 1e3:.1f} ms, {max(waits) * 1e3:.1f} at most")  # noqa: T201
    assert len(bodies) == 1
    assert statistics.median(waits) < 0.02


def client(server: ServerProcess) -> httpx2.AsyncClient:
    """A client with many connections."""
    return httpx2.AsyncClient(base_url=server.url, timeout=20, limits=httpx2.Limits(max_connections=100))
