"""One run: a server of its own with a world to fuzz, and all that came back."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

from graphql_api.auth import tokens
from graphql_api.domain import sessions
from schema import schema
from tests.cluster.clients import token
from tests.faults.servers import serving
from tests.fuzz.clients import Ledger, over_http, over_sockets
from tests.fuzz.documents import Documents
from tests.fuzz.mutations import Mutants
from tests.worker.harnesses import Rig

UNLIMITED = {"POINTS_PER_MINUTE": "1000000000", "INTROSPECTION": "everyone"}


async def fuzz(rig: Rig, logs: Path, seed: int, requests: int) -> tuple[Ledger, str]:
    """Send so many requests, a tenth of them over WebSockets; answers what came back, and the server's log."""
    chance, ledger = Random(seed), Ledger()  # noqa: S311 - the same each time
    bearers, known = await _world(rig)
    mutants = Mutants(chance, Documents(chance, schema._schema, known), bearers)  # noqa: SLF001 - no other name
    async with serving({**rig.environment(), **UNLIMITED}, logs) as served:
        await over_http(served.port, mutants, requests * 9 // 10, ledger)
        await over_sockets(served.port, mutants, requests // 10, ledger)
        await served.end()
    return ledger, served.logged()


async def _world(rig: Rig) -> tuple[list[str], list[str]]:
    """Bearers of every kind, and ids that there are."""
    service = await rig.make.service()
    template, key = await rig.make.template(service), await rig.make.api_key(service)
    job = await rig.make.job(template)
    messages = [await rig.make.notification(template, personalisation={"name": "Jo"}) for _ in range(5)]
    admin = await rig.make.user(platform_admin=True)
    member = await rig.make.member(service)
    bearers = ["", token(key, rig.signer)]
    for user in (admin, member):
        async with rig.database.transaction() as tx:
            session = await sessions.start(tx, await tx.merge(user))
            bearers.append(tokens.of_session(rig.signer, user.id, session.id))
    rows: list[Any] = [service, template, key, job, admin, member, *messages]
    return bearers, [*(str(row.id) for row in rows), str(uuid4()), "x", ""]
