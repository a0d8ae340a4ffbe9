"""Checks of lists of recipients through GraphQL."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.enums import ServicePermission
from tests.builders import Builders, stranger, user_actor
from tests.conftest import Ask

CHECK = """
query ($input: CheckRecipientsInput!) {
  checkRecipients(input: $input) {
    valid columns recipientColumns unusedColumns missingColumns rowCount rowsWithErrorsCount
    problems { __typename message code path ... on DailyLimitExceededError { limit used requested } }
    rowErrors { rowNumber column code message }
    sample { rowNumber recipient personalisation message { text missingPlaceholders errors { code } } }
    internationalCount duplicateRecipientCount totalUnits estimatedCost { amount currency } remainingToday
    alreadySent { id }
  }
}
"""


@pytest.fixture
async def service(make: Builders) -> models.Service:
    return await make.service(name="Tax", sms_message_limit=3)


def csv_input(template: models.Template, content: str) -> dict[str, Any]:
    return {
        "serviceId": str(template.service_id),
        "templateId": str(template.id),
        "source": {"csv": {"fileName": "people.csv", "content": content}},
    }


async def test_a_valid_list_has_counts_and_a_sample(
    make: Builders, ask: Ask, template: models.Template, actor: Actor, database: Database
) -> None:
    job = await make.job(template, original_file_name="people.csv")
    content = "Phone Number,Name,Note\n07700 900001,Zoë,x\n+44 7700900001,Åsa,\n"

    answer = await ask(CHECK, by=actor, input=csv_input(template, content))

    assert answer.root_field == {
        "valid": True,
        "columns": ["Phone Number", "Name", "Note"],
        "recipientColumns": ["Phone Number"],
        "unusedColumns": ["Note"],
        "missingColumns": [],
        "rowCount": 2,
        "rowsWithErrorsCount": 0,
        "problems": [],
        "rowErrors": [],
        "sample": [
            {
                "rowNumber": 0,
                "recipient": "07700 900001",
                "personalisation": {"Phone Number": "07700 900001", "Name": "Zoë", "Note": "x"},
                "message": {"text": "Tax: Hello Zoë", "missingPlaceholders": [], "errors": []},
            },
            {
                "rowNumber": 1,
                "recipient": "+44 7700900001",
                "personalisation": {"Phone Number": "+44 7700900001", "Name": "Åsa", "Note": None},
                "message": {"text": "Tax: Hello Åsa", "missingPlaceholders": [], "errors": []},
            },
        ],
        "internationalCount": 0,
        "duplicateRecipientCount": 1,
        "totalUnits": 2,
        "estimatedCost": {"amount": "0.048", "currency": "GBP"},
        "remainingToday": 3,
        "alreadySent": {"id": str(job.id)},
    }
    async with database.read_connection() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM jobs"))).scalar() == 1
        assert (await connection.execute(text("SELECT count(*) FROM rate_buckets"))).scalar() == 0


async def test_a_check_lists_the_problems_of_a_list(ask: Ask, template: models.Template, actor: Actor) -> None:
    check = (await ask(CHECK, by=actor, input=csv_input(template, "phone number\n07700900001\nx\n"))).root_field

    assert (check["valid"], check["missingColumns"]) == (False, ["name"])
    assert check["problems"] == [
        {
            "__typename": "ValidationError",
            "message": "The list lacks columns that the template needs: name.",
            "code": "MISSING_PLACEHOLDER_COLUMN",
            "path": ["input", "source", "csv"],
        }
    ]
    assert check["rowErrors"] == [
        {
            "rowNumber": 1,
            "column": "phone number",
            "code": "PHONE_UNKNOWN_CHARACTER",
            "message": "A phone number can only have digits, spaces and the characters ( ) - +.",
        }
    ]
    assert check["sample"][0]["message"] == {
        "text": "Tax: Hello ((name))",
        "missingPlaceholders": ["name"],
        "errors": [{"code": "MISSING_PERSONALISATION"}],
    }


async def test_a_list_over_the_daily_limit_has_a_problem(ask: Ask, template: models.Template, actor: Actor) -> None:
    rows = "".join(f"0770090000{row},x\n" for row in range(4))

    check = (await ask(CHECK, by=actor, input=csv_input(template, "phone number,name\n" + rows))).root_field

    assert (check["valid"], check["remainingToday"]) == (False, 3)
    assert check["problems"] == [
        {
            "__typename": "DailyLimitExceededError",
            "message": "The service can send 3 text messages a day and has sent 0 today.",
            "code": "DAILY_LIMIT_EXCEEDED",
            "path": ["input", "source", "csv"],
            "limit": 3,
            "used": 0,
            "requested": 4,
        }
    ]


async def test_an_unreadable_file_is_a_problem_of_the_list(
    make: Builders, ask: Ask, service: models.Service, actor: Actor
) -> None:
    archived = await make.template(service, archived=True)

    check = (await ask(CHECK, by=actor, input=csv_input(archived, "x"))).root_field

    assert (check["valid"], check["rowCount"], check["sample"]) == (False, 0, [])
    assert [(problem["code"], problem["path"]) for problem in check["problems"]] == [
        ("TEMPLATE_ARCHIVED", ["input", "templateId"])
    ]


async def test_a_check_of_a_missing_object_is_null(ask: Ask, template: models.Template, actor: Actor) -> None:
    arguments = csv_input(template, "x")

    for who, values in (
        (stranger(), arguments),
        (actor, arguments | {"templateId": str(uuid4())}),
        (actor, arguments | {"source": {"uploadId": str(uuid4())}}),
        (actor, arguments | {"source": {"contactListId": "x"}}),
    ):
        assert (await ask(CHECK, by=who, input=values)).root_field is None


async def test_only_callers_who_may_send_can_check_a_list(
    make: Builders, ask: Ask, service: models.Service, template: models.Template
) -> None:
    viewer = user_actor(await make.member(service), service, permissions=[ServicePermission.VIEW_ACTIVITY])

    assert (await ask(CHECK, by=viewer, input=csv_input(template, "x"))).error_codes == ["FORBIDDEN"]
    assert (await ask(CHECK, input=csv_input(template, "x"))).error_codes == ["UNAUTHENTICATED"]
