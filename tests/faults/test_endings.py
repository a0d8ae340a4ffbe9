"""Shutdown of servers, slow and disconnected clients, and an exhausted connection pool."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from uuid import uuid4

import asyncpg
import httpx2
import pytest
import pytest_asyncio

from graphql_api import models
from graphql_api.auth import tokens
from graphql_api.domain import sessions
from tests.cluster.clients import api_key_token
from tests.cluster.clusters import HOST, free_port
from tests.cluster.servers import ServerProcess, running_server
from tests.websocket_client import (
    connection_init,
    open_websocket,
    receive_message,
    send_messages,
    subscribe,
    wait_for_close_code,
)
from tests.worker.harnesses import WorkerHarness, recipient_csv

pytestmark = pytest.mark.timeout(300)

HEALTH_CHECK_SECONDS = 0.1
"""Interval of the load balancer's health checks."""
SHUTDOWN_NOTICE_SECONDS = 1.5
CYCLES, RATE = 10, 100
DOCUMENT = "query ($id: ID!) { service(id: $id) { name templates(first: 5) { nodes { name } } } }"
UNPLANNED_DOCUMENT = DOCUMENT.replace("service(", "__schema { queryType { name } } service(", 1)
ABRUPT_SERVER = """
import signal
from graphql_api.commands import cli, serve
serve.DrainingServer.handle_exit = lambda self, *_: signal.raise_signal(signal.SIGKILL)
cli.main(["serve"])
"""
"""A server without graceful shutdown."""


@pytest_asyncio.fixture
async def key(harness: WorkerHarness) -> models.ApiKey:
    """An API key of a service with a template."""
    service = await harness.make.service()
    await harness.make.template(service)
    return await harness.make.api_key(service)


@pytest.fixture
def environment(harness: WorkerHarness) -> Mapping[str, str]:
    """Environment of a server."""
    return {**harness.process_environment(), "SHUTDOWN_NOTICE": str(SHUTDOWN_NOTICE_SECONDS)}


@pytest.fixture
def request_of(harness: WorkerHarness, key: models.ApiKey) -> bytes:
    """The bytes of a request."""
    return build_request(harness, key, DOCUMENT)


def build_request(harness: WorkerHarness, key: models.ApiKey, document: str) -> bytes:
    """The bytes of a request with a document about the key's service."""
    body = json.dumps({"query": document, "variables": {"id": str(key.service_id)}}).encode()
    return head(api_key_token(key, harness.signer), len(body)) + body


def head(bearer: str, length: int) -> bytes:
    """The head of a request with a body."""
    lines = ["POST /graphql HTTP/1.1", "Host: notify", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {bearer}", f"Content-Length: {length}", "", ""]
    return "\r\n".join(lines).encode()


class Balancer:
    """A load balancer: sends requests in turn to the servers that are ready, over persistent connections."""

    def __init__(self) -> None:
        self.ready: dict[int, httpx2.AsyncClient] = {}
        self._turn = 0

    async def watch(self, ports: list[int]) -> None:
        """Run the health checks until cancelled."""
        async with AsyncExitStack() as stack:
            clients = {
                port: await stack.enter_async_context(httpx2.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=20))
                for port in ports
            }
            while True:
                for port, client in clients.items():
                    try:
                        is_ready = (await client.get("/_status")).status_code == 200
                    except httpx2.TransportError:
                        is_ready = False
                    if is_ready:
                        self.ready[port] = client
                    else:
                        self.ready.pop(port, None)
                await asyncio.sleep(HEALTH_CHECK_SECONDS)

    async def post(self, body: Mapping[str, object], bearer: str) -> httpx2.Response:
        """Forward a request."""
        self._turn += 1
        client = list(self.ready.values())[self._turn % len(self.ready)]
        return await client.post("/graphql", json=body, headers={"authorization": f"Bearer {bearer}"})


async def restart_in_turn(
    harness: WorkerHarness, key: models.ApiKey, environment: Mapping[str, str], cycles: int, *program: str
) -> Counter[str]:
    """Restart two servers in turn, under load; returns counts of the outcomes of the requests."""
    ports, outcomes, balancer = [free_port(), free_port()], Counter[str](), Balancer()
    body = {"query": DOCUMENT, "variables": {"id": str(key.service_id)}}
    bearer = api_key_token(key, harness.signer)

    async def ask() -> None:
        try:
            response = await balancer.post(body, bearer)
            outcomes["ok" if "data" in response.json() else response.text[:200]] += 1
        except (httpx2.TransportError, ZeroDivisionError) as error:
            outcomes[type(error).__name__] += 1

    async def load() -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(ask())
                await asyncio.sleep(1 / RATE)

    async def both_ready() -> None:
        async with asyncio.timeout(30):
            while len(balancer.ready) < 2:  # noqa: ASYNC110 - the balancer checks
                await asyncio.sleep(0.05)

    logs = harness.settings.data_dir
    running = {port: running_server(environment, logs, *program, port=port) for port in ports}
    servers = {port: await context.__aenter__() for port, context in running.items()}
    watching = asyncio.create_task(balancer.watch(ports))
    await both_ready()
    loading = asyncio.create_task(load())
    try:
        for cycle in range(cycles):
            port = ports[cycle % 2]
            await servers[port].stop()
            await running[port].__aexit__(None, None, None)
            running[port] = running_server(environment, logs, *program, port=port)
            servers[port] = await running[port].__aenter__()
            await both_ready()
    finally:
        loading.cancel()
        watching.cancel()
        await asyncio.wait({loading, watching})
        for context in running.values():
            await context.__aexit__(None, None, None)
    return outcomes


async def test_a_rolling_restart_of_two_servers_fails_no_request(
    harness: WorkerHarness, key: models.ApiKey, environment: Mapping[str, str]
) -> None:
    outcomes = await restart_in_turn(harness, key, environment, CYCLES)

    print(f"{CYCLES} restarts: {dict(outcomes)}")  # noqa: T201 - a figure to know
    assert list(outcomes) == ["ok"]
    assert outcomes["ok"] > 1_000


async def test_the_same_restarts_fail_requests_of_servers_without_graceful_shutdown(
    harness: WorkerHarness, key: models.ApiKey, environment: Mapping[str, str]
) -> None:
    outcomes = await restart_in_turn(harness, key, environment, 2, "-c", ABRUPT_SERVER)

    print(f"without notice: {dict(outcomes)}")  # noqa: T201 - a figure to know
    assert sum(count for outcome, count in outcomes.items() if outcome != "ok") > 0


@asynccontextmanager
async def lock_templates(harness: WorkerHarness) -> AsyncIterator[asyncpg.Connection]:
    """Lock the templates against reads."""
    connection = await asyncpg.connect(harness.process_environment()["DATABASE_URL"])
    try:
        async with connection.transaction():
            await connection.execute("LOCK templates IN ACCESS EXCLUSIVE MODE")
            yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def open_and_send(port: int, request: bytes, times: int = 1) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Send a request over several new connections, which are open until the block ends; yields their readers."""
    pairs = [await asyncio.open_connection(HOST, port) for _ in range(times)]
    try:
        for _, writer in pairs:
            writer.write(request)
        yield [reader for reader, _ in pairs]
    finally:
        for _, writer in pairs:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def read_response(reader: asyncio.StreamReader) -> bytes:
    """Read a whole response."""
    begin = await reader.readuntil(b"\r\n\r\n")
    return begin + await reader.readexactly(int(begin.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))


async def count_waiting_statements(connection: asyncpg.Connection) -> int:
    """The current number of statements that wait for a lock; clears the snapshot of statistics of the transaction."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    count: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return count


async def wait_until(holds: Callable[[], Awaitable[bool]], seconds: float = 10) -> float:
    """Wait until the condition is true; returns the seconds that it took."""
    started_at = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110 - the condition is in another process
            await asyncio.sleep(0.01)
    return time.monotonic() - started_at


@pytest.fixture
def long_timeouts(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Environment of a server with long timeouts."""
    long = {"DATABASE_LOCK_TIMEOUT_MS": "60000", "DATABASE_STATEMENT_TIMEOUT_MS": "60000"}
    return {**environment, **long, "REQUEST_TIMEOUT": "60"}


async def test_shutdown_finishes_running_requests_and_rejects_others_with_retry_after(
    harness: WorkerHarness, long_timeouts: Mapping[str, str], request_of: bytes
) -> None:
    async with (
        running_server(long_timeouts, harness.settings.data_dir) as server,
        lock_templates(harness) as connection,
        open_and_send(server.port, request_of, 3) as waiting,
    ):

        async def are_waiting() -> bool:
            return await count_waiting_statements(connection) == 3

        await wait_until(are_waiting)
        server.process.send_signal(signal.SIGTERM)
        started_at = time.monotonic()
        async with httpx2.AsyncClient(base_url=server.url) as http:
            await asyncio.sleep(0.1)
            status, alive = await http.get("/_status"), await http.get("/_status?simple")
        responses = await asyncio.gather(*(asyncio.wait_for(read_response(reader), 20) for reader in waiting))
        took = time.monotonic() - started_at
        await server.stop()

    assert (status.status_code, alive.status_code) == (503, 200)
    assert status.headers["connection"] == "close"
    for response in responses:
        assert response.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in response
    assert 10 < took < 14
    assert "Traceback" not in server.read_log()


async def test_shutdown_closes_websockets_and_streams_for_a_reconnect(
    harness: WorkerHarness, environment: Mapping[str, str]
) -> None:
    service = await harness.make.service()
    job = await harness.create_job(await harness.make.template(service), recipient_csv(1), rows=1)
    bearer = api_key_token(await harness.make.api_key(service), harness.signer)
    follow = "subscription ($id: ID!) { jobProgress(jobId: $id) { job { id } } }"
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {bearer}"}
    payload = {"query": follow, "variables": {"id": str(job.id)}}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(environment, harness.settings.data_dir))
        http = await stack.enter_async_context(httpx2.AsyncClient(base_url=server.url, timeout=20))
        connections = [await stack.enter_async_context(open_websocket(f"{HOST}:{server.port}")) for _ in range(50)]
        for connection in connections[:25]:  # the others have sent nothing
            await send_messages(connection, connection_init(bearer), subscribe(follow, id=str(job.id)))
            assert [(await receive_message(connection))["type"] for _ in range(2)] == ["connection_ack", "next"]
        stream = await stack.enter_async_context(http.stream("POST", "/graphql", json=payload, headers=headers))
        lines = stream.aiter_lines()
        first = await anext(lines)
        server.process.send_signal(signal.SIGTERM)
        started_at = time.monotonic()
        codes = Counter(await asyncio.gather(*map(wait_for_close_code, connections)))
        rest = [line async for line in lines]
        took = time.monotonic() - started_at
        await server.stop()

    assert codes == {1012: 50}
    assert first == "event: next"
    assert "event: complete" not in rest  # so that the client reconnects
    assert SHUTDOWN_NOTICE_SECONDS < took < SHUTDOWN_NOTICE_SECONDS + 3
    assert "Traceback" not in server.read_log()


@pytest.mark.parametrize("document", [DOCUMENT, UNPLANNED_DOCUMENT])
@pytest.mark.parametrize("disconnects", [True, False])
async def test_a_query_is_cancelled_when_its_client_disconnects_and_not_before(
    harness: WorkerHarness, key: models.ApiKey, long_timeouts: Mapping[str, str], document: str, disconnects: bool
) -> None:
    async with (
        running_server(long_timeouts, harness.settings.data_dir) as server,
        lock_templates(harness) as connection,
    ):

        async def is_waiting() -> bool:
            return await count_waiting_statements(connection) == 1

        async def is_idle() -> bool:
            return await count_waiting_statements(connection) == 0

        async with open_and_send(server.port, build_request(harness, key, document)):
            await wait_until(is_waiting)
            if not disconnects:
                await asyncio.sleep(2)
                assert await is_waiting()
        assert await wait_until(is_idle) < 1
        logged = server.read_log()
    assert "Traceback" not in logged


async def test_a_mutation_completes_though_its_client_disconnects(
    harness: WorkerHarness, long_timeouts: Mapping[str, str]
) -> None:
    create = """mutation ($service: ID!, $name: String!) { createTemplate(input: {
        serviceId: $service, name: $name, content: {sms: {body: "Hello"}} }) { userErrors { message } } }"""
    name = str(uuid4())
    service = await harness.make.service()
    member = await harness.make.member(service)
    async with harness.database.transaction() as tx:
        session = await sessions.start(tx, await tx.merge(member))
        bearer = tokens.create_session_token(harness.signer, member.id, session.id)
    body = json.dumps({"query": create, "variables": {"service": str(service.id), "name": name}}).encode()
    async with running_server(long_timeouts, harness.settings.data_dir) as server:
        async with lock_templates(harness) as connection:

            async def are_waiting() -> bool:
                return await count_waiting_statements(connection) == 1

            async with open_and_send(server.port, head(bearer, len(body)) + body):
                await wait_until(are_waiting)
            await asyncio.sleep(0.3)

        async def exists() -> bool:
            return bool(await harness.fetch_value("SELECT count(*) FROM templates WHERE name = :name", name=name))

        await wait_until(exists)


async def test_slow_clients_are_disconnected_in_seconds_and_block_no_others(
    harness: WorkerHarness, environment: Mapping[str, str], request_of: bytes
) -> None:
    beginnings = {"half a head": b"POST /graphql HTTP/1.1\r\nHost: no", "silence": b""}
    beginnings["half a body"] = request_of[:-10]
    counts = {"half a head": 150, "silence": 50, "half a body": 100}
    gone: dict[str, float] = {}
    async with running_server(environment, harness.settings.data_dir) as server:
        started_at = time.monotonic()

        async def wait_for_disconnect(kind: str) -> None:
            async with open_and_send(server.port, beginnings[kind]) as (reader,):
                with suppress(ConnectionError):
                    while await reader.read(1_000):
                        pass
                gone[kind] = max(gone.get(kind, 0), time.monotonic() - started_at)

        slow = [asyncio.create_task(wait_for_disconnect(kind)) for kind, count in counts.items() for _ in range(count)]
        await asyncio.sleep(1)
        waits, statuses = await request_meanwhile(server, request_of, seconds=6)
        await asyncio.wait(slow, timeout=20)
        left = sum(not task.done() for task in slow)

    print(f"gone after {gone}; others waited {max(waits):.3f} s at most")  # noqa: T201 - figures to know
    assert left == 0
    assert gone["half a head"] < 7
    assert gone["silence"] < 7
    assert gone["half a body"] < 12
    assert statuses == Counter({200: len(waits)})
    assert max(waits) < 0.5


async def request_meanwhile(
    server: ServerProcess, request: bytes, *, seconds: float
) -> tuple[list[float], Counter[int]]:
    """Send fifty requests a second; returns the latencies in seconds, and counts of the statuses."""
    waits: list[float] = []
    statuses: Counter[int] = Counter()
    begin, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.decode().split(": ", 1) for line in begin.split(b"\r\n")[1:])
    async with httpx2.AsyncClient(base_url=server.url) as http:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            started_at = time.monotonic()
            statuses[(await http.post("/graphql", content=body, headers=headers)).status_code] += 1
            waits.append(time.monotonic() - started_at)
            await asyncio.sleep(0.02)
    return waits, statuses


async def test_an_exhausted_pool_is_reported_in_time(
    harness: WorkerHarness, environment: Mapping[str, str], request_of: bytes
) -> None:
    slow = {"DATABASE_LOCK_TIMEOUT_MS": "60000", "DATABASE_STATEMENT_TIMEOUT_MS": "4000"}
    async with running_server({**environment, **slow}, harness.settings.data_dir) as server:
        started_at = time.monotonic()
        async with lock_templates(harness), open_and_send(server.port, request_of, 30) as waiting:
            responses = await asyncio.gather(*map(read_response, waiting))
            took = time.monotonic() - started_at
        _, statuses = await request_meanwhile(server, request_of, seconds=0.5)

    assert {response[:12] for response in responses} <= {b"HTTP/1.1 503", b"HTTP/1.1 200"}
    assert [response for response in responses if b"UNAVAILABLE" not in response] == []
    assert took < 16
    assert list(statuses) == [200]
    assert "Traceback" not in server.read_log()
