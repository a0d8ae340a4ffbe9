"""One run: a server of its own with a world to fuzz, and all that came back."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from graphql_api.auth import tokens
from graphql_api.domain import sessions
from schema import schema
from tests.cluster.clients import api_key_token
from tests.cluster.servers import running_server
from tests.fuzz.clients import Report, fuzz_http, fuzz_websockets
from tests.fuzz.documents import DocumentGenerator
from tests.fuzz.mutations import MalformedRequests
from tests.worker.harnesses import WorkerHarness

UNLIMITED_SETTINGS = {"POINTS_PER_MINUTE": "1000000000", "INTROSPECTION": "everyone"}


async def fuzz(rig: WorkerHarness, logs: Path, seed: int, requests: int) -> tuple[Report, str]:
    """Send so many requests, a tenth of them over WebSockets; answers what came back, and the server's log."""
    chance, ledger = Random(seed), Report()  # noqa: S311 - the same each time
    bearers, known = await _create_data(rig)
    mutants = MalformedRequests(chance, DocumentGenerator(chance, schema._schema, known), bearers)  # noqa: SLF001 - no other name
    async with running_server({**rig.process_environment(), **UNLIMITED_SETTINGS}, logs) as served:
        await fuzz_http(served.port, mutants, requests * 9 // 10, ledger)
        await fuzz_websockets(served.port, mutants, requests // 10, ledger)
        await served.stop()
    return ledger, served.read_log()


async def _create_data(rig: WorkerHarness) -> tuple[list[str], list[str]]:
    """Bearers of every kind, and ids that there are."""
    service = await rig.make.service()
    template, key = await rig.make.template(service), await rig.make.api_key(service)
    job = await rig.make.job(template)
    messages = [await rig.make.notification(template, personalisation={"name": "Jo"}) for _ in range(5)]
    admin = await rig.make.user(platform_admin=True)
    member = await rig.make.member(service)
    bearers = ["", api_key_token(key, rig.signer)]
    for user in (admin, member):
        async with rig.database.transaction() as tx:
            session = await sessions.start(tx, await tx.merge(user))
            bearers.append(tokens.create_session_token(rig.signer, user.id, session.id))
    rows: list[Any] = [service, template, key, job, admin, member, *messages]
    return bearers, [*(str(row.id) for row in rows), str(uuid4()), "x", ""]
