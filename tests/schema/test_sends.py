"""Sending through GraphQL: results and errors."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.enums import KeyType
from tests.builders import Builders, api_key_actor, stranger, user_actor
from tests.conftest import Ask

ERRORS = """
userErrors {
  __typename message code path
  ... on NotFoundError { missingId }
  ... on IllegalStateError { currentState allowedStates }
  ... on RateLimitedError { limit windowSeconds retryAfterSeconds }
  ... on DailyLimitExceededError { channel international limit used requested }
  ... on MissingPersonalisationError { placeholders }
  ... on MessageTooLongError { length limit unit }
  ... on RecipientNotAllowedError { reason }
}
"""
SEND = f"""
mutation ($input: SendNotificationInput!) {{
  sendNotification(input: $input) {{
    notification {{ id status recipient reference personalisation content {{ text }} keyType createdBy {{ id }} }}
    {ERRORS}
  }}
}}
"""
SEND_MANY = """
mutation ($input: SendNotificationsInput!) {
  sendNotifications(input: $input) {
    acceptedCount rejectedCount
    results { index notification { recipient content { text } } errors { __typename code path } }
    userErrors { code path }
  }
}
"""


@pytest.fixture
async def service(make: Builders) -> models.Service:
    return await make.service(name="Tax")


def send_input(template: models.Template, number: str = "07700 900123", **more: Any) -> dict[str, Any]:
    return {
        "serviceId": str(template.service_id),
        "templateId": str(template.id),
        "recipient": {"phoneNumber": number},
        "personalisation": {"name": "Zoë"},
    } | more


async def count(database: Database, table: str) -> int:
    async with database.read_connection() as connection:
        count: int = (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
        return count


async def test_sending_returns_the_stored_message(
    ask: Ask, template: models.Template, actor: Actor, database: Database
) -> None:
    answer = await ask(SEND, by=actor, input=send_input(template, reference="r"))

    assert answer.user_errors == []
    sent = answer.root_field["notification"]
    assert sent | {"id": ""} == {
        "id": "",
        "status": "CREATED",
        "recipient": "07700 900123",
        "reference": "r",
        "personalisation": {"name": "Zoë"},
        "content": {"text": "Tax: Hello Zoë"},
        "keyType": "LIVE",
        "createdBy": {"id": str(actor.user_id)},
    }
    assert await count(database, "notifications") == 1


async def test_a_key_need_not_name_its_service(
    make: Builders, ask: Ask, service: models.Service, template: models.Template
) -> None:
    arguments = send_input(template)
    del arguments["serviceId"]

    answer = await ask(SEND, by=api_key_actor(await make.api_key(service, KeyType.TEST)), input=arguments)

    assert (answer.root_field["notification"]["keyType"], answer.root_field["notification"]["createdBy"]) == (
        "TEST",
        None,
    )


async def test_a_smoke_test_returns_a_message_without_storing_it(
    ask: Ask, template: models.Template, actor: Actor, database: Database
) -> None:
    answer = await ask(SEND, by=actor, input=send_input(template, "07700900000"))

    assert answer.root_field["notification"]["content"] == {"text": "Tax: Hello Zoë"}
    assert await count(database, "notifications") == 0


async def test_a_smoke_test_of_a_redacting_template_hides_its_values(
    ask: Ask, template: models.Template, actor: Actor, database: Database
) -> None:
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE template_redacted SET redact_personalisation = true"))

    sent = (await ask(SEND, by=actor, input=send_input(template, "07700900000"))).root_field["notification"]

    assert (sent["personalisation"], sent["content"]) == (None, {"text": "Tax: Hello ((name))"})


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        (
            {"personalisation": None},
            [
                {
                    "__typename": "MissingPersonalisationError",
                    "message": "Missing personalisation: name",
                    "code": "MISSING_PERSONALISATION",
                    "path": ["input", "personalisation"],
                    "placeholders": ["name"],
                }
            ],
        ),
        (
            {"personalisation": {"name": "x" * 913}},
            [
                {
                    "__typename": "MessageTooLongError",
                    "message": "The message has 919 characters, 1 more than the 918 it may have.",
                    "code": "MESSAGE_TOO_LONG",
                    "path": ["input"],
                    "length": 919,
                    "limit": 918,
                    "unit": "CHARACTERS",
                }
            ],
        ),
        (
            {"personalisation": {"name": "x", "My_Own": {"a": 1}}},
            [
                {
                    "__typename": "ValidationError",
                    "message": "A value must be text, a number, true, false or a list of these.",
                    "code": "INVALID",
                    "path": ["input", "personalisation", "My_Own"],
                }
            ],
        ),
        (
            {"recipient": {"emailAddress": "a@example.com"}},
            [
                {
                    "__typename": "ValidationError",
                    "message": "The template needs a phone number.",
                    "code": "TEMPLATE_CHANNEL_MISMATCH",
                    "path": ["input", "recipient", "emailAddress"],
                }
            ],
        ),
        (
            {"templateId": "x"},
            [
                {
                    "__typename": "NotFoundError",
                    "message": "Nothing that you can see has this id.",
                    "code": "NOT_FOUND",
                    "path": ["input", "templateId"],
                    "missingId": "x",
                }
            ],
        ),
    ],
)
async def test_errors_have_their_values(
    ask: Ask,
    template: models.Template,
    actor: Actor,
    database: Database,
    changes: dict[str, Any],
    errors: list[dict[str, Any]],
) -> None:
    answer = await ask(SEND, by=actor, input=send_input(template) | changes)

    assert answer.user_errors == errors
    assert answer.root_field["notification"] is None
    assert await count(database, "notifications") == 0


async def test_a_trial_service_sends_to_its_team_only(make: Builders, ask: Ask) -> None:
    service = await make.service(restricted=True)
    template = await make.template(service)

    answer = await ask(SEND, by=user_actor(await make.member(service), service), input=send_input(template))

    assert answer.user_errors == [
        {
            "__typename": "RecipientNotAllowedError",
            "message": "A service in trial can send to its own team only.",
            "code": "RECIPIENT_NOT_ALLOWED",
            "path": ["input", "recipient"],
            "reason": "TRIAL_MODE",
        }
    ]


async def test_a_refused_send_consumes_a_token(make: Builders, ask: Ask, database: Database) -> None:
    service = await make.service(rate_limit=3)
    template = await make.template(service)
    actor = user_actor(await make.member(service), service)

    before = models.utcnow()
    for _ in range(2):
        refused = await ask(SEND, by=actor, input=send_input(template, "x"))
        assert [error["code"] for error in refused.user_errors] == ["PHONE_UNKNOWN_CHARACTER"]
    (error,) = (await ask(SEND, by=actor, input=send_input(template))).user_errors

    passed = (models.utcnow() - before).total_seconds()
    assert 20 - passed <= error.pop("retryAfterSeconds") <= 20
    assert error == {
        "__typename": "RateLimitedError",
        "message": "You can send 3 times a minute with live keys. Wait, then send again.",
        "code": "RATE_LIMITED",
        "path": ["input"],
        "limit": 3,
        "windowSeconds": 60,
    }
    assert await count(database, "notifications") == 0


async def test_each_sending_field_of_a_document_consumes_a_token(make: Builders, ask: Ask) -> None:
    service = await make.service(rate_limit=3)
    template = await make.template(service)
    fields = " ".join(f"m{n}: sendNotification(input: $input) {{ userErrors {{ code }} }}" for n in range(3))

    answer = await ask(
        f"mutation ($input: SendNotificationInput!) {{ {fields} }}",
        by=user_actor(await make.member(service), service),
        input=send_input(template),
    )

    assert answer.data == {
        "m0": {"userErrors": []},
        "m1": {"userErrors": []},
        "m2": {"userErrors": [{"code": "RATE_LIMITED"}]},
    }


async def test_a_caller_who_does_not_see_the_service_cannot_send(ask: Ask, template: models.Template) -> None:
    (error,) = (await ask(SEND, by=stranger(), input=send_input(template))).user_errors
    assert (error["__typename"], error["path"]) == ("NotFoundError", ["input", "serviceId"])
    assert (await ask(SEND, input=send_input(template))).error_codes == ["UNAUTHENTICATED"]


async def test_exactly_one_recipient_must_be_given(ask: Ask, template: models.Template, actor: Actor) -> None:
    for recipient in ({}, {"phoneNumber": "07700900123", "emailAddress": "a@example.com"}):
        answer = await ask(SEND, by=actor, input=send_input(template) | {"recipient": recipient})
        assert (answer.data, len(answer.errors)) == (None, 1)


async def test_the_same_idempotency_key_returns_the_same_message(
    ask: Ask, template: models.Template, actor: Actor, database: Database
) -> None:
    first = await ask(SEND, by=actor, input=send_input(template, idempotencyKey="k"))
    again = await ask(SEND, by=actor, input=send_input(template, idempotencyKey="k"))
    other = await ask(SEND, by=actor, input=send_input(template, idempotencyKey="k", reference="other"))

    assert again.root_field == first.root_field
    assert [(error["__typename"], error["code"], error["path"]) for error in other.user_errors] == [
        ("IdempotencyError", "IDEMPOTENCY_KEY_REUSED", ["input", "idempotencyKey"])
    ]
    assert await count(database, "notifications") == 1


async def test_results_of_many_are_in_the_order_of_the_items(ask: Ask, template: models.Template, actor: Actor) -> None:
    items = [
        {"recipient": {"phoneNumber": "07700900001"}, "personalisation": {"name": "a"}},
        {"recipient": {"phoneNumber": "0770090"}, "personalisation": {"name": "b"}},
        {"recipient": {"phoneNumber": "07700900000"}, "personalisation": {"name": "c"}},
    ]

    answer = await ask(
        SEND_MANY,
        by=actor,
        input={"serviceId": str(template.service_id), "templateId": str(template.id), "items": items},
    )

    assert answer.root_field == {
        "acceptedCount": 2,
        "rejectedCount": 1,
        "results": [
            {
                "index": 0,
                "notification": {"recipient": "07700900001", "content": {"text": "Tax: Hello a"}},
                "errors": [],
            },
            {
                "index": 1,
                "notification": None,
                "errors": [
                    {
                        "__typename": "ValidationError",
                        "code": "PHONE_TOO_SHORT",
                        "path": ["input", "items", "1", "recipient", "phoneNumber"],
                    }
                ],
            },
            {
                "index": 2,
                "notification": {"recipient": "07700900000", "content": {"text": "Tax: Hello c"}},
                "errors": [],
            },
        ],
        "userErrors": [],
    }


async def test_a_refused_call_of_many_has_no_results(ask: Ask, template: models.Template, actor: Actor) -> None:
    arguments = {"serviceId": str(template.service_id), "templateId": str(template.id), "items": []}

    assert (await ask(SEND_MANY, by=actor, input=arguments)).root_field == {
        "acceptedCount": 0,
        "rejectedCount": 0,
        "results": [],
        "userErrors": [{"code": "REQUIRED", "path": ["input", "items"]}],
    }
