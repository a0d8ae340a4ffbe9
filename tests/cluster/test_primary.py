"""Restarts of the primary while it is used: requests are delayed, and none fails."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

import pytest

from graphql_api.auth import tokens
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import sessions
from graphql_api.settings import Settings
from tests.builders import Builders
from tests.cluster import clients
from tests.cluster.clusters import Cluster

pytestmark = pytest.mark.timeout(180)

RATE, SECONDS, RESTARTS = 100, 8, 3
WRITES = 200
DOCUMENT = "query ($id: ID!) { service(id: $id) { name templates(first: 5) { nodes { name } } } }"


async def test_a_restart_at_a_hundred_requests_a_second_only_delays_them(
    cluster_settings: Callable[..., Settings], make: Builders, signer: Signer, healthy_cluster: Cluster
) -> None:
    service = await make.service()
    await make.template(service)
    key = await make.api_key(service)
    healthy_cluster.wait_for_replay()
    outcomes: Counter[str] = Counter()
    waits: list[float] = []

    async with clients.running_client(cluster_settings(), clients.api_key_token(key, signer)) as client:

        async def ask() -> None:
            started_at = time.perf_counter()
            response = await client.post(DOCUMENT, id=str(service.id))
            waits.append(time.perf_counter() - started_at)
            body = response.json()
            outcomes["ok" if "errors" not in body and body["data"]["service"] else response.text[:200]] += 1

        async def restart() -> None:
            for _ in range(RESTARTS):
                await asyncio.sleep(random.uniform(1, 1.5))  # noqa: S311 - no secret
                await asyncio.to_thread(healthy_cluster.primary.restart)

        await ask()
        restarts = asyncio.create_task(restart())
        requests: list[asyncio.Task[None]] = []
        started_at = time.monotonic()
        while time.monotonic() < started_at + SECONDS or not restarts.done():
            requests.append(asyncio.create_task(ask()))
            await asyncio.sleep(1 / RATE)
        await asyncio.gather(restarts, *requests)

    print(f"{RESTARTS} restarts: {len(waits)} reads, slowest {max(waits):.2f} s, {dict(outcomes)}")  # noqa: T201
    assert outcomes == {"ok": len(waits)}
    assert max(waits) < 4


async def test_a_primary_that_stays_unavailable_is_reported(
    cluster_settings: Callable[..., Settings], make: Builders, signer: Signer, healthy_cluster: Cluster
) -> None:
    service = await make.service()
    key = await make.api_key(service)
    settings = cluster_settings(database_patience=0.5)

    async with clients.running_client(settings, clients.api_key_token(key, signer)) as client:
        await client.ask("query ($id: ID!) { service(id: $id) { name } }", id=str(service.id))
        await asyncio.to_thread(healthy_cluster.primary.stop)
        started_at = time.perf_counter()
        unavailable = await client.post("query ($id: ID!) { service(id: $id) { id } }", id=str(service.id))
        waited = time.perf_counter() - started_at
        await asyncio.to_thread(healthy_cluster.primary.start)
        repeated = await client.ask("query ($id: ID!) { service(id: $id) { name } }", id=str(service.id))

    assert [error["extensions"]["code"] for error in unavailable.json()["errors"]] == ["UNAVAILABLE"]
    assert 0.4 < waited < 3
    assert repeated == {"service": {"name": service.name}}


CREATE = """mutation ($service: ID!, $name: String!, $key: String!) { createTemplate(input: {
  serviceId: $service, name: $name, idempotencyKey: $key, content: {sms: {body: "Hello"}}
}) { template { id } userErrors { message } } }"""


async def test_repeated_mutations_with_an_idempotency_key_are_done_once(
    cluster_settings: Callable[..., Settings],
    make: Builders,
    database: Database,
    signer: Signer,
    healthy_cluster: Cluster,
) -> None:
    service = await make.service()
    member = await make.member(service)
    async with database.transaction() as tx:
        session = await sessions.start(tx, await tx.merge(member))
        bearer = tokens.create_session_token(signer, member.id, session.id)
    healthy_cluster.wait_for_replay()
    repeated = 0
    waits: list[float] = []

    async with clients.running_client(cluster_settings(points_per_minute=10**9), bearer) as client:

        async def create(number: int) -> None:
            nonlocal repeated
            started_at = time.perf_counter()
            name = f"Template {number}"
            while True:
                body = (await client.post(CREATE, service=str(service.id), name=name, key=name)).json()
                if "errors" not in body:
                    break
                assert [error["extensions"]["code"] for error in body["errors"]] == ["UNAVAILABLE"]
                repeated += 1
            waits.append(time.perf_counter() - started_at)
            assert body["data"]["createTemplate"]["userErrors"] == []

        async def restart() -> None:
            for _ in range(RESTARTS):
                await asyncio.sleep(random.uniform(0.5, 1))  # noqa: S311 - no secret
                await asyncio.to_thread(healthy_cluster.primary.restart)

        restarts = asyncio.create_task(restart())
        async with asyncio.TaskGroup() as group:
            number = 0
            while not restarts.done() or number < WRITES:
                group.create_task(create(number))
                number += 1
                await asyncio.sleep(1 / 50)
    counts = healthy_cluster.primary.sql(
        f"SELECT count(*), count(DISTINCT name) FROM templates WHERE service_id = '{service.id}'"
    )

    print(f"{number} keyed mutations, {repeated} sent again, slowest {max(waits):.2f} s")  # noqa: T201
    assert counts == f"{number}|{number}"
    assert max(waits) < 6
