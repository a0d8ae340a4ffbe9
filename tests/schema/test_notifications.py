"""A message through GraphQL: every field, and which are hidden from whom."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.enums import Channel, KeyType, ServicePermission
from tests.builders import Builders, api_key_actor, platform_admin, stranger, user_actor
from tests.conftest import Ask, Statements

EVERYTHING = """
query ($id: ID!) {
  notification(id: $id) {
    id channel status statusText statusGroup isFinal recipient reference personalisation keyType jobRowNumber provider
    createdAt sentAt updatedAt completedAt
    service { id } template { id name } templateVersion { id version body } apiKey { id } createdBy { id } job { id }
    content { subject text missingPlaceholders errors { code } sms { fragmentCount } }
    cost { total { amount currency } unitRate { amount } billableUnits ready }
    email { replyToAddress oneClickUnsubscribeUrl fileCount }
    sms { sender fragmentCount international callingCode rateMultiplier }
    letter {
      contactBlock addressLines postage sheetCount printDeadline estimatedDelivery { from to } validationProblems
    }
  }
}
"""
NOON = datetime(2026, 6, 1, 12)  # noqa: DTZ001 - naive UTC, as the database


async def test_a_text_message_has_every_field(make: Builders, ask: Ask, statements: Statements) -> None:
    service = await make.service(name="Tax")
    template = await make.template(service)
    user = await make.member(service)
    sent = await make.notification(
        template,
        personalisation={"name": "Zoë"},
        created_by_id=user.id,
        reply_to_text="GOVUK",
        client_reference="ref-1",
        phone_prefix="33",
        international=True,
        rate_multiplier=2,
        billable_units=3,
        sent_by="mmg",
        created_at=NOON,
        sent_at=NOON + timedelta(seconds=1),
        updated_at=NOON + timedelta(seconds=2, microseconds=5),
    )

    with statements(6):
        answer = await ask(EVERYTHING, by=user_actor(user, service), id=str(sent.id))

    assert answer.root_field == {
        "id": str(sent.id),
        "channel": "SMS",
        "status": "DELIVERED",
        "statusText": "Delivered",
        "statusGroup": "DELIVERED",
        "isFinal": True,
        "recipient": "07700900123",
        "reference": "ref-1",
        "personalisation": {"name": "Zoë"},
        "keyType": "LIVE",
        "jobRowNumber": None,
        "provider": "mmg",
        "createdAt": "2026-06-01T12:00:00Z",
        "sentAt": "2026-06-01T12:00:01Z",
        "updatedAt": "2026-06-01T12:00:02.000005Z",
        "completedAt": "2026-06-01T12:00:02.000005Z",
        "service": {"id": str(service.id)},
        "template": {"id": str(template.id), "name": template.name},
        "templateVersion": {"id": f"{template.id}:1", "version": 1, "body": "Hello ((name))"},
        "apiKey": None,
        "createdBy": {"id": str(user.id)},
        "job": None,
        "content": {
            "subject": None,
            "text": "Tax: Hello Zoë",
            "missingPlaceholders": [],
            "errors": [],
            "sms": {"fragmentCount": 1},
        },
        "cost": {
            "total": {"amount": "0.144", "currency": "GBP"},
            "unitRate": {"amount": "0.024"},
            "billableUnits": 6,
            "ready": True,
        },
        "email": None,
        "sms": {
            "sender": "GOVUK",
            "fragmentCount": 3,
            "international": True,
            "callingCode": "33",
            "rateMultiplier": "2",
        },
        "letter": None,
    }


async def test_an_email_costs_nothing_and_has_a_reply_to_address(make: Builders, ask: Ask) -> None:
    service = await make.service()
    template = await make.template(service, Channel.EMAIL, content="# Hi ((name))")
    api_key = await make.api_key(service, KeyType.TEAM)
    sent = await make.notification(
        template,
        personalisation={"thing": "form", "name": ["a", "b"]},
        api_key_id=api_key.id,
        key_type="team",
        status="permanent-failure",
        reply_to_text="replies@example.gov.uk",
        unsubscribe_link="https://example.gov.uk/stop",
        document_download_count=2,
        created_at=NOON,
        billable_units=0,
    )

    data = (await ask(EVERYTHING, by=api_key_actor(api_key), id=str(sent.id))).root_field

    assert (data["statusText"], data["statusGroup"], data["keyType"]) == ("No such email address", "FAILED", "TEAM")
    assert (data["apiKey"], data["createdBy"]) == ({"id": str(api_key.id)}, None)
    assert data["content"]["subject"] == "Your form"
    assert data["content"]["text"].startswith("Hi\n")
    assert data["cost"] == {
        "total": {"amount": "0", "currency": "GBP"},
        "unitRate": {"amount": "0"},
        "billableUnits": 0,
        "ready": True,
    }
    assert data["email"] == {
        "replyToAddress": "replies@example.gov.uk",
        "oneClickUnsubscribeUrl": "https://example.gov.uk/stop",
        "fileCount": 2,
    }
    assert (data["sms"], data["letter"]) == (None, None)


async def test_a_letter_has_a_print_deadline_and_delivery_dates(make: Builders, ask: Ask) -> None:
    service = await make.service()
    template = await make.template(service, Channel.LETTER, content="Hello", subject="Tax")
    user = await make.member(service)
    sent = await make.notification(
        template,
        status="sending",
        reply_to_text="Office\n1 Road",
        postage="second",
        billable_units=2,
        # Monday, 17:30 British Summer Time.
        created_at=datetime(2026, 6, 1, 16, 30),  # noqa: DTZ001
    )

    data = (await ask(EVERYTHING, by=user_actor(user, service), id=str(sent.id))).root_field

    assert (data["statusText"], data["isFinal"], data["completedAt"]) == ("Accepted", False, None)
    assert data["letter"] == {
        "contactBlock": "Office\n1 Road",
        "addressLines": ["A. Person", "1 Street", "SW1A 1AA"],
        "postage": "SECOND",
        "sheetCount": 2,
        "printDeadline": "2026-06-02T16:30:00Z",
        "estimatedDelivery": {"from": "2026-06-08", "to": "2026-06-09"},
        "validationProblems": [],
    }
    assert data["cost"] == {
        "total": {"amount": "0.77", "currency": "GBP"},
        "unitRate": {"amount": "0.77"},
        "billableUnits": 2,
        "ready": True,
    }


async def test_a_text_has_no_cost_before_it_is_handed_over(make: Builders, ask: Ask) -> None:
    service = await make.service()
    template = await make.template(service)
    sent = await make.notification(template, status="created", billable_units=0)

    data = (await ask(EVERYTHING, by=user_actor(await make.member(service), service), id=str(sent.id))).root_field

    assert data["cost"] == {"total": None, "unitRate": None, "billableUnits": None, "ready": False}
    assert (data["sms"]["fragmentCount"], data["statusText"], data["isFinal"]) == (None, "Waiting to be sent", False)


@pytest.mark.parametrize(
    ("stored", "status", "group", "sms", "email", "final"),
    [
        ("created", "CREATED", "IN_PROGRESS", "Waiting to be sent", "Waiting to be sent", False),
        ("sending", "SENDING", "IN_PROGRESS", "Sending", "Sending", False),
        ("pending", "PENDING", "IN_PROGRESS", "Sending", "Sending", False),
        ("sent", "SENT", "DELIVERED", "Sent to an international number", "Delivered", True),
        ("delivered", "DELIVERED", "DELIVERED", "Delivered", "Delivered", True),
        (
            "temporary-failure",
            "TEMPORARY_FAILURE",
            "FAILED",
            "Phone not accepting messages right now",
            "Inbox not accepting messages right now",
            True,
        ),
        ("permanent-failure", "PERMANENT_FAILURE", "FAILED", "Not delivered", "No such email address", True),
        ("technical-failure", "TECHNICAL_FAILURE", "FAILED", "Technical failure", "Technical failure", True),
        ("failed", "TECHNICAL_FAILURE", "FAILED", "Technical failure", "Technical failure", True),
        ("validation-failed", "VALIDATION_FAILED", "FAILED", "Validation failed", "Validation failed", True),
        ("cancelled", "CANCELLED", "CANCELLED", "Cancelled", "Cancelled", True),
    ],
)
async def test_each_status_has_the_text_of_its_channel(
    make: Builders, ask: Ask, stored: str, status: str, group: str, sms: str, email: str, final: bool
) -> None:
    service = await make.service()
    actor = user_actor(await make.member(service), service)
    for channel, words in ((Channel.SMS, sms), (Channel.EMAIL, email)):
        sent = await make.notification(await make.template(service, channel), status=stored, updated_at=NOON)
        data = (await ask(EVERYTHING, by=actor, id=str(sent.id))).root_field
        assert [data[name] for name in ("status", "statusGroup", "statusText", "isFinal", "completedAt")] == [
            status,
            group,
            words,
            final,
            "2026-06-01T12:00:00Z" if final else None,
        ]


async def test_a_redacting_template_hides_values_from_everyone(make: Builders, ask: Ask, database: Database) -> None:
    service = await make.service(prefix_sms=False)
    template = await make.template(service)
    user = await make.member(service)
    sent = await make.notification(template, personalisation={"name": "Zoë"})
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE template_redacted SET redact_personalisation = true"))

    for actor in (user_actor(user, service), platform_admin(user), api_key_actor(await make.api_key(service))):
        data = (await ask(EVERYTHING, by=actor, id=str(sent.id))).root_field
        assert (data["personalisation"], data["content"]["text"]) == (None, "Hello ((name))")
        assert data["recipient"] == "07700900123"


async def test_a_message_can_be_read_after_its_personal_data_are_erased(make: Builders, ask: Ask) -> None:
    service = await make.service()
    template = await make.template(service)
    user = await make.member(service)
    history = models.NotificationHistory(
        id=uuid4(),
        service_id=service.id,
        template_id=template.id,
        template_version=1,
        notification_type="sms",
        status="delivered",
        key_type="normal",
        created_by_id=user.id,
        client_reference="kept",
        billable_units=1,
        rate_multiplier=1,
        created_at=NOON,
        updated_at=NOON,
    )
    await make.add(history)

    data = (await ask(EVERYTHING, by=user_actor(user, service), id=str(history.id))).root_field

    assert [data[name] for name in ("recipient", "personalisation", "content")] == [None, None, None]
    assert (data["reference"], data["status"], data["createdBy"]) == ("kept", "DELIVERED", {"id": str(user.id)})
    assert data["cost"]["total"] == {"amount": "0.024", "currency": "GBP"}
    assert data["sms"]["sender"] is None
    node = await ask(
        "query ($id: ID!) { node(id: $id) { __typename id } }", by=user_actor(user, service), id=str(history.id)
    )
    assert node.root_field == {"__typename": "Notification", "id": str(history.id)}


async def test_who_may_read_a_message(make: Builders, ask: Ask) -> None:
    service = await make.service()
    sent = await make.notification(await make.template(service))
    user = await make.member(service)
    test_key = api_key_actor(await make.api_key(service, KeyType.TEST))

    async def sees(actor: Actor) -> bool:
        return (
            await ask("query ($id: ID!) { notification(id: $id) { id } }", by=actor, id=str(sent.id))
        ).root_field is not None

    assert await sees(user_actor(user, service, permissions=[ServicePermission.VIEW_ACTIVITY]))
    assert await sees(user_actor(user, service, permissions=[ServicePermission.SEND_TEXTS]))
    assert await sees(platform_admin(user))
    assert await sees(api_key_actor(await make.api_key(service)))
    assert not await sees(
        user_actor(user, service, permissions=[ServicePermission.SEND_EMAILS, ServicePermission.MANAGE_TEMPLATES])
    )
    assert not await sees(test_key)
    assert not await sees(stranger())
    assert (await ask("query ($id: ID!) { notification(id: $id) { id } }", id=str(sent.id))).error_codes == [
        "UNAUTHENTICATED"
    ]
