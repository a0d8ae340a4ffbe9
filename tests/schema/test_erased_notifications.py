"""Messages after their retention period, in lists with the others: each message once, without personal data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.enums import Channel, KeyType, ServicePermission
from tests.builders import Builders, api_key_actor, stranger, user_actor
from tests.conftest import Ask, Statements

NOON = datetime(2026, 6, 1, 12)  # noqa: DTZ001 - naive UTC, as the database
HOUR = timedelta(hours=1)

LIST = """query (
    $id: ID!, $filter: NotificationFilter, $order: NotificationOrder,
    $first: Int, $after: String, $last: Int, $before: String
) { service(id: $id) { notifications(
    filter: $filter, orderBy: $order, first: $first, after: $after, last: $last, before: $before
) {
    totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    nodes { id reference recipient personalDataErased template { id } }
} } }"""


async def notification_at(
    make: Builders, template: models.Template, reference: str, hours: int, **values: Any
) -> models.Model:
    """A message within its retention period."""
    values = {"client_reference": reference, "created_at": NOON + hours * HOUR} | values
    return await make.notification(template, **values)


async def notification_page(ask: Ask, by: Actor, service: models.Service, **variables: Any) -> Any:
    return (await ask(LIST, by=by, id=str(service.id), **variables)).root_field["notifications"]


def references(page: Any) -> list[str]:
    return [node["reference"] for node in page["nodes"]]


async def test_erased_messages_are_listed_only_with_include_erased(
    ask: Ask, make: Builders, service: models.Service, template: models.Template, actor: Actor
) -> None:
    await notification_at(make, template, "here", 1)
    await make.notification_history(template, client_reference="gone", created_at=NOON)

    for filter_ in (None, {}, {"includeErased": False}, {"includeErased": None}):
        page = await notification_page(ask, actor, service, filter=filter_)
        assert (references(page), page["totalCount"]) == (["here"], 1)
    page = await notification_page(ask, actor, service, filter={"includeErased": True})
    assert (references(page), page["totalCount"]) == (["here", "gone"], 2)
    assert [node["personalDataErased"] for node in page["nodes"]] == [False, True]
    assert [node["recipient"] for node in page["nodes"]] == ["07700900123", None]


async def test_recent_and_erased_messages_are_in_one_order_in_both_directions(
    ask: Ask, make: Builders, service: models.Service, template: models.Template, actor: Actor
) -> None:
    # A letter stays in notifications long after text messages of the same time have moved to the history.
    for hours, reference in enumerate("abcdefgh"):
        if reference in "adeg":
            await notification_at(make, template, reference, hours)
        else:
            await make.notification_history(template, client_reference=reference, created_at=NOON + hours * HOUR)
    erased = {"filter": {"includeErased": True}}

    forwards: list[str] = []
    page = await notification_page(ask, actor, service, first=3, **erased)
    assert page["pageInfo"]["hasPreviousPage"] is False
    forwards += references(page)
    while page["pageInfo"]["hasNextPage"]:
        page = await notification_page(ask, actor, service, first=3, after=page["pageInfo"]["endCursor"], **erased)
        assert page["pageInfo"]["hasPreviousPage"] is True
        forwards += references(page)
    backwards: list[str] = []
    page = await notification_page(ask, actor, service, last=3, **erased)
    backwards = references(page) + backwards
    while page["pageInfo"]["hasPreviousPage"]:
        page = await notification_page(ask, actor, service, last=3, before=page["pageInfo"]["startCursor"], **erased)
        assert page["pageInfo"]["hasNextPage"] is True
        backwards = references(page) + backwards

    assert forwards == list("hgfedcba")
    assert backwards == list("hgfedcba")
    oldest = {"order": {"field": "CREATED_AT", "direction": "ASC"}}
    assert references(await notification_page(ask, actor, service, first=5, **oldest, **erased)) == list("abcde")
    assert page["totalCount"] == 8


async def test_a_message_in_both_tables_counts_once_with_its_personal_data(
    ask: Ask, make: Builders, service: models.Service, template: models.Template, actor: Actor
) -> None:
    message = await notification_at(make, template, "twice", 0)
    await make.notification_history(template, id=message.id, client_reference="twice", created_at=NOON)  # type: ignore[attr-defined]

    page = await notification_page(ask, actor, service, filter={"includeErased": True})

    assert (references(page), page["totalCount"]) == (["twice"], 1)
    assert page["nodes"][0]["recipient"] == "07700900123"


async def test_filters_apply_to_recent_and_erased_messages(
    ask: Ask, make: Builders, service: models.Service, template: models.Template, actor: Actor
) -> None:
    email = await make.template(service, Channel.EMAIL)
    user = await make.user()
    job = await make.job(template)
    differing: list[dict[str, Any]] = [
        {"status": "failed"},
        {"created_by_id": user.id},
        {"job_id": job.id, "job_row_number": 0},
        {"created_at": NOON - 24 * HOUR},
    ]
    for number, values in enumerate(differing):
        await make.notification_history(
            template, **{"client_reference": f"text {number}", "created_at": NOON + number * HOUR} | values
        )
    await make.notification_history(email, client_reference="email", created_at=NOON + 5 * HOUR)
    await notification_at(make, email, "live email", 6)

    async def listed(**filter_: Any) -> list[str]:
        page = await notification_page(ask, actor, service, filter={"includeErased": True, **filter_})
        assert page["totalCount"] == len(page["nodes"])
        return references(page)

    assert await listed(channels=["EMAIL"]) == ["live email", "email"]
    assert await listed(statuses=["TECHNICAL_FAILURE"]) == ["text 0"]
    assert await listed(statusGroups=["FAILED"]) == ["text 0"]
    assert await listed(templateId=str(email.id)) == ["live email", "email"]
    assert await listed(createdById=str(user.id)) == ["text 1"]
    assert await listed(jobId=str(job.id)) == ["text 2"]
    assert await listed(includeJobs=False) == ["live email", "email", "text 1", "text 0", "text 3"]
    assert await listed(includeOneOff=False) == ["live email", "email", "text 2", "text 0", "text 3"]
    assert await listed(reference="text 3") == ["text 3"]
    assert await listed(createdAt={"from": "2026-06-01T13:00:00Z", "to": "2026-06-01T15:00:00Z"}) == [
        "text 2",
        "text 1",
    ]
    assert await listed(keyTypes=["TEAM"]) == []


async def test_a_search_of_erased_messages_matches_references_only(
    ask: Ask, make: Builders, service: models.Service, template: models.Template, actor: Actor
) -> None:
    await notification_at(make, template, "live", 1, normalised_to="447700900123")
    await make.notification_history(template, client_reference="the 7700900123rd", created_at=NOON)
    await make.notification_history(template, client_reference="other", created_at=NOON)

    async def searched(words: str) -> list[str]:
        return references(await notification_page(ask, actor, service, filter={"includeErased": True, "search": words}))

    assert await searched("7700900123") == ["live", "the 7700900123rd"]
    assert await searched("900123RD") == ["the 7700900123rd"]
    assert await searched("OTHER") == ["other"]


async def test_erased_messages_have_the_visibility_of_others(
    ask: Ask, make: Builders, service: models.Service, template: models.Template
) -> None:
    await make.notification_history(template, client_reference="text")
    await make.notification_history(template, client_reference="team text", key_type="team")
    await make.notification_history(await make.template(await make.service()), client_reference="another's")
    user = await make.member(service)
    document = """query ($id: ID!) { service(id: $id) {
        notifications(filter: {includeErased: true}) { totalCount nodes { reference } }
    } }"""

    async def sees(by: Actor) -> Any:
        data = (await ask(document, by=by, id=str(service.id))).root_field
        return data and sorted(node["reference"] for node in data["notifications"]["nodes"])

    assert await sees(user_actor(user, service, permissions=[ServicePermission.VIEW_ACTIVITY])) == ["team text", "text"]
    assert await sees(api_key_actor(await make.api_key(service))) == ["text"]
    assert await sees(api_key_actor(await make.api_key(service, KeyType.TEAM))) == ["team text"]
    assert await sees(stranger()) is None


async def test_jobs_and_templates_list_erased_messages(
    ask: Ask, make: Builders, template: models.Template, actor: Actor
) -> None:
    job = await make.job(template, notification_count=3)
    await make.notification(template, job_id=job.id, job_row_number=1, client_reference="row 1")
    for row in (2, 0):
        await make.notification_history(template, job_id=job.id, job_row_number=row, client_reference=f"row {row}")
    document = """query ($job: ID!, $template: ID!) {
        job(id: $job) { notifications(filter: {includeErased: true}) { nodes { reference jobRowNumber } } }
        template(id: $template) { notifications(filter: {includeErased: true}) { totalCount } }
    }"""

    answer = await ask(document, by=actor, job=str(job.id), template=str(template.id))

    assert answer.data == {
        "job": {"notifications": {"nodes": [{"reference": f"row {row}", "jobRowNumber": row} for row in range(3)]}},
        "template": {"notifications": {"totalCount": 3}},
    }


async def test_several_parents_take_one_statement(
    ask: Ask, make: Builders, actor: Actor, service: models.Service, statements: Statements
) -> None:
    first, second = await make.template(service, name="1"), await make.template(service, name="2")
    for number in range(3):
        await make.notification_history(first, client_reference=f"first {number}", created_at=NOON + number * HOUR)
    await notification_at(make, second, "second", 0)
    document = """query ($id: ID!) { service(id: $id) { templates { nodes {
        notifications(first: 2, filter: {includeErased: true}) { totalCount nodes { reference } }
    } } } }"""

    with statements(4):
        answer = await ask(document, by=actor, id=str(service.id))

    assert [node["notifications"] for node in answer.root_field["templates"]["nodes"]] == [
        {"totalCount": 3, "nodes": [{"reference": "first 2"}, {"reference": "first 1"}]},
        {"totalCount": 1, "nodes": [{"reference": "second"}]},
    ]


async def test_every_field_of_an_erased_message_can_be_read(
    ask: Ask, make: Builders, service: models.Service, template: models.Template, actor: Actor
) -> None:
    await make.notification_history(
        template, client_reference="kept", billable_units=2, rate_multiplier=1, created_at=NOON
    )
    document = """query ($id: ID!) { service(id: $id) { notifications(filter: {includeErased: true}) { nodes {
        channel status statusText isFinal recipient personalisation content { text } keyType createdAt
        cost { total { amount } } sms { sender fragmentCount } templateVersion { version } job { id } apiKey { id }
    } } } }"""

    (node,) = (await ask(document, by=actor, id=str(service.id))).root_field["notifications"]["nodes"]

    assert node == {
        "channel": "SMS",
        "status": "DELIVERED",
        "statusText": "Delivered",
        "isFinal": True,
        "recipient": None,
        "personalisation": None,
        "content": None,
        "keyType": "LIVE",
        "createdAt": "2026-06-01T12:00:00Z",
        "cost": {"total": {"amount": "0.048"}},
        "sms": {"sender": None, "fragmentCount": 2},
        "templateVersion": {"version": 1},
        "job": None,
        "apiKey": None,
    }
