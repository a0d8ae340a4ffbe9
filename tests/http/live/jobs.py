"""A job that somebody follows: how it is asked for, what is told, and changes of it."""

from typing import Any
from uuid import uuid4

from sqlalchemy import text
from websockets.asyncio.client import ClientConnection

from graphql_api import models
from graphql_api.auth import tokens
from graphql_api.database.listen import notify_job_changed
from graphql_api.enums import ServicePermission
from tests.http.live.conftest import Team
from tests.websocket_client import connection_init, receive_message, send_messages, subscribe
from tests.worker.harnesses import WorkerHarness, recipient_csv

JOB_PROGRESS_SUBSCRIPTION = """
subscription ($id: ID!) {
  jobProgress(jobId: $id) { job { id status } progress { total created delivered isFinal } }
}
"""
COST_EXTENSION = {"extensions": {"cost": {"requested": 1, "actual": 1}}}


def progress_payload(job: models.Job, status: str, *counts: int, final: bool = False) -> dict[str, Any]:
    """One result: where the job stands."""
    total, created, delivered = counts
    progress = {"total": total, "created": created, "delivered": delivered, "isFinal": final}
    return {
        "data": {"jobProgress": {"job": {"id": str(job.id), "status": status}, "progress": progress}}
    } | COST_EXTENSION


def next_message(job: models.Job, status: str, *counts: int, final: bool = False) -> dict[str, Any]:
    """The same as a message."""
    return {"type": "next", "id": "1", "payload": progress_payload(job, status, *counts, final=final)}


async def subscribe_to_job(connection: ClientConnection, token: str, job: models.Job) -> Any:
    """Begin to follow a job; answers the first that is told."""
    await send_messages(connection, connection_init(token), subscribe(JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)))
    assert await receive_message(connection) == {"type": "connection_ack"}
    return await receive_message(connection)


async def create_scheduled_job(rig: WorkerHarness, team: Team) -> models.Job:
    """A job of one row that waits for its time."""
    return await rig.create_job(
        team.template, recipient_csv(1), rows=1, job_status="scheduled", scheduled_for=models.utcnow()
    )


async def change_job_status(rig: WorkerHarness, job: models.Job, status: str) -> None:
    """Let the status of a job change, and tell so, as every change of ours does."""
    async with rig.database.transaction() as tx:
        await tx.execute(text("UPDATE jobs SET job_status = :status WHERE id = :id"), {"status": status, "id": job.id})
        await notify_job_changed(tx, job.id)


async def revoke_key(rig: WorkerHarness, team: Team) -> None:
    """Let the key be good for nothing, as Notify's own programs would."""
    await rig.execute("UPDATE api_keys SET expiry_date = now() WHERE id = :id", id=team.key.id)


async def create_signed_in_member(rig: WorkerHarness, team: Team) -> tuple[models.User, str]:
    """A member who sees what is sent, and the token of their session."""
    user = await rig.make.member(team.service, {ServicePermission.VIEW_ACTIVITY})
    session = models.Session(id=uuid4(), user_id=user.id, expires_at=models.utcnow().replace(year=2100))
    await rig.make.add(session)
    await rig.execute("UPDATE users SET current_session_id = :session WHERE id = :id", session=session.id, id=user.id)
    return user, tokens.create_session_token(rig.signer, user.id, session.id)
