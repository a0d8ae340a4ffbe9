"""Jobs: one template sent to a list of recipients, which is checked as a whole before anything is written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from uuid_utils.compat import uuid7

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.database.listen import notify_job_changed
from graphql_api.domain import idempotency, job_runs, recipients, sending_limits, sends
from graphql_api.domain.service_states import require_active
from graphql_api.enums import Channel, ErrorPolicy, JobStatus, UserErrorCode
from graphql_api.errors import IllegalState, Invalid, RecipientListRefused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.domain.recipients import CheckInputs, RecipientCheck
    from graphql_api.domain.transactions import TransactionFactory
    from graphql_api.gateways.object_store import Store

MAX_SCHEDULE_AHEAD = timedelta(days=7)
_MUTATION_NAME = "createJob"


@dataclass(frozen=True, slots=True)
class JobRequest:
    """Arguments of `create`; without `service_id` the API key's service, without `schedule` at once."""

    template_id: UUID
    source: Mapping[str, Any]
    "As for `recipient_sources.resolve`."
    service_id: UUID | None = None
    schedule: Mapping[str, datetime] | None = None
    "`at` is naive UTC."
    error_policy: ErrorPolicy = ErrorPolicy.SEND_NOTHING
    idempotency_key: str | None = None

    @property
    def scheduled_for(self) -> datetime | None:
        """When to start, naive UTC; None for at once."""
        return self.schedule["at"] if self.schedule else None


async def create(transaction: TransactionFactory, actor: Actor, store: Store, request: JobRequest) -> models.Job:
    """Check a list, store it, and write the job, its run and its task; an error leaves nothing behind.

    It opens its own transactions, so that none is held while a long list is read: one for the token, one for what the
    check needs, and one for the writes. The list is stored before the last one, and deleted if that fails.
    """
    if service_id := request.service_id or actor.key_service_id:
        async with transaction() as tx:
            await sending_limits.consume_token(tx, actor, service_id)
    arguments = {name: value for name, value in asdict(request).items() if name != "idempotency_key"}
    async with transaction() as tx:
        call = await idempotency.find_call(tx, actor, _MUTATION_NAME, request.idempotency_key, arguments)
        if call.stored_result:
            return await visibility.find_visible(tx, actor, models.Job, UUID(call.stored_result["job_id"]))
        _check_schedule(request.scheduled_for)
        inputs = await recipients.prepare(
            tx, actor, service_id=request.service_id, template_id=request.template_id, source=request.source
        )
    data = await inputs.source.read(store)
    checked = await recipients.examine(inputs, data)
    _check_list(inputs, checked, request.error_policy)
    job_id = uuid7()
    path = job_runs.list_path(inputs.prepared.service.id, job_id)
    await store.put(path, data if isinstance(data, bytes) else data.encode())
    try:
        async with transaction() as tx:
            job = await _insert_job(tx, actor, request, inputs, checked, job_id, arguments)
    except BaseException:
        await store.delete(path)
        raise
    if job.id != job_id:  # a concurrent call with the same idempotency key was first
        await store.delete(path)
    return job


async def cancel(tx: AsyncSession, actor: Actor, *, job_id: UUID) -> models.Job:
    """Cancel a scheduled job. Raises `IllegalState` for any other."""
    job = await visibility.find_visible(tx, actor, models.Job, job_id, "job_id", lock=True)
    template = await tx.get_one(models.Template, job.template_id)
    actor.require(sends.PERMISSION_BY_CHANNEL[Channel(template.template_type)], job.service_id, "job_id")
    if job.job_status != JobStatus.SCHEDULED:
        raise IllegalState(
            "Only a scheduled job can be cancelled.",
            "job_id",
            current=JobStatus(job.job_status).name,
            allowed=[JobStatus.SCHEDULED.name],
        )
    job.job_status = JobStatus.CANCELLED.value
    await tx.flush()
    await notify_job_changed(tx, job.id)
    return job


def _check_schedule(scheduled_for: datetime | None) -> None:
    if scheduled_for is None:
        return
    now = models.utcnow()
    if scheduled_for <= now:
        message = "The time to send is in the past."
        raise Invalid(message, "schedule", "at", code=UserErrorCode.SCHEDULED_TIME_IN_PAST)
    if scheduled_for > now + MAX_SCHEDULE_AHEAD:
        message = f"The time to send can be at most {MAX_SCHEDULE_AHEAD.days} days ahead."
        raise Invalid(message, "schedule", "at", code=UserErrorCode.SCHEDULED_TIME_TOO_FAR_AHEAD)


def _check_list(inputs: CheckInputs, checked: RecipientCheck, policy: ErrorPolicy) -> None:
    """Raise `RecipientListRefused` for problems of the list, and for bad rows unless the policy sends the others."""
    has_good_rows = checked.rows_with_errors_count < checked.row_count
    if not checked.problems and policy is ErrorPolicy.SEND_GOOD_ROWS and has_good_rows:
        return
    summary = recipients.summarise_problems(checked)
    if summary:
        message, code = summary
        raise RecipientListRefused(message, *inputs.source.argument_path, code=code, check=checked)


async def _insert_job(
    tx: AsyncSession,
    actor: Actor,
    request: JobRequest,
    inputs: CheckInputs,
    checked: RecipientCheck,
    job_id: UUID,
    arguments: Mapping[str, Any],
) -> models.Job:
    """Write the job, its run and its task; or find the job of an earlier call with the same idempotency key."""
    call = await idempotency.begin(tx, actor, _MUTATION_NAME, request.idempotency_key, arguments)
    if call.stored_result:
        return await visibility.find_visible(tx, actor, models.Job, UUID(call.stored_result["job_id"]))
    prepared = inputs.prepared
    # It may have been archived while the list was read.
    require_active(await visibility.find_visible(tx, actor, models.Service, prepared.service.id, "service_id"))
    due = request.scheduled_for
    job = models.Job(
        id=job_id,
        service_id=prepared.service.id,
        template_id=prepared.template.id,
        template_version=prepared.template.version,
        original_file_name=inputs.source.file_name or "",
        contact_list_id=inputs.source.contact_list_id,
        created_by_id=None if actor.api_key_id else actor.user_id,
        job_status=(JobStatus.SCHEDULED if due else JobStatus.PENDING).value,
        notification_count=checked.row_count,
        scheduled_for=due,
    )
    tx.add(job)
    await tx.flush()
    tx.add(
        models.JobRun(
            job_id=job.id,
            api_key_id=actor.api_key_id,
            error_policy=job_runs.STORED_POLICY_BY_POLICY[request.error_policy],
            reply_to_text=prepared.default_sender,
            bad_rows=checked.disallowed_rows,
        )
    )
    await tx.flush()
    await job_runs.enqueue_run(tx, job.id, due=due)
    await call.store_result(tx, {"job_id": str(job.id)})
    return job
