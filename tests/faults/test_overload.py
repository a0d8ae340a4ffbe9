"""More is asked than a server can answer: what it takes on stays quick, and the rest hears so at once."""

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
PLAN = "dashboard"
"""A question that the planner answers: PostgreSQL has most of the work, and loses to the load on the same core."""
RESOLVERS = """query ($id: ID!) { viewer { __typename } service(id: $id) {
  name templates(first: 10) { nodes { id name channel updatedAt } } members(first: 5) { nodes { user { name } } } } }"""
"""A question that graphql-core answers: the server has most of the work."""
SECONDS = 4.0
CONNECTIONS = 400
UNBOUNDED = """
from graphql_api.commands import cli
from graphql_api.limits import load_shedding
load_shedding.LoadShedder.is_full = lambda *_: False
cli.main(["serve"])
"""
"""A server that takes on whatever comes."""


World = tuple[Mapping[str, str], databases.Parameters]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A PostgreSQL with the benchmark's data, on this process's cores; the environment, and the facts."""
    with_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, OTHERS)
    with databases.running(tmp_path_factory.mktemp("overload"), MESSAGES) as (_, environment, facts):
        yield environment, facts
    os.sched_setaffinity(0, with_cores)


CORES = sorted(os.sched_getaffinity(0))
OTHERS = set(CORES[1:]) or set(CORES)
"""The server has the first core, PostgreSQL and the load have the others."""


@pytest_asyncio.fixture
async def server(world: World, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[ServerProcess]:
    """A server on a core of its own."""
    environment, _ = world
    pin = functools.partial(os.sched_setaffinity, 0, {CORES[0]})
    async with running_server(environment, tmp_path, *getattr(request, "param", ()), preexec=pin) as served:
        yield served


@pytest.fixture
def ask(world: World) -> Callable[[str], bytes]:
    """A question as it goes over the wire."""
    _, facts = world
    headers = {"authorization": f"Bearer {facts.token}"}

    def asked(question: str) -> bytes:
        if question == RESOLVERS:
            body = {"query": question, "variables": {"id": facts.service_id}}
            return post("/graphql", json.dumps(body).encode(), headers)
        (known,) = [one for one in scenarios.all_scenarios(facts, {}) if one.name == question]
        make = known.request(scenarios.OURS, "/graphql", headers)
        assert make is not None
        return make()

    return asked


def capacity(port: int, request: bytes, seconds: float = 2.0) -> float:
    """Answers a second with sixteen connections, each of which waits for its answer."""
    with Client(port, 16) as client:
        return client.run(lambda: request, seconds=seconds).rate


def processor_time(pid: int, port: int, request: bytes) -> float:
    """Seconds of a core that an answer costs the server, which is measured so that a busy machine changes nothing."""
    with Client(port, 16) as client:
        client.run(lambda: request, seconds=0.5)
        before = measurements.cpu_seconds(pid)
        slice_ = client.run(lambda: request, seconds=3)
        return (measurements.cpu_seconds(pid) - before) / len(slice_.latencies)


@pytest.mark.parametrize(
    ("question", "times", "least"),
    [(PLAN, 2, 0.7), (RESOLVERS, 2, 0.85), (RESOLVERS, 5, 0.85), (RESOLVERS, 10, 0.85)],
)
async def test_accepted_requests_stay_fast_and_the_rest_is_rejected_at_once(
    server: ServerProcess, ask: Callable[[str], bytes], question: str, times: int, least: float
) -> None:
    request = ask(question)
    pid = server.process.pid
    await asyncio.to_thread(capacity, server.port, request)
    most = await asyncio.to_thread(capacity, server.port, request)
    offer = functools.partial(generate_load, server.port, request, rate=times * most, connections=CONNECTIONS)
    await asyncio.to_thread(offer, seconds=1.0)
    before, used = measurements.resident_megabytes(pid), measurements.cpu_seconds(pid)
    found = await asyncio.to_thread(offer, seconds=SECONDS)
    used = measurements.cpu_seconds(pid) - used
    grown = measurements.resident_megabytes(pid) - before
    after = await recovery(server, request)
    cost = await asyncio.to_thread(processor_time, pid, server.port, request)
    share = len(found.ok_latencies) * cost / used

    print(  # noqa: T201 - figures to know
        f"{times} x {most:.0f}/s: {found}; {found.goodput / most:.0%} of them, {share:.0%} of the processor's time "
        f"({used / SECONDS:.0%} busy), {grown:+.1f} MB, again in {after:.2f} s"
    )
    assert found.other_count == 0
    assert percentile(found.ok_latencies, 99) < 0.3
    assert percentile(found.rejected_latencies, 50) < 0.05
    # The one is less than it was where other programs are busy, the other where PostgreSQL is what is slow.
    assert max(share, found.goodput / most) > least
    assert grown < 10
    assert after < 2


@pytest.mark.parametrize("server", [("-c", UNBOUNDED)], indirect=True)
async def test_the_same_load_slows_a_server_without_load_shedding(
    server: ServerProcess, ask: Callable[[str], bytes]
) -> None:
    request = ask(RESOLVERS)
    await asyncio.to_thread(capacity, server.port, request)
    most = await asyncio.to_thread(capacity, server.port, request)
    found = await asyncio.to_thread(
        generate_load, server.port, request, rate=5 * most, seconds=SECONDS, connections=CONNECTIONS
    )

    print(f"unbounded: {found}")  # noqa: T201 - a figure to know
    assert percentile(found.ok_latencies, 99) > 0.3


async def test_the_status_endpoints_respond_under_any_load(server: ServerProcess, ask: Callable[[str], bytes]) -> None:
    request = ask(RESOLVERS)
    most = await asyncio.to_thread(capacity, server.port, request)
    asking = asyncio.create_task(
        asyncio.to_thread(generate_load, server.port, request, rate=3 * most, seconds=2.0, connections=CONNECTIONS)
    )
    await asyncio.sleep(0.5)
    async with httpx2.AsyncClient() as http:
        seen = {path: (await http.get(server.url + path)).status_code for path in ("/_status", "/_status?simple")}
    found = await asking

    assert seen == {"/_status": 200, "/_status?simple": 200}
    assert len(found.rejected_latencies) > 0


async def recovery(served: ServerProcess, request: bytes) -> float:
    """Seconds until four connections are answered for half a second without a refusal."""
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        with await asyncio.to_thread(Client, served.port, 4) as client:
            slice_ = await asyncio.to_thread(client.run, lambda: request, seconds=0.25)
        if not slice_.failures:
            return clock() - began - 0.25
        assert clock() - began < 10
