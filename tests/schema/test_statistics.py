"""Statistics of a service: London days, facts and recent messages together, without those of test keys."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.billing import london_days
from graphql_api.enums import Channel, ServicePermission
from tests.builders import Builders, api_key_actor, user_actor
from tests.conftest import Ask, Statements

ASK = """query ($id: ID!, $range: DateRangeInput) { service(id: $id) { statistics(range: $range) {
    range { from to }
    total { requested inProgress delivered failed cancelled failureRate }
    byChannel { channel counts { requested failed } }
    byStatus { channel status count }
} } }"""
TODAY = london_days.today()


@pytest.fixture
async def member(make: Builders, service: models.Service) -> Actor:
    return user_actor(await make.member(service), service)


async def read_statistics(
    ask: Ask, by: Actor, service: models.Service, first: date | None = None, last: date | None = None
) -> Any:
    days = {"from": first.isoformat(), "to": (last or first).isoformat()} if first else None
    return (await ask(ASK, by=by, id=str(service.id), range=days)).root_field["statistics"]


def fact(template: models.Template, day: date, status: str, count: int, key_type: str = "normal") -> models.Model:
    return models.NotificationStatusFact(
        bst_date=day,
        template_id=template.id,
        service_id=template.service_id,
        job_id=UUID(int=0),
        notification_type=template.template_type,
        key_type=key_type,
        notification_status=status,
        notification_count=count,
    )


async def test_today_is_counted_from_the_messages(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    text, email = await make.template(service), await make.template(service, Channel.EMAIL)
    for template, status in (
        (text, "created"),
        (text, "delivered"),
        (text, "sent"),
        (text, "failed"),
        (text, "technical-failure"),
        (email, "cancelled"),
        (email, "permanent-failure"),
    ):
        await make.notification(template, status=status)
    await make.notification(text, key_type="test")
    await make.notification(await make.template(await make.service()))

    assert await read_statistics(ask, member, service) == {
        "range": {"from": TODAY.isoformat(), "to": TODAY.isoformat()},
        "total": {
            "requested": 6,
            "inProgress": 1,
            "delivered": 2,
            "failed": 3,
            "cancelled": 1,
            "failureRate": 0.6,
        },
        "byChannel": [
            {"channel": "EMAIL", "counts": {"requested": 1, "failed": 1}},
            {"channel": "SMS", "counts": {"requested": 5, "failed": 2}},
            {"channel": "LETTER", "counts": {"requested": 0, "failed": 0}},
        ],
        "byStatus": [
            {"channel": "EMAIL", "status": "CANCELLED", "count": 1},
            {"channel": "EMAIL", "status": "PERMANENT_FAILURE", "count": 1},
            {"channel": "SMS", "status": "CREATED", "count": 1},
            {"channel": "SMS", "status": "DELIVERED", "count": 1},
            {"channel": "SMS", "status": "SENT", "count": 1},
            {"channel": "SMS", "status": "TECHNICAL_FAILURE", "count": 2},
        ],
    }


async def test_days_before_are_counted_from_the_facts(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service, Channel.LETTER)
    yesterday = TODAY - timedelta(days=1)
    await make.add(
        fact(template, yesterday, "delivered", 5),
        fact(template, yesterday, "returned-letter", 2),
        fact(template, yesterday, "delivered", 100, key_type="test"),
        fact(template, yesterday - timedelta(days=1), "delivered", 7),
        fact(template, TODAY, "delivered", 1000),
    )
    await make.notification(template, created_at=london_days.midnight(yesterday))
    await make.notification(template, created_at=london_days.midnight(TODAY), status="sending")

    total = (await read_statistics(ask, member, service, yesterday, TODAY))["total"]

    assert (total["requested"], total["delivered"], total["failed"], total["inProgress"]) == (8, 5, 2, 1)
    assert (await read_statistics(ask, member, service, yesterday))["total"]["requested"] == 7
    assert (await read_statistics(ask, member, service, TODAY))["total"]["requested"] == 1


async def test_days_that_no_night_has_counted_are_counted_from_the_messages(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service)
    before, yesterday = TODAY - timedelta(days=2), TODAY - timedelta(days=1)
    for day in (before, yesterday, TODAY):
        await make.notification(template, created_at=london_days.midnight(day))
    assert (await read_statistics(ask, member, service, before, TODAY))["total"]["requested"] == 3

    await make.add(fact(template, before, "delivered", 10))

    assert (await read_statistics(ask, member, service, before, TODAY))["total"]["requested"] == 12


async def test_messages_that_moved_before_a_night_counted_them_are_not_missed(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    template = await make.template(service)
    days = [TODAY - timedelta(days=count) for count in (30, 20, 10)]
    for day in days:
        await make.notification_history(template, created_at=london_days.midnight(day))
    await make.notification_history(template, created_at=london_days.midnight(days[0]), key_type="test")
    assert (await read_statistics(ask, member, service, days[0], TODAY))["total"]["requested"] == 3

    await make.add(fact(template, days[1], "delivered", 10))

    assert (await read_statistics(ask, member, service, days[0], TODAY))["total"]["requested"] == 11


async def test_a_day_is_londons(ask: Ask, make: Builders, service: models.Service, member: Actor) -> None:
    template = await make.template(service)
    summer = date(2026, 7, 1)
    for instant in (
        datetime(2026, 6, 30, 22, 59, 59),  # noqa: DTZ001 - naive UTC, as the database
        datetime(2026, 6, 30, 23, 0),  # noqa: DTZ001
        datetime(2026, 7, 1, 22, 59, 59),  # noqa: DTZ001
        datetime(2026, 7, 1, 23, 0),  # noqa: DTZ001
    ):
        await make.notification(template, created_at=instant)

    assert (await read_statistics(ask, member, service, summer))["total"]["requested"] == 2


async def test_without_messages_the_failure_rate_is_null(ask: Ask, service: models.Service, member: Actor) -> None:
    assert (await read_statistics(ask, member, service))["total"] == {
        "requested": 0,
        "inProgress": 0,
        "delivered": 0,
        "failed": 0,
        "cancelled": 0,
        "failureRate": None,
    }


async def test_a_range_that_ends_before_it_begins_is_a_bad_request(
    ask: Ask, service: models.Service, member: Actor
) -> None:
    days = {"from": "2026-04-02", "to": "2026-04-01"}

    assert (await ask(ASK, by=member, id=str(service.id), range=days)).error_codes == ["BAD_REQUEST"]


async def test_statistics_need_view_activity(ask: Ask, make: Builders, service: models.Service) -> None:
    user = await make.member(service)
    lesser = user_actor(user, service, permissions=set(ServicePermission) - {ServicePermission.VIEW_ACTIVITY})

    refused = await ask(ASK, by=lesser, id=str(service.id))

    assert (refused.error_codes, refused.data) == (["FORBIDDEN"], {"service": {"statistics": None}})
    assert (await read_statistics(ask, api_key_actor(await make.api_key(service)), service))["total"]["requested"] == 0


async def test_several_services_and_ranges_take_one_statement(ask: Ask, make: Builders, statements: Statements) -> None:
    first, second = await make.service(), await make.service()
    user = await make.member(first)
    await make.notification(await make.template(first))
    document = """{ services { nodes {
        today: statistics { total { requested } }
        once: statistics(range: {from: "2026-01-01", to: "2026-01-31"}) { total { requested } }
    } } }"""

    with statements(2):
        answer = await ask(document, by=user_actor(user, first, second))

    assert answer.root_field["nodes"] == [
        {"today": {"total": {"requested": count}}, "once": {"total": {"requested": 0}}} for count in (1, 0)
    ]


def test_a_financial_year_begins_in_april() -> None:
    assert [london_days.financial_year(day) for day in (date(2026, 3, 31), date(2026, 4, 1))] == [2025, 2026]


@time_machine.travel("2026-06-30T23:30:00Z", tick=False)
def test_today_is_londons_while_it_is_still_yesterday_in_utc() -> None:
    assert london_days.today() == date(2026, 7, 1)
    assert london_days.midnight(date(2026, 7, 1)).isoformat() == "2026-06-30T23:00:00"
    assert london_days.london_day(datetime(2026, 6, 30, 23, 0)) == date(2026, 7, 1)  # noqa: DTZ001 - naive UTC
