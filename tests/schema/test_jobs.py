"""Jobs through GraphQL: every field, lists, progress, creation and cancellation."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.enums import ServicePermission
from tests.builders import Builders, api_key_actor, stranger, user_actor
from tests.conftest import Ask, Statements

EVERYTHING = """
query ($id: ID!) {
  job(id: $id) {
    id channel fileName status recipientCount createdAt updatedAt scheduledFor processingStartedAt
    processingFinishedAt archived
    service { id } template { id name } templateVersion { id version }
    createdBy { __typename ... on User { id } ... on ApiKey { id } }
    progress { total created inProgress delivered failed cancelled fractionComplete isFinal }
    notifications { totalCount nodes { jobRowNumber } }
  }
}
"""
LIST = """
query ($service: ID!, $filter: JobFilter, $orderBy: JobOrder) {
  service(id: $service) {
    jobs(filter: $filter, orderBy: $orderBy) { nodes { fileName progress { created } } totalCount }
  }
}
"""
CREATE = """
mutation ($input: CreateJobInput!) {
  createJob(input: $input) {
    job {
      id fileName status recipientCount scheduledFor createdBy { __typename } progress { total created isFinal }
    }
    userErrors {
      __typename message code path
      ... on RecipientListError {
        check {
          valid rowCount rowsWithErrorsCount
          rowErrors { rowNumber column code message } problems { __typename code path }
        }
      }
    }
  }
}
"""
CANCEL = """
mutation ($input: CancelJobInput!) {
  cancelJob(input: $input) {
    job { id status } cancelledNotificationCount
    userErrors { __typename code path ... on IllegalStateError { currentState allowedStates } }
  }
}
"""
NOON = datetime(2026, 6, 1, 12)  # noqa: DTZ001 - naive UTC, as the database
GOOD = "phone number,name\n07700900001,Zoë\n07700900002,Åsa\n"


def source(template: models.Template, content: str = GOOD, **more: Any) -> dict[str, Any]:
    return {
        "serviceId": str(template.service_id),
        "templateId": str(template.id),
        "source": {"csv": {"fileName": "people.csv", "content": content}},
    } | more


async def test_a_job_has_every_field(
    make: Builders, ask: Ask, template: models.Template, actor: Actor, statements: Statements
) -> None:
    job = await make.job(
        template,
        notification_count=5,
        job_status="in progress",
        created_by_id=actor.user_id,
        created_at=NOON,
        scheduled_for=NOON + timedelta(minutes=1),
        processing_started=NOON + timedelta(minutes=2),
    )
    for row, status in enumerate(["delivered", "created", "permanent-failure", "sent"]):
        await make.notification(template, job_id=job.id, job_row_number=3 - row, status=status)

    with statements(8):
        answer = await ask(EVERYTHING, by=actor, id=str(job.id))

    assert answer.root_field == {
        "id": str(job.id),
        "channel": "SMS",
        "fileName": "people.csv",
        "status": "IN_PROGRESS",
        "recipientCount": 5,
        "createdAt": "2026-06-01T12:00:00Z",
        "updatedAt": None,
        "scheduledFor": "2026-06-01T12:01:00Z",
        "processingStartedAt": "2026-06-01T12:02:00Z",
        "processingFinishedAt": None,
        "archived": False,
        "service": {"id": str(template.service_id)},
        "template": {"id": str(template.id), "name": template.name},
        "templateVersion": {"id": f"{template.id}:1", "version": 1},
        "createdBy": {"__typename": "User", "id": str(actor.user_id)},
        "progress": {
            "total": 5,
            "created": 4,
            "inProgress": 1,
            "delivered": 2,
            "failed": 1,
            "cancelled": 0,
            "fractionComplete": 0.6,
            "isFinal": False,
        },
        "notifications": {"totalCount": 4, "nodes": [{"jobRowNumber": row} for row in range(4)]},
    }


async def test_a_job_of_rows_in_the_call_has_no_file(
    make: Builders, ask: Ask, template: models.Template, actor: Actor
) -> None:
    job = await make.job(template, original_file_name="")

    assert (await ask(EVERYTHING, by=actor, id=str(job.id))).root_field["fileName"] is None


@pytest.mark.parametrize(
    ("status", "messages", "fraction", "final"),
    [
        ("pending", [], 0.0, False),
        ("finished", ["delivered", "failed"], 1.0, True),
        ("finished all notifications created", ["delivered", "sending"], 0.5, False),
        ("sending limits exceeded", [], 0.0, True),
        ("cancelled", [], 0.0, True),
        ("cancelled", ["cancelled", "cancelled"], 1.0, True),
    ],
)
async def test_progress_counts_messages_by_status(
    make: Builders,
    ask: Ask,
    template: models.Template,
    actor: Actor,
    status: str,
    messages: list[str],
    fraction: float,
    final: bool,
) -> None:
    job = await make.job(template, notification_count=2, job_status=status)
    for row, message in enumerate(messages):
        await make.notification(template, job_id=job.id, job_row_number=row, status=message)

    progress = (await ask(EVERYTHING, by=actor, id=str(job.id))).root_field["progress"]

    assert (progress["created"], progress["fractionComplete"], progress["isFinal"]) == (len(messages), fraction, final)


async def test_progress_counts_messages_past_their_retention(
    make: Builders, ask: Ask, template: models.Template, actor: Actor
) -> None:
    job = await make.job(template, notification_count=2)
    await make.notification(template, job_id=job.id, job_row_number=0)
    await make.add(
        models.NotificationHistory(
            id=uuid4(),
            service_id=template.service_id,
            template_id=template.id,
            template_version=1,
            notification_type="sms",
            status="temporary-failure",
            key_type="normal",
            job_id=job.id,
            job_row_number=1,
        )
    )

    progress = (await ask(EVERYTHING, by=actor, id=str(job.id))).root_field["progress"]

    assert progress == {
        "total": 2,
        "created": 2,
        "inProgress": 0,
        "delivered": 1,
        "failed": 1,
        "cancelled": 0,
        "fractionComplete": 1.0,
        "isFinal": True,
    }


async def test_progress_of_a_job_with_deleted_messages_is_that_of_the_nightly_facts(
    make: Builders, ask: Ask, template: models.Template, actor: Actor, statements: Statements
) -> None:
    old, recent = await make.job(template, notification_count=5), await make.job(template, notification_count=2)

    def fact(job: models.Job, day: int, status: str, count: int) -> models.Model:
        return models.NotificationStatusFact(
            bst_date=date(2025, 3, day),
            template_id=template.id,
            service_id=template.service_id,
            job_id=job.id,
            notification_type="sms",
            key_type="normal",
            notification_status=status,
            notification_count=count,
        )

    # The history of the old job's first day is deleted; a status of the recent job has changed since the facts.
    await make.add(
        fact(old, 1, "delivered", 2),
        fact(old, 2, "delivered", 2),
        fact(old, 2, "failed", 1),
        fact(recent, 2, "sending", 2),
    )
    for row in (3, 4):
        await make.notification_history(template, job_id=old.id, job_row_number=row)
    for row in (0, 1):
        await make.notification_history(template, job_id=recent.id, job_row_number=row)
    document = """query ($id: ID!) { template(id: $id) { jobs { nodes {
        id progress { created inProgress delivered failed isFinal }
    } } } }"""

    with statements(3):
        answer = await ask(document, by=actor, id=str(template.id))

    assert {node["id"]: node["progress"] for node in answer.root_field["jobs"]["nodes"]} == {
        str(old.id): {"created": 5, "inProgress": 0, "delivered": 4, "failed": 1, "isFinal": True},
        str(recent.id): {"created": 2, "inProgress": 0, "delivered": 2, "failed": 0, "isFinal": True},
    }


async def test_a_job_of_a_key_names_the_key_to_those_who_see_it(
    make: Builders, ask: Ask, service: models.Service, template: models.Template, actor: Actor
) -> None:
    api_key = await make.api_key(service)
    job = await make.job(template, created_by_id=None)
    await make.add(models.JobRun(job_id=job.id, api_key_id=api_key.id))
    viewer = user_actor(await make.member(service), service, permissions=[ServicePermission.VIEW_ACTIVITY])

    async def made_by(who: Actor) -> Any:
        return (await ask(EVERYTHING, by=who, id=str(job.id))).root_field["createdBy"]

    assert await made_by(actor) == {"__typename": "ApiKey", "id": str(api_key.id)}
    assert await made_by(api_key_actor(api_key)) == {"__typename": "ApiKey", "id": str(api_key.id)}
    assert await made_by(viewer) is None


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ({}, ["c", "b", "a"]),
        ({"archived": None}, ["d", "c", "b", "a"]),
        ({"archived": True}, ["d"]),
        ({"statuses": ["SCHEDULED", "FINISHED"]}, ["c", "b"]),
        ({"createdAt": {"from": "2026-06-01T12:01:00Z", "to": "2026-06-01T12:02:00Z"}}, ["b"]),
    ],
)
async def test_jobs_are_filtered_and_latest_first(
    make: Builders,
    ask: Ask,
    template: models.Template,
    actor: Actor,
    conditions: dict[str, Any],
    names: list[str],
    statements: Statements,
) -> None:
    jobs_by_name: dict[str, dict[str, Any]] = {
        "a": {"job_status": "pending"},
        "b": {"job_status": "scheduled", "scheduled_for": NOON},
        "c": {"job_status": "finished", "processing_started": NOON},
        "d": {"archived": True},
    }
    for minute, (name, values) in enumerate(jobs_by_name.items()):
        created_at = NOON + timedelta(minutes=minute)
        await make.job(template, original_file_name=name, created_at=created_at, **values)

    with statements(4):
        answer = await ask(LIST, by=actor, service=str(template.service_id), filter=conditions)
    jobs = answer.root_field["jobs"]

    assert ([node["fileName"] for node in jobs["nodes"]], jobs["totalCount"]) == (names, len(names))


@pytest.mark.parametrize(
    ("field", "direction", "names"),
    [
        ("CREATED_AT", "ASC", ["a", "b", "c"]),
        ("SCHEDULED_FOR", "ASC", ["b", "a", "c"]),
        ("SCHEDULED_FOR", "DESC", ["b", "c", "a"]),
        ("PROCESSING_STARTED_AT", "DESC", ["c", "b", "a"]),
    ],
)
async def test_jobs_are_in_the_given_order(
    make: Builders, ask: Ask, template: models.Template, actor: Actor, field: str, direction: str, names: list[str]
) -> None:
    await make.job(template, original_file_name="a")
    await make.job(template, original_file_name="b", scheduled_for=NOON)
    await make.job(template, original_file_name="c", processing_started=NOON)

    order = {"field": field, "direction": direction}
    answer = await ask(LIST, by=actor, service=str(template.service_id), orderBy=order)

    assert [node["fileName"] for node in answer.root_field["jobs"]["nodes"]] == names


async def test_a_job_is_made_of_a_file_in_the_call(ask: Ask, template: models.Template, actor: Actor) -> None:
    answer = await ask(CREATE, by=actor, input=source(template))

    assert answer.user_errors == []
    assert answer.root_field["job"] | {"id": ""} == {
        "id": "",
        "fileName": "people.csv",
        "status": "PENDING",
        "recipientCount": 2,
        "scheduledFor": None,
        "createdBy": {"__typename": "User"},
        "progress": {"total": 2, "created": 0, "isFinal": False},
    }


async def test_a_job_is_made_of_rows_for_later(
    make: Builders, ask: Ask, service: models.Service, template: models.Template
) -> None:
    at = (models.utcnow() + timedelta(days=2)).replace(microsecond=0)
    rows = [{"recipient": {"phoneNumber": "07700900001"}, "personalisation": {"name": "x"}, "reference": "r"}]

    answer = await ask(
        CREATE,
        by=api_key_actor(await make.api_key(service)),
        input={"templateId": str(template.id), "source": {"rows": rows}, "schedule": {"at": f"{at.isoformat()}Z"}},
    )

    assert answer.user_errors == []
    job = answer.root_field["job"]
    assert (job["status"], job["scheduledFor"], job["fileName"]) == ("SCHEDULED", f"{at.isoformat()}Z", None)
    assert job["createdBy"] == {"__typename": "ApiKey"}


async def test_a_refused_list_has_the_result_of_the_check(
    ask: Ask, template: models.Template, actor: Actor, database: Database
) -> None:
    answer = await ask(CREATE, by=actor, input=source(template, GOOD + "x,y\n"))

    assert answer.root_field == {
        "job": None,
        "userErrors": [
            {
                "__typename": "RecipientListError",
                "message": "1 row has problems. Row 4, column \u2018phone number\u2019: A phone number can only have"
                " digits, spaces and the characters ( ) - +.",
                "code": "PHONE_UNKNOWN_CHARACTER",
                "path": ["input", "source", "csv"],
                "check": {
                    "valid": False,
                    "rowCount": 3,
                    "rowsWithErrorsCount": 1,
                    "rowErrors": [
                        {
                            "rowNumber": 2,
                            "column": "phone number",
                            "code": "PHONE_UNKNOWN_CHARACTER",
                            "message": "A phone number can only have digits, spaces and the characters ( ) - +.",
                        }
                    ],
                    "problems": [],
                },
            }
        ],
    }
    async with database.read_connection() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM jobs"))).scalar() == 0


async def test_good_rows_are_sent_with_the_error_policy_send_good_rows(
    ask: Ask, template: models.Template, actor: Actor
) -> None:
    arguments = source(template, GOOD + "x,y\n", errorPolicy="SEND_GOOD_ROWS")

    assert (await ask(CREATE, by=actor, input=arguments)).root_field["job"]["recipientCount"] == 3


async def test_the_same_idempotency_key_creates_one_job(ask: Ask, template: models.Template, actor: Actor) -> None:
    first = await ask(CREATE, by=actor, input=source(template, idempotencyKey="k"))
    again = await ask(CREATE, by=actor, input=source(template, idempotencyKey="k"))
    other = await ask(CREATE, by=actor, input=source(template, GOOD + "07700900003,z\n", idempotencyKey="k"))

    assert again.root_field == first.root_field
    assert [error["code"] for error in other.user_errors] == ["IDEMPOTENCY_KEY_REUSED"]


async def test_creating_jobs_consumes_tokens(make: Builders, ask: Ask) -> None:
    service = await make.service(rate_limit=1)
    template = await make.template(service)
    actor = user_actor(await make.member(service), service)

    answers = [await ask(CREATE, by=actor, input=source(template, "")) for _ in range(3)]

    assert [[error["code"] for error in answer.user_errors] for answer in answers] == [
        ["FILE_EMPTY"],
        ["FILE_EMPTY"],
        ["RATE_LIMITED"],
    ]


async def test_a_scheduled_job_can_be_stopped_once(
    make: Builders, ask: Ask, template: models.Template, actor: Actor
) -> None:
    job = await make.job(template, job_status="scheduled", scheduled_for=NOON)

    first = await ask(CANCEL, by=actor, input={"jobId": str(job.id)})
    again = await ask(CANCEL, by=actor, input={"jobId": str(job.id)})
    hidden = await ask(CANCEL, by=stranger(), input={"jobId": str(job.id)})

    assert first.root_field == {
        "job": {"id": str(job.id), "status": "CANCELLED"},
        "cancelledNotificationCount": 0,
        "userErrors": [],
    }
    assert again.root_field == {
        "job": None,
        "cancelledNotificationCount": 0,
        "userErrors": [
            {
                "__typename": "IllegalStateError",
                "code": "ILLEGAL_STATE",
                "path": ["input", "jobId"],
                "currentState": "CANCELLED",
                "allowedStates": ["SCHEDULED"],
            }
        ],
    }
    assert [error["__typename"] for error in hidden.user_errors] == ["NotFoundError"]


async def test_who_may_see_jobs(make: Builders, ask: Ask, service: models.Service, template: models.Template) -> None:
    job = await make.job(template)
    user = await make.member(service)
    document = "query ($id: ID!) { job(id: $id) { id } }"

    for permission in ServicePermission:
        seen = (
            await ask(document, by=user_actor(user, service, permissions=[permission]), id=str(job.id))
        ).root_field is not None
        assert seen is (permission.name == "VIEW_ACTIVITY" or permission.name.startswith("SEND_"))
    assert (await ask(document, by=stranger(), id=str(job.id))).root_field is None
