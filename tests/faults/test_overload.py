"""Overload: accepted requests stay fast, and the rest is rejected at once."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from benchmarks import databases, measurements, scenarios
from benchmarks.clients import Client, post
from tests.cluster.servers import ServerProcess, running_server
from tests.faults.load_generators import generate_load, percentile

pytestmark = pytest.mark.timeout(300)

MESSAGES = 20_000
PLANNED_SCENARIO = "dashboard"
"""A document that the planner executes: most of the work is PostgreSQL's, which shares its core with the load."""
UNPLANNED_DOCUMENT = """query ($id: ID!) { viewer { __typename } service(id: $id) {
  name templates(first: 10) { nodes { id name channel updatedAt } } members(first: 5) { nodes { user { name } } } } }"""
"""A document that graphql-core executes: most of the work is the server's."""
SECONDS = 4.0
CONNECTIONS = 400
UNBOUNDED_SERVER = """
from graphql_api.commands import cli
from graphql_api.limits import load_shedding
load_shedding.LoadShedder.is_full = lambda *_: False
cli.main(["serve"])
"""
"""A server without load shedding."""


Environment = tuple[Mapping[str, str], databases.Parameters]


@pytest.fixture(scope="module")
def database_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """A PostgreSQL with the data of the benchmark, on this process's cores: its environment and parameters."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, OTHER_CORES)
    with databases.running(tmp_path_factory.mktemp("overload"), MESSAGES) as (_, environment, parameters):
        yield environment, parameters
    os.sched_setaffinity(0, cores)


CORES = sorted(os.sched_getaffinity(0))
OTHER_CORES = set(CORES[1:]) or set(CORES)
"""The server runs on the first core, PostgreSQL and the load on the others."""


@pytest_asyncio.fixture
async def server(
    database_environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[ServerProcess]:
    """A server on its own core."""
    environment, _ = database_environment
    pin = functools.partial(os.sched_setaffinity, 0, {CORES[0]})
    async with running_server(environment, tmp_path, *getattr(request, "param", ()), preexec=pin) as server:
        yield server


@pytest.fixture
def ask(database_environment: Environment) -> Callable[[str], bytes]:
    """A function that returns the bytes of a request."""
    _, parameters = database_environment
    headers = {"authorization": f"Bearer {parameters.token}"}

    def build_request(document: str) -> bytes:
        if document == UNPLANNED_DOCUMENT:
            body = {"query": document, "variables": {"id": parameters.service_id}}
            return post("/graphql", json.dumps(body).encode(), headers)
        (scenario,) = [scenario for scenario in scenarios.all_scenarios(parameters, {}) if scenario.name == document]
        make = scenario.request(scenarios.OURS, "/graphql", headers)
        assert make is not None
        return make()

    return build_request


def capacity(port: int, request: bytes, seconds: float = 2.0) -> float:
    """Responses a second over sixteen connections, each of which waits for its response."""
    with Client(port, 16) as client:
        return client.run(lambda: request, seconds=seconds).rate


def processor_time(pid: int, port: int, request: bytes) -> float:
    """CPU seconds of the server per response, which do not depend on the load of the machine."""
    with Client(port, 16) as client:
        client.run(lambda: request, seconds=0.5)
        before = measurements.cpu_seconds(pid)
        slice_ = client.run(lambda: request, seconds=3)
        return (measurements.cpu_seconds(pid) - before) / len(slice_.latencies)


@pytest.mark.parametrize(
    ("document", "factor", "min_share"),
    [
        (PLANNED_SCENARIO, 2, 0.7),
        (UNPLANNED_DOCUMENT, 2, 0.85),
        (UNPLANNED_DOCUMENT, 5, 0.85),
        (UNPLANNED_DOCUMENT, 10, 0.85),
    ],
)
async def test_accepted_requests_stay_fast_and_the_rest_is_rejected_at_once(
    server: ServerProcess, ask: Callable[[str], bytes], document: str, factor: int, min_share: float
) -> None:
    request = ask(document)
    pid = server.process.pid
    await asyncio.to_thread(capacity, server.port, request)
    max_rate = await asyncio.to_thread(capacity, server.port, request)
    offer = functools.partial(generate_load, server.port, request, rate=factor * max_rate, connections=CONNECTIONS)
    await asyncio.to_thread(offer, seconds=1.0)
    before, used = measurements.resident_megabytes(pid), measurements.cpu_seconds(pid)
    result = await asyncio.to_thread(offer, seconds=SECONDS)
    used = measurements.cpu_seconds(pid) - used
    grown = measurements.resident_megabytes(pid) - before
    after = await recovery(server, request)
    cost = await asyncio.to_thread(processor_time, pid, server.port, request)
    share = len(result.ok_latencies) * cost / used

    print(  # noqa: T201 - figures to know
        f"{factor} x {max_rate:.0f}/s: {result}; {result.goodput / max_rate:.0%} of them, "
        f"{share:.0%} of the processor's time ({used / SECONDS:.0%} busy), {grown:+.1f} MB, again in {after:.2f} s"
    )
    assert result.other_count == 0
    assert percentile(result.ok_latencies, 99) < 0.3
    assert percentile(result.rejected_latencies, 50) < 0.05
    # The share of CPU time is low where PostgreSQL is the bottleneck, the goodput where other programs are busy.
    assert max(share, result.goodput / max_rate) > min_share
    assert grown < 10
    assert after < 2


@pytest.mark.parametrize("server", [("-c", UNBOUNDED_SERVER)], indirect=True)
async def test_the_same_load_slows_a_server_without_load_shedding(
    server: ServerProcess, ask: Callable[[str], bytes]
) -> None:
    request = ask(UNPLANNED_DOCUMENT)
    await asyncio.to_thread(capacity, server.port, request)
    max_rate = await asyncio.to_thread(capacity, server.port, request)
    result = await asyncio.to_thread(
        generate_load, server.port, request, rate=5 * max_rate, seconds=SECONDS, connections=CONNECTIONS
    )

    print(f"unbounded: {result}")  # noqa: T201 - a figure to know
    assert percentile(result.ok_latencies, 99) > 0.3


async def test_the_status_endpoints_respond_under_any_load(server: ServerProcess, ask: Callable[[str], bytes]) -> None:
    request = ask(UNPLANNED_DOCUMENT)
    max_rate = await asyncio.to_thread(capacity, server.port, request)
    load = asyncio.create_task(
        asyncio.to_thread(generate_load, server.port, request, rate=3 * max_rate, seconds=2.0, connections=CONNECTIONS)
    )
    await asyncio.sleep(0.5)
    async with httpx2.AsyncClient() as http:
        statuses = {path: (await http.get(server.url + path)).status_code for path in ("/_status", "/_status?simple")}
    result = await load

    assert statuses == {"/_status": 200, "/_status?simple": 200}
    assert len(result.rejected_latencies) > 0


async def recovery(server: ServerProcess, request: bytes) -> float:
    """Seconds until four connections get no rejection for a quarter of a second."""
    clock = asyncio.get_running_loop().time
    started_at = clock()
    while True:
        with await asyncio.to_thread(Client, server.port, 4) as client:
            slice_ = await asyncio.to_thread(client.run, lambda: request, seconds=0.25)
        if not slice_.failures:
            return clock() - started_at - 0.25
        assert clock() - started_at < 10
