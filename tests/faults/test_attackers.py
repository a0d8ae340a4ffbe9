"""People who send what is refused, as fast as it is refused: whoever asks well beside them hardly notices."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.clients import post
from tests.cluster.clients import api_key_token
from tests.faults.load_generators import HOST, percentile
from tests.faults.servers import ROOT, running_server
from tests.worker.harnesses import WorkerHarness

pytestmark = pytest.mark.timeout(120)

QUESTION = "query ($id: ID!) { service(id: $id) { name templates(first: 10) { nodes { id name channel updatedAt } } } }"
SECONDS = 6.0
BURST = 4.0
"""Seconds within which the attackers have spent what they may spend at once."""
PACE = 0.005
ONE_DOCUMENT = 0.025
"""Seconds in which any document is read and refused."""
READS_ALL = """
from graphql_api.commands import cli
from graphql_api.limits import rate_limiter
rate_limiter.RateLimiter.admit, rate_limiter.REJECTION_DELAY_SECONDS = lambda *_: None, 0
cli.main(["serve"])
"""
ATTACK = f"""
import itertools, json, os, sys
from benchmarks.clients import Client
from tests.http.probes import PROBES
from tests.http.probes.requests import body
from tests.limits.test_extension import HOSTILE
os.nice(5)
sent = [probe.request for probe in PROBES if probe.name.startswith("document: ") and probe.status == 400]
sent += [body(json.dumps({{"query": document}}).encode()) for document in HOSTILE.values()]
turn = itertools.cycle(one.replace(b"Authorization: Bearer <token>\\r\\n", b"") for one in sent)
with Client(int(sys.argv[1]), 8) as client:
    print("begun", flush=True)
    found = client.run(lambda: next(turn), seconds={SECONDS + BURST + 1})
    print((len(found.latencies) + found.failures) / found.seconds)
"""


@asynccontextmanager
async def attacked(port: int) -> AsyncIterator[list[float]]:
    """Eight connections that send, one after the other, all documents that are refused; then how many in a second."""
    attackers = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ATTACK, str(port), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert attackers.stdout is not None
    assert await attackers.stdout.readline() == b"begun\n"
    await asyncio.sleep(BURST)
    rate: list[float] = []
    yield rate
    rate.append(float(await attackers.stdout.readline()))
    assert await attackers.wait() == 0


def ask_calmly(port: int, request: bytes, seconds: float) -> list[float]:
    """Ask on one connection, with a pause after each answer, which must be a good one; how long each took."""
    taken = []
    with socket.create_connection((HOST, port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        until = time.perf_counter() + seconds
        while (began := time.perf_counter()) < until:
            connection.sendall(request)
            head, _, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
            while len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
                body += connection.recv(1 << 16)
            taken.append(time.perf_counter() - began)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b'"errors"' not in body
            time.sleep(PACE)
    return taken


async def quiet_and_beside(rig: WorkerHarness, logs: Path, *program: str) -> tuple[float, float]:
    """The seconds within which 99 of 100 answers come, before and beside an attack."""
    service = await rig.make.service(rate_limit=1_000_000)
    await rig.make.template(service)
    bearer = {"authorization": f"Bearer {api_key_token(await rig.make.api_key(service), rig.signer)}"}
    body = json.dumps({"query": QUESTION, "variables": {"id": str(service.id)}}).encode()
    request = post("/graphql", body, bearer)
    # Clients of this machine are taken for those of a balancer, which speaks for many, unless there are none.
    environment = {**rig.process_environment(), "POINTS_PER_MINUTE": "3000", "PROXIES": "[]"}
    async with running_server(environment, logs, *program) as served:
        await asyncio.to_thread(ask_calmly, served.port, request, 2)
        quiet = await asyncio.to_thread(ask_calmly, served.port, request, SECONDS)
        async with attacked(served.port) as rate:
            beside = await asyncio.to_thread(ask_calmly, served.port, request, SECONDS)

    print(  # noqa: T201 - figures to know
        f"quiet: p50 {percentile(quiet, 50) * 1e3:.2f}, p99 {percentile(quiet, 99) * 1e3:.2f} ms; "
        f"beside {rate[0]:.0f} refused a "
        f"second: p50 {percentile(beside, 50) * 1e3:.2f}, p99 {percentile(beside, 99) * 1e3:.2f} ms, of {len(beside)}"
    )
    return percentile(quiet, 99), percentile(beside, 99)


async def test_who_asks_well_hardly_notices_eight_who_are_refused(harness: WorkerHarness, tmp_path: Path) -> None:
    quiet, beside = await quiet_and_beside(harness, tmp_path)

    # The other bound is for machines where a quiet answer comes sooner than any one document can be read.
    assert beside <= max(3 * quiet, ONE_DOCUMENT)


async def test_the_same_attack_catches_a_server_that_reads_whatever_it_is_sent(
    harness: WorkerHarness, tmp_path: Path
) -> None:
    _, beside = await quiet_and_beside(harness, tmp_path, "-c", READS_ALL)

    assert beside > 2 * ONE_DOCUMENT
