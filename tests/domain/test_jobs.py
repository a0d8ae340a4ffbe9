"""Jobs: checks of the list, and what is written."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import jobs
from graphql_api.enums import Channel, ErrorPolicy, KeyType, ServicePermission, UserErrorCode
from graphql_api.errors import (
    DailyLimitExceeded,
    DomainError,
    Forbidden,
    NotFound,
    RecipientListRefused,
    Unauthenticated,
)
from graphql_api.gateways.object_store import Store
from tests.builders import Builders, api_key_actor, platform_admin, stranger, user_actor
from tests.domain.job_services import VALID_CSV, JobService, csv_source


async def test_a_job_its_file_and_its_task_are_written_together(
    job_service: JobService, template: models.Template, actor: Actor
) -> None:
    job = await job_service.create(actor, template)

    assert (job.service_id, job.template_id, job.template_version) == (template.service_id, template.id, 1)
    assert (job.original_file_name, job.notification_count, job.job_status) == ("people.csv", 2, "pending")
    assert (job.created_by_id, job.scheduled_for, job.processing_started, job.contact_list_id) == (
        actor.user_id,
        None,
        None,
        None,
    )
    run = await job_service.load_run(job)
    assert (run.api_key_id, run.error_policy, run.reply_to_text, run.next_row, run.bad_rows) == (
        None,
        "all_or_nothing",
        "GOVUK",
        0,
        [],
    )
    path = f"service-{template.service_id}-notify/{job.id}.csv"
    assert job_service.stored_files() == [path]
    assert (await job_service.store.get(path)).decode() == VALID_CSV
    assert await job_service.queued_tasks() == [("process job", f'{{"job_id":"{job.id}"}}', timedelta())]


async def test_a_key_makes_a_job_of_its_own_service(
    make: Builders, job_service: JobService, template: models.Template
) -> None:
    async with job_service.database.transaction() as tx:
        service = await tx.get_one(models.Service, template.service_id)
    api_key = await make.api_key(service)

    job = await job_service.create(api_key_actor(api_key), template, service_id=None)

    assert job.created_by_id is None
    assert (await job_service.load_run(job)).api_key_id == api_key.id


async def test_a_job_can_be_scheduled(job_service: JobService, template: models.Template, actor: Actor) -> None:
    before = models.utcnow()
    at = before + timedelta(hours=3)

    job = await job_service.create(actor, template, schedule={"at": at})

    assert (job.job_status, job.scheduled_for) == ("scheduled", at)
    ((_, _, wait),) = await job_service.queued_tasks()
    assert before <= at - wait <= models.utcnow()


@pytest.mark.parametrize(
    ("ahead", "code"),
    [
        (timedelta(seconds=-1), "SCHEDULED_TIME_IN_PAST"),
        (timedelta(days=7, minutes=1), "SCHEDULED_TIME_TOO_FAR_AHEAD"),
    ],
)
async def test_the_scheduled_time_is_within_a_week(
    job_service: JobService, template: models.Template, actor: Actor, ahead: timedelta, code: str
) -> None:
    error = await job_service.expect_error(actor, template, schedule={"at": models.utcnow() + ahead})

    assert (error.code.name, error.path) == (code, ("schedule", "at"))


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("", "FILE_EMPTY", "The list has no rows."),
        ("phone number,name\n\n,\n", "FILE_EMPTY", "The list has no rows."),
        ("name\nZoë\n", "MISSING_RECIPIENT_COLUMN", "The list needs a column called \u2018phone number\u2019."),
        (
            "phone number\n07700900001\n",
            "MISSING_PLACEHOLDER_COLUMN",
            "The list lacks columns that the template needs: name.",
        ),
        (
            "phone number,Phone_Number,name\n07700900001,07700900001,x\n",
            "DUPLICATE_RECIPIENT_COLUMN",
            "The list has more than one column called \u2018phone number\u2019.",
        ),
        (
            'phone number,name\n07700900001,"Zoë\n',
            "FILE_UNREADABLE",
            "Row 2, column 2: A quotation mark is left open.",
        ),
        (
            "phone number,name\n07700900001,x\n0770090000,y\n",
            "PHONE_TOO_SHORT",
            "1 row has problems. Row 3, column \u2018phone number\u2019: This phone number has too few digits.",
        ),
        (
            "phone number,name\n,x\n07700900001,\n",
            "REQUIRED",
            "2 rows have problems. Row 2, column \u2018phone number\u2019: The recipient is missing.",
        ),
    ],
)
async def test_a_list_with_problems_writes_nothing(
    job_service: JobService, template: models.Template, actor: Actor, content: str, code: str, message: str
) -> None:
    error = await job_service.expect_error(actor, template, csv_source(content))

    assert isinstance(error, RecipientListRefused)
    assert (error.code.name, error.message, error.path) == (code, message, ("source", "csv"))


async def test_errors_name_row_and_column(job_service: JobService, template: models.Template, actor: Actor) -> None:
    content = "name,phone number,reference\nZoë,07700900001,\n,0770090000x,\nx,07700900002," + "r" * 1001 + "\n"

    error = await job_service.expect_error(actor, template, csv_source(content))

    assert isinstance(error, RecipientListRefused)
    result = error.check
    assert [(problem.row, problem.column, problem.code.name) for problem in result.row_errors] == [
        (1, "phone number", "PHONE_UNKNOWN_CHARACTER"),
        (1, "name", "MISSING_PERSONALISATION"),
        (2, "reference", "TOO_LONG"),
    ]
    assert (result.row_count, result.rows_with_errors_count, result.problems, result.is_valid) == (3, 2, [], False)


async def test_problems_of_twenty_rows_are_reported(
    job_service: JobService, template: models.Template, actor: Actor
) -> None:
    error = await job_service.expect_error(actor, template, csv_source("phone number,name\n" + "x,\n" * 30))

    assert isinstance(error, RecipientListRefused)
    assert error.check.rows_with_errors_count == 30
    assert sorted({problem.row for problem in error.check.row_errors}) == list(range(20))
    assert len(error.check.row_errors) == 40


async def test_good_rows_can_be_sent_without_the_bad(
    job_service: JobService, template: models.Template, actor: Actor
) -> None:
    content = "phone number,name\nx,x\n07700900001,y\n"

    job = await job_service.create(actor, template, csv_source(content), error_policy=ErrorPolicy.SEND_GOOD_ROWS)

    assert job.notification_count == 2
    run = await job_service.load_run(job)
    assert (run.error_policy, run.bad_rows) == ("skip_bad_rows", [])


async def test_a_list_without_a_good_row_is_refused_under_either_policy(
    job_service: JobService, template: models.Template, actor: Actor
) -> None:
    error = await job_service.expect_error(
        actor, template, csv_source("phone number,name\nx,x\n"), error_policy=ErrorPolicy.SEND_GOOD_ROWS
    )

    assert error.code is UserErrorCode.PHONE_UNKNOWN_CHARACTER


async def test_a_problem_of_the_whole_list_refuses_the_good_rows_too(
    job_service: JobService, template: models.Template, actor: Actor
) -> None:
    error = await job_service.expect_error(
        actor, template, csv_source("phone number\n07700900001\n"), error_policy=ErrorPolicy.SEND_GOOD_ROWS
    )

    assert error.code is UserErrorCode.MISSING_PLACEHOLDER_COLUMN


async def test_rows_outside_the_team_are_bad_rows_of_a_trial(make: Builders, job_service: JobService) -> None:
    service = await make.service(restricted=True)
    template = await make.template(service)
    user = await make.member(service, user=await make.user(mobile_number="07700900001"))
    await make.add(models.GuestListEntry(service_id=service.id, recipient_type="mobile", recipient="07700900002"))
    caller = user_actor(user, service)

    error = await job_service.expect_error(caller, template)
    job = await job_service.create(caller, template, error_policy=ErrorPolicy.SEND_GOOD_ROWS)

    assert isinstance(error, RecipientListRefused)
    assert [
        (problem.row, problem.column, problem.code.name, problem.message) for problem in error.check.row_errors
    ] == [(1, "phone number", "RECIPIENT_NOT_ALLOWED", "A service in trial can send to its own team only.")]
    assert (await job_service.load_run(job)).bad_rows == [1]
    assert (
        await job_service.create(api_key_actor(await make.api_key(service, KeyType.TEAM)), template)
    ).notification_count == 2


async def test_a_list_above_the_daily_limit_is_refused_with_its_figures(
    make: Builders, job_service: JobService
) -> None:
    service = await make.service(sms_message_limit=1, international_sms_message_limit=0)
    template = await make.template(service)
    caller = user_actor(await make.member(service), service)

    error = await job_service.expect_error(
        caller, template, csv_source("phone number,name\n07700900001,x\n+33612345678,y\n")
    )

    assert isinstance(error, RecipientListRefused)
    assert error.code is UserErrorCode.DAILY_LIMIT_EXCEEDED
    abroad, all_texts = error.check.problems
    assert isinstance(abroad, DailyLimitExceeded)
    assert isinstance(all_texts, DailyLimitExceeded)
    assert (abroad.international, abroad.limit, abroad.requested) == (True, 0, 1)
    assert (all_texts.international, all_texts.limit, all_texts.requested) == (False, 1, 2)
    assert error.check.remaining_today == 1


async def test_letters_cannot_be_sent_to_a_list_in_trial(make: Builders, job_service: JobService) -> None:
    service = await make.service(restricted=True)
    template = await make.template(service, Channel.LETTER, content="Hello", subject="Tax")
    caller = user_actor(await make.member(service), service)

    error = await job_service.expect_error(
        caller, template, csv_source("address line 1,address line 2,postcode\nA,B,SW1A 1AA\n")
    )

    assert error.code is UserErrorCode.SERVICE_IN_TRIAL_MODE


async def test_creating_a_job_needs_the_channels_permission(
    make: Builders, job_service: JobService, service: models.Service, template: models.Template
) -> None:
    user = await make.member(service)

    with pytest.raises(Unauthenticated):
        await job_service.create(Actor.anonymous(), template)
    with pytest.raises(Forbidden) as raised:
        await job_service.create(user_actor(user, service, permissions=[ServicePermission.VIEW_ACTIVITY]), template)
    assert raised.value.extensions["requiredPermission"] == "SEND_TEXTS"
    with pytest.raises(Forbidden):
        await job_service.create(platform_admin(user), template)
    assert (await job_service.expect_error(stranger(), template)).path == ("service_id",)
    assert job_service.stored_files() == []


async def test_calls_with_the_same_idempotency_key_make_one_job(
    job_service: JobService, template: models.Template, actor: Actor
) -> None:
    at = models.utcnow() + timedelta(days=1)

    first = await job_service.create(actor, template, schedule={"at": at}, idempotency_key="once")
    again = await job_service.create(actor, template, schedule={"at": at}, idempotency_key="once")

    assert first.id == again.id
    assert len(job_service.stored_files()) == 1
    error = await job_service.expect_error(
        actor, template, csv_source(VALID_CSV + "07700900003,z\n"), idempotency_key="once"
    )
    assert error.code is UserErrorCode.IDEMPOTENCY_KEY_REUSED


async def test_concurrent_calls_with_the_same_idempotency_key_make_one_job(
    engine: AsyncEngine, signer: Signer, store: Store, tmp_path: Path
) -> None:
    committed_service = JobService(Database(engine), store, tmp_path)
    make = Builders(committed_service.database, signer)
    service = await make.service()
    template = await make.template(service)
    caller = user_actor(await make.member(service), service)
    try:
        made = await asyncio.gather(
            *(committed_service.create(caller, template, idempotency_key="k") for _ in range(4))
        )
        assert len({job.id for job in made}) == 1
        assert committed_service.stored_files() == [f"service-{service.id}-notify/{made[0].id}.csv"]
        assert (await committed_service.row_counts())[:4] == [1, 1, 1, 1]
    finally:
        async with committed_service.database.transaction() as tx:
            await tx.execute(text("TRUNCATE services, users, services_history, pgqueuer, idempotency_keys CASCADE"))


async def test_only_a_scheduled_job_can_be_cancelled(
    make: Builders, job_service: JobService, service: models.Service, template: models.Template, actor: Actor
) -> None:
    waiting = await job_service.create(actor, template, schedule={"at": models.utcnow() + timedelta(days=1)})
    pending = await job_service.create(actor, template)
    onlooker = user_actor(await make.member(service), service, permissions=[ServicePermission.VIEW_ACTIVITY])

    async def cancel(who: Actor, job_id: UUID) -> models.Job:
        async with job_service.database.transaction() as tx:
            return await jobs.cancel(tx, who, job_id=job_id)

    with pytest.raises(Forbidden):
        await cancel(onlooker, waiting.id)
    with pytest.raises(NotFound) as hidden:
        await cancel(stranger(), waiting.id)
    assert hidden.value.path == ("job_id",)
    with pytest.raises(NotFound):
        await cancel(actor, uuid4())
    cancelled = await cancel(actor, waiting.id)
    assert cancelled.job_status == "cancelled"
    for job, state in ((waiting, "CANCELLED"), (pending, "PENDING")):
        with pytest.raises(DomainError) as raised:
            await cancel(actor, job.id)
        assert vars(raised.value) | {"message": ""} == {
            "message": "",
            "code": UserErrorCode.ILLEGAL_STATE,
            "path": ("job_id",),
            "current_state": state,
            "allowed_states": ["SCHEDULED"],
        }
