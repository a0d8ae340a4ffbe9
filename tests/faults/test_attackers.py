"""Attackers that send rejected requests as fast as possible, beside a well-behaved client."""

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
from tests.cluster.servers import ROOT, running_server
from tests.faults.load_generators import HOST, percentile
from tests.worker.harnesses import WorkerHarness

pytestmark = pytest.mark.timeout(120)

DOCUMENT = "query ($id: ID!) { service(id: $id) { name templates(first: 10) { nodes { id name channel updatedAt } } } }"
SECONDS = 6.0
BURST_SECONDS = 4.0
"""Time in which the attackers use up their burst of points."""
PAUSE_SECONDS = 0.005
DOCUMENT_SECONDS = 0.025
"""Time in which any document is validated and rejected."""
UNLIMITED_SERVER = """
from graphql_api.commands import cli
from graphql_api.limits import rate_limiter
rate_limiter.RateLimiter.admit, rate_limiter.REJECTION_DELAY_SECONDS = lambda *_: None, 0
cli.main(["serve"])
"""
ATTACK = f"""
import itertools, json, os, sys
from benchmarks.clients import Client
from tests.http.probes import PROBES, body
from tests.limits.test_extension import HOSTILE
os.nice(5)
sent = [probe.sent for probe in PROBES if probe.name.startswith("document: ") and probe.status == 400]
sent += [body(json.dumps({{"query": document}}).encode()) for document in HOSTILE.values()]
requests = itertools.cycle(request.replace(b"Authorization: Bearer <token>\\r\\n", b"") for request in sent)
with Client(int(sys.argv[1]), 8) as client:
    print("started", flush=True)
    result = client.run(lambda: next(requests), seconds={SECONDS + BURST_SECONDS + 1})
    print((len(result.latencies) + result.failures) / result.seconds)
"""


@asynccontextmanager
async def run_attackers(port: int) -> AsyncIterator[list[float]]:
    """Run eight connections that send every rejected document in turn; the list gets their rate a second at the end."""
    attackers = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ATTACK, str(port), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert attackers.stdout is not None
    assert await attackers.stdout.readline() == b"started\n"
    await asyncio.sleep(BURST_SECONDS)
    rate: list[float] = []
    yield rate
    rate.append(float(await attackers.stdout.readline()))
    assert await attackers.wait() == 0


def send_with_pauses(port: int, request: bytes, seconds: float) -> list[float]:
    """Send requests on one connection, with pauses, and expect data; returns the latencies in seconds."""
    latencies = []
    with socket.create_connection((HOST, port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        until = time.perf_counter() + seconds
        while (started_at := time.perf_counter()) < until:
            connection.sendall(request)
            head, _, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
            while len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
                body += connection.recv(1 << 16)
            latencies.append(time.perf_counter() - started_at)
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b'"errors"' not in body
            time.sleep(PAUSE_SECONDS)
    return latencies


async def measure_latencies(harness: WorkerHarness, logs: Path, *program: str) -> tuple[float, float]:
    """The 99th percentile of latencies in seconds, before and during an attack."""
    service = await harness.make.service(rate_limit=1_000_000)
    await harness.make.template(service)
    bearer = {"authorization": f"Bearer {api_key_token(await harness.make.api_key(service), harness.signer)}"}
    body = json.dumps({"query": DOCUMENT, "variables": {"id": str(service.id)}}).encode()
    request = post("/graphql", body, bearer)
    # Without PROXIES, local addresses count as clients and not as a load balancer of many clients.
    environment = {**harness.process_environment(), "POINTS_PER_MINUTE": "3000", "PROXIES": "[]"}
    async with running_server(environment, logs, *program) as server:
        await asyncio.to_thread(send_with_pauses, server.port, request, 2)
        quiet = await asyncio.to_thread(send_with_pauses, server.port, request, SECONDS)
        async with run_attackers(server.port) as rate:
            under_attack = await asyncio.to_thread(send_with_pauses, server.port, request, SECONDS)

    print(  # noqa: T201 - figures to know
        f"quiet: p50 {percentile(quiet, 50) * 1e3:.2f}, p99 {percentile(quiet, 99) * 1e3:.2f} ms; "
        f"beside {rate[0]:.0f} rejected a second: p50 {percentile(under_attack, 50) * 1e3:.2f}, "
        f"p99 {percentile(under_attack, 99) * 1e3:.2f} ms, of {len(under_attack)}"
    )
    return percentile(quiet, 99), percentile(under_attack, 99)


async def test_eight_attackers_hardly_slow_a_well_behaved_client(harness: WorkerHarness, tmp_path: Path) -> None:
    quiet, under_attack = await measure_latencies(harness, tmp_path)

    # The second bound is for machines where a response is faster than the validation of one document.
    assert under_attack <= max(3 * quiet, DOCUMENT_SECONDS)


async def test_the_same_attack_slows_a_server_without_limits(harness: WorkerHarness, tmp_path: Path) -> None:
    _, under_attack = await measure_latencies(harness, tmp_path, "-c", UNLIMITED_SERVER)

    assert under_attack > 2 * DOCUMENT_SECONDS
