"""Messages through GraphQL: every field, lists with their filters and orders, and what is hidden."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.actors import Actor
from graphql_api.database import Database
from graphql_api.enums import Channel, KeyType, ServicePermission
from tests.builders import Builders, key, person, platform_admin, stranger
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
LIST = """
query ($service: ID!, $filter: NotificationFilter, $orderBy: NotificationOrder, $first: Int, $after: String) {
  service(id: $service) {
    notifications(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {
      nodes { id } totalCount pageInfo { hasNextPage endCursor }
    }
  }
}
"""
NOON = datetime(2026, 6, 1, 12)  # noqa: DTZ001 - naive UTC, as the database


async def test_a_text_message_tells_everything(make: Builders, ask: Ask, statements: Statements) -> None:
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
        answer = await ask(EVERYTHING, by=person(user, service), id=str(sent.id))

    assert answer.field == {
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


async def test_an_email_costs_nothing_and_says_where_replies_go(make: Builders, ask: Ask) -> None:
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

    found = (await ask(EVERYTHING, by=key(api_key), id=str(sent.id))).field

    assert (found["statusText"], found["statusGroup"], found["keyType"]) == ("No such email address", "FAILED", "TEAM")
    assert (found["apiKey"], found["createdBy"]) == ({"id": str(api_key.id)}, None)
    assert found["content"]["subject"] == "Your form"
    assert found["content"]["text"].startswith("Hi\n")
    assert found["cost"] == {
        "total": {"amount": "0", "currency": "GBP"},
        "unitRate": {"amount": "0"},
        "billableUnits": 0,
        "ready": True,
    }
    assert found["email"] == {
        "replyToAddress": "replies@example.gov.uk",
        "oneClickUnsubscribeUrl": "https://example.gov.uk/stop",
        "fileCount": 2,
    }
    assert (found["sms"], found["letter"]) == (None, None)


async def test_a_letter_tells_when_it_is_printed_and_arrives(make: Builders, ask: Ask) -> None:
    service = await make.service()
    template = await make.template(service, Channel.LETTER, content="Hello", subject="Tax")
    user = await make.member(service)
    sent = await make.notification(
        template,
        status="sending",
        reply_to_text="Office\n1 Road",
        postage="second",
        billable_units=2,
        # Monday, half past five in London's summer.
        created_at=datetime(2026, 6, 1, 16, 30),  # noqa: DTZ001
    )

    found = (await ask(EVERYTHING, by=person(user, service), id=str(sent.id))).field

    assert (found["statusText"], found["isFinal"], found["completedAt"]) == ("Accepted", False, None)
    assert found["letter"] == {
        "contactBlock": "Office\n1 Road",
        "addressLines": ["A. Person", "1 Street", "SW1A 1AA"],
        "postage": "SECOND",
        "sheetCount": 2,
        "printDeadline": "2026-06-02T16:30:00Z",
        "estimatedDelivery": {"from": "2026-06-08", "to": "2026-06-09"},
        "validationProblems": [],
    }
    assert found["cost"] == {
        "total": {"amount": "0.77", "currency": "GBP"},
        "unitRate": {"amount": "0.77"},
        "billableUnits": 2,
        "ready": True,
    }


async def test_a_text_has_no_cost_before_it_is_handed_over(make: Builders, ask: Ask) -> None:
    service = await make.service()
    template = await make.template(service)
    sent = await make.notification(template, status="created", billable_units=0)

    found = (await ask(EVERYTHING, by=person(await make.member(service), service), id=str(sent.id))).field

    assert found["cost"] == {"total": None, "unitRate": None, "billableUnits": None, "ready": False}
    assert (found["sms"]["fragmentCount"], found["statusText"], found["isFinal"]) == (None, "Waiting to be sent", False)


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
async def test_each_status_is_told_in_the_words_of_its_channel(
    make: Builders, ask: Ask, stored: str, status: str, group: str, sms: str, email: str, final: bool
) -> None:
    service = await make.service()
    actor = person(await make.member(service), service)
    for channel, words in ((Channel.SMS, sms), (Channel.EMAIL, email)):
        sent = await make.notification(await make.template(service, channel), status=stored, updated_at=NOON)
        found = (await ask(EVERYTHING, by=actor, id=str(sent.id))).field
        assert [found[name] for name in ("status", "statusGroup", "statusText", "isFinal", "completedAt")] == [
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

    for actor in (person(user, service), platform_admin(user), key(await make.api_key(service))):
        found = (await ask(EVERYTHING, by=actor, id=str(sent.id))).field
        assert (found["personalisation"], found["content"]["text"]) == (None, "Hello ((name))")
        assert found["recipient"] == "07700900123"


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

    found = (await ask(EVERYTHING, by=person(user, service), id=str(history.id))).field

    assert [found[name] for name in ("recipient", "personalisation", "content")] == [None, None, None]
    assert (found["reference"], found["status"], found["createdBy"]) == ("kept", "DELIVERED", {"id": str(user.id)})
    assert found["cost"]["total"] == {"amount": "0.024", "currency": "GBP"}
    assert found["sms"]["sender"] is None
    node = await ask(
        "query ($id: ID!) { node(id: $id) { __typename id } }", by=person(user, service), id=str(history.id)
    )
    assert node.field == {"__typename": "Notification", "id": str(history.id)}


async def test_who_may_read_a_message(make: Builders, ask: Ask) -> None:
    service = await make.service()
    sent = await make.notification(await make.template(service))
    user = await make.member(service)
    test_key = key(await make.api_key(service, KeyType.TEST))

    async def sees(actor: Actor) -> bool:
        return (
            await ask("query ($id: ID!) { notification(id: $id) { id } }", by=actor, id=str(sent.id))
        ).field is not None

    assert await sees(person(user, service, may=[ServicePermission.VIEW_ACTIVITY]))
    assert await sees(person(user, service, may=[ServicePermission.SEND_TEXTS]))
    assert await sees(platform_admin(user))
    assert await sees(key(await make.api_key(service)))
    assert not await sees(
        person(user, service, may=[ServicePermission.SEND_EMAILS, ServicePermission.MANAGE_TEMPLATES])
    )
    assert not await sees(test_key)
    assert not await sees(stranger())
    assert (await ask("query ($id: ID!) { notification(id: $id) { id } }", id=str(sent.id))).codes == [
        "UNAUTHENTICATED"
    ]


class Mixed:
    """A service with a bit of everything: names of messages to their rows."""

    def __init__(self, service: models.Service, actor: Actor, rows: dict[str, models.Notification]) -> None:
        self.service = service
        self.actor = actor
        self.rows = rows

    def named(self, nodes: list[dict[str, Any]]) -> list[str]:
        names = {str(row.id): name for name, row in self.rows.items()}
        return [names[node["id"]] for node in nodes]


@pytest.fixture
async def mixed(make: Builders) -> Mixed:
    service = await make.service()
    user = await make.member(service)
    sms, email = await make.template(service), await make.template(service, Channel.EMAIL)
    letter = await make.template(service, Channel.LETTER)
    api_key, test_key = await make.api_key(service), await make.api_key(service, KeyType.TEST)
    job = await make.job(sms)

    def at(minute: int) -> datetime:
        return NOON + timedelta(minutes=minute)

    rows = {
        "by a person": await make.notification(sms, created_by_id=user.id, created_at=at(1)),
        "by a key": await make.notification(
            sms, api_key_id=api_key.id, created_at=at(2), status="failed", client_reference="Case 100%_a"
        ),
        "by a test key": await make.notification(sms, api_key_id=test_key.id, key_type="test", created_at=at(3)),
        "of a job": await make.notification(sms, job_id=job.id, job_row_number=0, created_at=at(4), status="created"),
        "an email": await make.notification(
            email, created_at=at(5), status="sent", normalised_to="zoe.smith@example.com"
        ),
        "a letter": await make.notification(letter, created_at=at(6), status="cancelled"),
    }
    return Mixed(service, person(user, service), rows)


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ({}, ["a letter", "an email", "of a job", "by a test key", "by a key", "by a person"]),
        ({"channels": ["EMAIL", "LETTER"]}, ["a letter", "an email"]),
        ({"channels": []}, []),
        ({"statuses": ["TECHNICAL_FAILURE", "SENT"]}, ["an email", "by a key"]),
        ({"statusGroups": ["DELIVERED"]}, ["an email", "by a test key", "by a person"]),
        ({"statusGroups": ["FAILED", "CANCELLED"]}, ["a letter", "by a key"]),
        ({"statusGroups": ["IN_PROGRESS"], "statuses": ["SENT"]}, []),
        ({"keyTypes": ["TEST"]}, ["by a test key"]),
        ({"reference": "Case 100%_a"}, ["by a key"]),
        ({"reference": "case 100%_a"}, []),
        ({"includeJobs": False}, ["a letter", "an email", "by a test key", "by a key", "by a person"]),
        ({"includeOneOff": False}, ["a letter", "an email", "of a job", "by a test key", "by a key"]),
        (
            {"createdAt": {"from": "2026-06-01T12:02:00Z", "to": "2026-06-01T13:04:00+01:00"}},
            ["by a test key", "by a key"],
        ),
        ({"createdAt": {"from": "2026-06-01T12:06:00Z"}}, ["a letter"]),
        ({"search": "ZOE.Smith"}, ["an email"]),
        ({"search": " 100%_ "}, ["by a key"]),
        ({"search": "100%a"}, []),
        ({"search": "07700 900 123"}, ["of a job", "by a test key", "by a key", "by a person"]),
        ({"search": "+44 (0)7700 900123"}, ["of a job", "by a test key", "by a key", "by a person"]),
        ({"search": "0090012"}, ["of a job", "by a test key", "by a key", "by a person"]),
        ({"search": "SW1A 1aa"}, ["a letter"]),
        ({"templateId": "no uuid"}, []),
    ],
)
async def test_messages_are_filtered(ask: Ask, mixed: Mixed, conditions: dict[str, Any], names: list[str]) -> None:
    answer = await ask(LIST, by=mixed.actor, service=str(mixed.service.id), filter=conditions)

    page = answer.field["notifications"]
    assert mixed.named(page["nodes"]) == names
    assert page["totalCount"] == len(names)


@pytest.mark.parametrize(
    ("field", "attribute", "name"),
    [
        ("templateId", "template_id", "an email"),
        ("jobId", "job_id", "of a job"),
        ("apiKeyId", "api_key_id", "by a key"),
        ("createdById", "created_by_id", "by a person"),
    ],
)
async def test_messages_are_found_by_what_they_belong_to(
    ask: Ask, mixed: Mixed, field: str, attribute: str, name: str
) -> None:
    wanted = {field: str(getattr(mixed.rows[name], attribute))}

    page = (await ask(LIST, by=mixed.actor, service=str(mixed.service.id), filter=wanted)).field["notifications"]

    assert mixed.named(page["nodes"]) == [name]


@pytest.mark.parametrize("search", ["", "ab", "  a  ", "+4", " 0 "])
async def test_a_search_needs_three_characters(ask: Ask, mixed: Mixed, search: str) -> None:
    answer = await ask(LIST, by=mixed.actor, service=str(mixed.service.id), filter={"search": search})

    assert answer.codes == ["BAD_REQUEST"]


async def test_a_search_uses_the_trigram_indexes(database: Database) -> None:
    async with database.reading() as connection:
        await connection.execute(text("SET enable_seqscan = off"))
        plan = "\n".join(
            (
                await connection.execute(
                    text(
                        "EXPLAIN SELECT id FROM notifications WHERE normalised_to LIKE '%770090%'"
                        " OR normalised_to LIKE '%0770090%' OR client_reference ILIKE '%0770090%'"
                    )
                )
            ).scalars()
        )
        await connection.execute(text("RESET enable_seqscan"))

    assert "ix_notifications_normalised_to_trgm" in plan
    assert "ix_notifications_client_reference_trgm" in plan


async def test_pages_go_on_where_they_ended_and_cost_one_statement(
    ask: Ask, mixed: Mixed, statements: Statements
) -> None:
    arguments: dict[str, Any] = {"service": str(mixed.service.id), "first": 4}
    page = "query ($service: ID!, $first: Int, $after: String) { service(id: $service) { notifications(first: $first,"
    page += " after: $after) { nodes { id status recipient } pageInfo { hasNextPage endCursor } } } }"

    with statements(2):
        first = (await ask(page, by=mixed.actor, **arguments)).field["notifications"]
    after = first["pageInfo"]["endCursor"]
    second = (await ask(page, by=mixed.actor, after=after, **arguments)).field["notifications"]

    assert mixed.named(first["nodes"] + second["nodes"]) == [
        "a letter",
        "an email",
        "of a job",
        "by a test key",
        "by a key",
        "by a person",
    ]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)


async def test_the_earliest_can_come_first_and_rows_are_an_order_of_jobs_alone(ask: Ask, mixed: Mixed) -> None:
    by_time = await ask(
        LIST,
        by=mixed.actor,
        service=str(mixed.service.id),
        orderBy={"field": "CREATED_AT", "direction": "ASC"},
        first=2,
    )
    by_row = await ask(LIST, by=mixed.actor, service=str(mixed.service.id), orderBy={"field": "JOB_ROW_NUMBER"})

    assert mixed.named(by_time.field["notifications"]["nodes"]) == ["by a person", "by a key"]
    assert by_row.codes == ["BAD_REQUEST"]


async def test_a_list_costs_the_same_however_long_it_is(make: Builders, ask: Ask, statements: Statements) -> None:
    document = """
    query ($service: ID!) {
      service(id: $service) {
        notifications {
          nodes {
            id statusText content { text } cost { total { amount } } template { name } templateVersion { version }
            createdBy { name } apiKey { name } job { fileName }
          }
        }
      }
    }
    """
    service = await make.service()
    template = await make.template(service)
    user = await make.member(service)
    api_key = await make.api_key(service)
    job = await make.job(template)
    made = {"personalisation": {"name": "x"}, "created_by_id": user.id, "api_key_id": api_key.id}

    for count in (1, 12):
        for row in range(count):
            await make.notification(template, job_id=job.id, job_row_number=100 * count + row, **made)
        with statements(8):
            answer = await ask(document, by=person(user, service), service=str(service.id))
        assert answer.errors == []


async def test_a_key_lists_what_its_own_kind_of_key_made(make: Builders, ask: Ask, mixed: Mixed) -> None:
    test_key = key(await make.api_key(mixed.service, KeyType.TEST))

    answer = await ask(LIST, by=test_key, service=str(mixed.service.id))

    assert mixed.named(answer.field["notifications"]["nodes"]) == ["by a test key"]
