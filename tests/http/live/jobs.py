"""A job that somebody follows: how it is asked for, what is told, and changes of it."""

from typing import Any
from uuid import uuid4

from sqlalchemy import text
from websockets.asyncio.client import ClientConnection

from graphql_api import models
from graphql_api.auth import tokens
from graphql_api.database.listen import tell
from graphql_api.enums import ServicePermission
from tests.http.live.conftest import Team
from tests.websocket_client import hear, init, say, subscribe
from tests.worker.harnesses import Rig, texts

FOLLOW = """
subscription ($id: ID!) {
  jobProgress(jobId: $id) { job { id status } progress { total created delivered isFinal } }
}
"""
COST = {"extensions": {"cost": {"requested": 1, "actual": 1}}}


def payload(job: models.Job, status: str, *counts: int, final: bool = False) -> dict[str, Any]:
    """One result: where the job stands."""
    total, created, delivered = counts
    progress = {"total": total, "created": created, "delivered": delivered, "isFinal": final}
    return {"data": {"jobProgress": {"job": {"id": str(job.id), "status": status}, "progress": progress}}} | COST


def event(job: models.Job, status: str, *counts: int, final: bool = False) -> dict[str, Any]:
    """The same as a message."""
    return {"type": "next", "id": "1", "payload": payload(job, status, *counts, final=final)}


async def follow(connection: ClientConnection, token: str, job: models.Job) -> Any:
    """Begin to follow a job; answers the first that is told."""
    await say(connection, init(token), subscribe(FOLLOW, id=str(job.id)))
    assert await hear(connection) == {"type": "connection_ack"}
    return await hear(connection)


async def scheduled(rig: Rig, team: Team) -> models.Job:
    """A job of one row that waits for its time."""
    return await rig.job(team.template, texts(1), rows=1, job_status="scheduled", scheduled_for=models.utcnow())


async def write(rig: Rig, job: models.Job, status: str) -> None:
    """Let the status of a job change, and tell so, as every change of ours does."""
    async with rig.database.transaction() as tx:
        await tx.execute(text("UPDATE jobs SET job_status = :status WHERE id = :id"), {"status": status, "id": job.id})
        await tell(tx, job.id)


async def revoke(rig: Rig, team: Team) -> None:
    """Let the key be good for nothing, as Notify's own programs would."""
    await rig.execute("UPDATE api_keys SET expiry_date = now() WHERE id = :id", id=team.key.id)


async def signed_in(rig: Rig, team: Team) -> tuple[models.User, str]:
    """A member who sees what is sent, and the token of their session."""
    user = await rig.make.member(team.service, {ServicePermission.VIEW_ACTIVITY})
    session = models.Session(id=uuid4(), user_id=user.id, expires_at=models.utcnow().replace(year=2100))
    await rig.make.add(session)
    await rig.execute("UPDATE users SET current_session_id = :session WHERE id = :id", session=session.id, id=user.id)
    return user, tokens.of_session(rig.signer, user.id, session.id)
