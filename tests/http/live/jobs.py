"""Subscriptions to a job: the document, its results, and changes of the job."""

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
    """One result: the progress of the job."""
    total, created, delivered = counts
    progress = {"total": total, "created": created, "delivered": delivered, "isFinal": final}
    return {
        "data": {"jobProgress": {"job": {"id": str(job.id), "status": status}, "progress": progress}}
    } | COST_EXTENSION


def next_message(job: models.Job, status: str, *counts: int, final: bool = False) -> dict[str, Any]:
    """The same in a `next` message."""
    return {"type": "next", "id": "1", "payload": progress_payload(job, status, *counts, final=final)}


async def subscribe_to_job(connection: ClientConnection, token: str, job: models.Job) -> Any:
    """Subscribe to a job; returns the first result."""
    await send_messages(connection, connection_init(token), subscribe(JOB_PROGRESS_SUBSCRIPTION, id=str(job.id)))
    assert await receive_message(connection) == {"type": "connection_ack"}
    return await receive_message(connection)


async def create_scheduled_job(harness: WorkerHarness, team: Team) -> models.Job:
    """A scheduled job of one row."""
    return await harness.create_job(
        team.template, recipient_csv(1), rows=1, job_status="scheduled", scheduled_for=models.utcnow()
    )


async def change_job_status(harness: WorkerHarness, job: models.Job, status: str) -> None:
    """Change the status of a job, and notify, as the domain does."""
    async with harness.database.transaction() as tx:
        await tx.execute(text("UPDATE jobs SET job_status = :status WHERE id = :id"), {"status": status, "id": job.id})
        await notify_job_changed(tx, job.id)


async def revoke_key(harness: WorkerHarness, team: Team) -> None:
    """Revoke the key, as Notify's own programs do."""
    await harness.execute("UPDATE api_keys SET expiry_date = now() WHERE id = :id", id=team.key.id)


async def create_signed_in_member(harness: WorkerHarness, team: Team) -> tuple[models.User, str]:
    """A member with VIEW_ACTIVITY, and the token of their session."""
    user = await harness.make.member(team.service, {ServicePermission.VIEW_ACTIVITY})
    session = models.Session(id=uuid4(), user_id=user.id, expires_at=models.utcnow().replace(year=2100))
    await harness.make.add(session)
    await harness.execute(
        "UPDATE users SET current_session_id = :session WHERE id = :id", session=session.id, id=user.id
    )
    return user, tokens.create_session_token(harness.signer, user.id, session.id)
