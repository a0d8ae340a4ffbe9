"""One run: a server with data to fuzz, and the record of the responses."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from graphql_api.auth import tokens
from graphql_api.domain import sessions
from tests.cluster.clients import api_key_token
from tests.cluster.servers import running_server
from tests.fuzz.clients import Report, fuzz_http, fuzz_websockets
from tests.fuzz.documents import DocumentGenerator
from tests.fuzz.mutations import MalformedRequests
from tests.graphql_schema import SCHEMA
from tests.worker.harnesses import WorkerHarness

UNLIMITED_SETTINGS = {"POINTS_PER_MINUTE": "1000000000", "INTROSPECTION": "everyone"}


async def fuzz(harness: WorkerHarness, logs: Path, seed: int, requests: int) -> tuple[Report, str]:
    """Send a number of requests, a tenth of them over WebSockets; returns the record and the server's log."""
    random, report = Random(seed), Report()  # noqa: S311 - reproducible
    bearer_tokens, existing_ids = await _create_data(harness)
    malformed = MalformedRequests(random, DocumentGenerator(random, SCHEMA, existing_ids), bearer_tokens)
    async with running_server({**harness.process_environment(), **UNLIMITED_SETTINGS}, logs) as server:
        await fuzz_http(server.port, malformed, requests * 9 // 10, report)
        await fuzz_websockets(server.port, malformed, requests // 10, report)
        await server.stop()
    return report, server.read_log()


async def _create_data(harness: WorkerHarness) -> tuple[list[str], list[str]]:
    """Tokens of every kind, and ids that exist."""
    service = await harness.make.service()
    template, key = await harness.make.template(service), await harness.make.api_key(service)
    job = await harness.make.job(template)
    messages = [await harness.make.notification(template, personalisation={"name": "Jo"}) for _ in range(5)]
    admin = await harness.make.user(platform_admin=True)
    member = await harness.make.member(service)
    bearer_tokens = ["", api_key_token(key, harness.signer)]
    for user in (admin, member):
        async with harness.database.transaction() as tx:
            session = await sessions.start(tx, await tx.merge(user))
            bearer_tokens.append(tokens.create_session_token(harness.signer, user.id, session.id))
    rows: list[Any] = [service, template, key, job, admin, member, *messages]
    return bearer_tokens, [*(str(row.id) for row in rows), str(uuid4()), "x", ""]
