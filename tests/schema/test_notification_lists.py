"""Lists of messages through GraphQL: their filters, orders and pages."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.enums import Channel, KeyType
from tests.builders import Builders, api_key_actor, user_actor
from tests.conftest import Ask, Statements

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


class MixedNotifications:
    """A service with messages of every kind: rows by name."""

    def __init__(self, service: models.Service, actor: Actor, rows: dict[str, models.Notification]) -> None:
        self.service = service
        self.actor = actor
        self.rows = rows

    def named(self, nodes: list[dict[str, Any]]) -> list[str]:
        names = {str(row.id): name for name, row in self.rows.items()}
        return [names[node["id"]] for node in nodes]


@pytest.fixture
async def mixed(make: Builders) -> MixedNotifications:
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
    return MixedNotifications(service, user_actor(user, service), rows)


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
async def test_messages_are_filtered(
    ask: Ask, mixed: MixedNotifications, conditions: dict[str, Any], names: list[str]
) -> None:
    answer = await ask(LIST, by=mixed.actor, service=str(mixed.service.id), filter=conditions)

    page = answer.root_field["notifications"]
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
    ask: Ask, mixed: MixedNotifications, field: str, attribute: str, name: str
) -> None:
    condition = {field: str(getattr(mixed.rows[name], attribute))}

    page = (await ask(LIST, by=mixed.actor, service=str(mixed.service.id), filter=condition)).root_field[
        "notifications"
    ]

    assert mixed.named(page["nodes"]) == [name]


@pytest.mark.parametrize("search", ["", "ab", "  a  ", "+4", " 0 "])
async def test_a_search_needs_three_characters(ask: Ask, mixed: MixedNotifications, search: str) -> None:
    answer = await ask(LIST, by=mixed.actor, service=str(mixed.service.id), filter={"search": search})

    assert answer.error_codes == ["BAD_REQUEST"]


async def test_a_search_uses_the_trigram_indexes(database: Database) -> None:
    async with database.read_connection() as connection:
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


async def test_pages_continue_at_the_cursor_and_take_one_statement(
    ask: Ask, mixed: MixedNotifications, statements: Statements
) -> None:
    arguments: dict[str, Any] = {"service": str(mixed.service.id), "first": 4}
    page = "query ($service: ID!, $first: Int, $after: String) { service(id: $service) { notifications(first: $first,"
    page += " after: $after) { nodes { id status recipient } pageInfo { hasNextPage endCursor } } } }"

    with statements(2):
        first = (await ask(page, by=mixed.actor, **arguments)).root_field["notifications"]
    after = first["pageInfo"]["endCursor"]
    second = (await ask(page, by=mixed.actor, after=after, **arguments)).root_field["notifications"]

    assert mixed.named(first["nodes"] + second["nodes"]) == [
        "a letter",
        "an email",
        "of a job",
        "by a test key",
        "by a key",
        "by a person",
    ]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)


async def test_the_earliest_can_come_first_and_rows_are_an_order_of_jobs_alone(
    ask: Ask, mixed: MixedNotifications
) -> None:
    by_time = await ask(
        LIST,
        by=mixed.actor,
        service=str(mixed.service.id),
        orderBy={"field": "CREATED_AT", "direction": "ASC"},
        first=2,
    )
    by_row = await ask(LIST, by=mixed.actor, service=str(mixed.service.id), orderBy={"field": "JOB_ROW_NUMBER"})

    assert mixed.named(by_time.root_field["notifications"]["nodes"]) == ["by a person", "by a key"]
    assert by_row.error_codes == ["BAD_REQUEST"]


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
    values = {"personalisation": {"name": "x"}, "created_by_id": user.id, "api_key_id": api_key.id}

    for count in (1, 12):
        for row in range(count):
            await make.notification(template, job_id=job.id, job_row_number=100 * count + row, **values)
        with statements(8):
            answer = await ask(document, by=user_actor(user, service), service=str(service.id))
        assert answer.errors == []


async def test_a_key_lists_what_its_own_kind_of_key_made(make: Builders, ask: Ask, mixed: MixedNotifications) -> None:
    test_key = api_key_actor(await make.api_key(mixed.service, KeyType.TEST))

    answer = await ask(LIST, by=test_key, service=str(mixed.service.id))

    assert mixed.named(answer.root_field["notifications"]["nodes"]) == ["by a test key"]
