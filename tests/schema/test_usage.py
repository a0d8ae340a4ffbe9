"""Usage of services: nightly bills and messages since, with the free allowance used in the order of days."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.billing import london_days
from graphql_api.database.database import Database
from graphql_api.domain import facts
from graphql_api.enums import Channel, ServicePermission
from tests.builders import Builders, api_key_actor, organisation_member, platform_admin, user_actor
from tests.conftest import Ask, Statements

SYSTEM = Actor.system()
TODAY = london_days.today()
YEAR = london_days.financial_year(TODAY)
USAGE = """query ($id: ID!, $year: Int) { service(id: $id) { usage(financialYear: $year) {
    financialYear range { from to } totalCost { amount currency }
    sms {
        notifications chargeableUnits freeAllowance freeAllowanceUsed freeAllowanceRemaining chargedUnits
        cost { amount }
    }
    email { notifications }
    letter { notifications sheets cost { amount } }
    months {
        month channel postage rate { amount } notifications chargeableUnits freeAllowanceUsed chargedUnits
        cost { amount }
    }
    updatedAt
} } }"""
ALLOWANCE = """query ($id: ID!, $year: Int) { service(id: $id) { annualAllowance(financialYear: $year) {
    financialYear units isCustom highVolumeLastYear
} } }"""


@pytest.fixture
async def member(make: Builders, service: models.Service) -> Actor:
    return user_actor(await make.member(service), service)


async def read_usage(ask: Ask, by: Actor, service: models.Service, year: int | None = None) -> Any:
    return (await ask(USAGE, by=by, id=str(service.id), year=year)).root_field["usage"]


def billing_fact(template: models.Template, day: date, units: int, **values: Any) -> models.BillingFact:
    """A line of a nightly bill."""
    invented = {
        "provider": "mmg",
        "rate_multiplier": 1,
        "international": False,
        "rate": Decimal("0.024"),
        "postage": "none",
        "notifications_sent": units,
        "created_at": datetime(2026, 4, 20, 1),  # noqa: DTZ001 - naive UTC, as the database
    }
    return models.BillingFact(
        bst_date=day,
        template_id=template.id,
        service_id=template.service_id,
        notification_type=template.template_type,
        billable_units=units,
        **invented | values,
    )


def annual_billing(service: models.Service, year: int, units: int, **values: Any) -> models.AnnualBilling:
    return models.AnnualBilling(
        service_id=service.id, financial_year_start=year, free_sms_fragment_limit=units, **values
    )


async def test_free_texts_are_used_in_the_order_of_days_and_the_last_day_is_divided(
    ask: Ask, make: Builders, service: models.Service, member: Actor
) -> None:
    sms, letter = await make.template(service), await make.template(service, Channel.LETTER)
    email = await make.template(service, Channel.EMAIL)
    await make.add(
        annual_billing(service, 2025, 100),
        billing_fact(sms, date(2025, 3, 31), 1000),
        billing_fact(sms, date(2025, 4, 1), 30, rate=Decimal("0.0233"), notifications_sent=20),
        billing_fact(sms, date(2025, 4, 30), 15, rate=Decimal("0.0233"), rate_multiplier=4, international=True),
        billing_fact(sms, date(2025, 5, 1), 40, rate=Decimal("0.0233")),
        billing_fact(sms, date(2025, 5, 2), 10, rate=Decimal("0.03"), provider="firetext"),
        billing_fact(sms, date(2026, 4, 1), 1000),
        billing_fact(
            email, date(2025, 5, 1), 0, notifications_sent=7, rate=Decimal(0), rate_multiplier=0, provider="ses"
        ),
        billing_fact(letter, date(2025, 5, 1), 6, notifications_sent=3, rate=Decimal("0.77"), postage="second"),
        billing_fact(letter, date(2025, 5, 1), 2, notifications_sent=2, rate=Decimal("1.56"), postage="first"),
    )

    usage = await read_usage(ask, member, service, 2025)

    def line(month: str, channel: str, rate: str, *figures: Any, postage: str | None = None) -> dict[str, Any]:
        names = ("notifications", "chargeableUnits", "freeAllowanceUsed", "chargedUnits", "cost")
        *counts, cost = figures
        values = dict(zip(names, [*counts, {"amount": cost}], strict=True))
        return {"month": month, "channel": channel, "postage": postage, "rate": {"amount": rate}} | values

    assert usage == {
        "financialYear": 2025,
        "range": {"from": "2025-04-01", "to": "2026-03-31"},
        "sms": {
            "notifications": 85,
            "chargeableUnits": 140,
            "freeAllowance": 100,
            "freeAllowanceUsed": 100,
            "freeAllowanceRemaining": 0,
            "chargedUnits": 40,
            "cost": {"amount": "0.9990"},
        },
        "email": {"notifications": 7},
        "letter": {"notifications": 5, "sheets": 8, "cost": {"amount": "5.43"}},
        "totalCost": {"amount": "6.4290", "currency": "GBP"},
        "months": [
            line("2025-04-01", "SMS", "0.0233", 35, 90, 90, 0, "0.0000"),
            line("2025-05-01", "LETTER", "0.77", 3, 6, 0, 6, "2.31", postage="SECOND"),
            line("2025-05-01", "LETTER", "1.56", 2, 2, 0, 2, "3.12", postage="FIRST"),
            line("2025-05-01", "SMS", "0.0233", 40, 40, 10, 30, "0.6990"),
            line("2025-05-01", "SMS", "0.03", 10, 10, 0, 10, "0.30"),
        ],
        "updatedAt": "2026-04-20T01:00:00Z",
    }


async def test_messages_since_the_last_night_count_and_no_message_twice(
    ask: Ask, make: Builders, service: models.Service, member: Actor, database: Database
) -> None:
    template = await make.template(service)
    await make.add(annual_billing(service, YEAR, 3))
    for days in (3, 2, 1, 0):
        instant = london_days.midnight(TODAY - timedelta(days=days))
        await make.notification(template, created_at=instant, sent_by="mmg", billable_units=2)
        await make.notification_history(template, created_at=instant, sent_by="mmg", billable_units=2)
        await make.notification(template, created_at=instant, status="created", billable_units=0)
        await make.notification(template, created_at=instant, key_type="test")
    before = await read_usage(ask, member, service)
    assert (before["sms"]["notifications"], before["sms"]["chargeableUnits"]) == (8, 16)
    assert (before["sms"]["chargedUnits"], before["sms"]["cost"]["amount"]) == (13, "0.312")
    assert before["updatedAt"] is None

    async def night(*days: int) -> None:
        async with database.transaction() as tx:
            for day in days:
                await facts.count_billing(tx, SYSTEM, facts.DueDay(TODAY - timedelta(days=day), tuple(Channel)))

    # A nightly task that is killed midway has counted the first of its days.
    for counted in ((3,), (3, 2), (3, 2, 1)):
        await night(*counted)
        after = await read_usage(ask, member, service)
        assert after | {"updatedAt": None} == before
        assert after["updatedAt"] is not None
    # Lines that Notify itself stored for today are not read.
    await make.add(billing_fact(template, TODAY, 1000))
    assert await read_usage(ask, member, service) | {"updatedAt": None} == before


async def test_what_changed_since_a_day_was_counted_is_counted_the_next_night(
    ask: Ask, make: Builders, service: models.Service, member: Actor, database: Database
) -> None:
    template = await make.template(service)
    await make.add(annual_billing(service, YEAR, 0))
    message = await make.notification(
        template, created_at=london_days.midnight(TODAY - timedelta(days=1)), status="sending", sent_by="mmg"
    )
    due = facts.DueDay(TODAY - timedelta(days=1), tuple(Channel))
    async with database.transaction() as tx:
        await facts.count_billing(tx, SYSTEM, due)
        update = "UPDATE notifications SET notification_status = 'technical-failure' WHERE id = :id"
        await tx.execute(text(update), {"id": message.id})
    assert (await read_usage(ask, member, service))["sms"]["notifications"] == 1

    async with database.transaction() as tx:
        await facts.count_billing(tx, SYSTEM, due)

    assert (await read_usage(ask, member, service))["sms"]["notifications"] == 0


async def test_an_allowance_is_the_services_own_or_its_kinds(ask: Ask, make: Builders) -> None:
    async def allowance(year: int, *rows: models.Model, **values: Any) -> Any:
        service = await make.service(**values)
        for row in rows:
            row.service_id = service.id  # type: ignore[attr-defined]
        await make.add(*rows)
        actor = user_actor(await make.member(service), service)
        data = (await ask(ALLOWANCE, by=actor, id=str(service.id), year=year)).root_field["annualAllowance"]
        assert data.pop("financialYear") == year
        return tuple(data.values())

    def own(year: int, units: int, **values: Any) -> models.AnnualBilling:
        return models.AnnualBilling(financial_year_start=year, free_sms_fragment_limit=units, **values)

    assert await allowance(2026, organisation_type="central") == (20_000, False, False)
    assert await allowance(2026, organisation_type="school_or_college") == (5_000, False, False)
    assert await allowance(2026, organisation_type="nhs_gp") == (0, False, False)
    assert await allowance(2026, organisation_type=None) == (5_000, False, False)
    assert await allowance(2016, organisation_type="central") == (250_000, False, False)
    assert await allowance(2026, own(2026, 7), organisation_type="central") == (7, False, False)
    assert await allowance(2026, own(2025, 7), organisation_type="central") == (20_000, False, False)
    custom = own(2024, 7, has_custom_allowance=True)
    assert await allowance(2026, custom, organisation_type="central") == (7, True, False)
    replaced = (own(2024, 7, has_custom_allowance=True), own(2025, 8))
    assert await allowance(2026, *replaced, organisation_type="central") == (20_000, False, False)
    high = own(2026, 0, high_volume_service_last_year=True)
    assert await allowance(2026, high, organisation_type="central") == (0, False, True)


async def test_after_a_year_of_high_volume_the_allowance_is_0(ask: Ask, make: Builders) -> None:
    results = []
    for units in (75_000, 74_999):
        service = await make.service(organisation_type="central")
        template = await make.template(service)
        await make.add(
            billing_fact(template, date(2025, 4, 1), units, rate_multiplier=4),
            billing_fact(template, date(2025, 3, 31), 10),
        )
        actor = user_actor(await make.member(service), service)
        answer = await ask(ALLOWANCE, by=actor, id=str(service.id), year=2026)
        results.append(
            (answer.root_field["annualAllowance"]["units"], answer.root_field["annualAllowance"]["highVolumeLastYear"])
        )

    assert results == [(0, True), (20_000, False)]


async def test_usage_is_for_those_who_may_read_it(ask: Ask, make: Builders) -> None:
    organisation = await make.organisation()
    service = await make.service(organisation_id=organisation.id)
    user = await make.member(service)
    others = set(ServicePermission) - {ServicePermission.MANAGE_SETTINGS}
    lesser = await make.user()

    for allowed in (
        user_actor(user, service, permissions=[ServicePermission.MANAGE_SETTINGS]),
        organisation_member(await make.user(), organisation.id),
        platform_admin(await make.user()),
        api_key_actor(await make.api_key(service)),
    ):
        assert (await read_usage(ask, allowed, service))["financialYear"] == YEAR
    for document in (USAGE, ALLOWANCE):
        refused = await ask(document, by=user_actor(lesser, service, permissions=others), id=str(service.id))
        assert refused.error_codes == ["FORBIDDEN"]
        assert list((refused.data or {})["service"].values()) == [None]


@pytest.mark.parametrize("year", [2015, YEAR + 1, -1, 2**31 - 1])
async def test_a_year_without_figures_is_a_bad_request(
    ask: Ask, service: models.Service, member: Actor, year: int
) -> None:
    for document in (USAGE, ALLOWANCE):
        assert (await ask(document, by=member, id=str(service.id), year=year)).error_codes == ["BAD_REQUEST"]


async def test_several_services_and_years_take_one_statement(ask: Ask, make: Builders, statements: Statements) -> None:
    first, second = await make.service(), await make.service()
    user = await make.member(first)
    template = await make.template(first)
    await make.add(billing_fact(template, date(2025, 6, 1), 5), billing_fact(template, date(2024, 6, 1), 6))
    document = """{ services { nodes {
        now: usage(financialYear: 2025) { sms { chargeableUnits } }
        before: usage(financialYear: 2024) { sms { chargeableUnits } }
        annualAllowance(financialYear: 2025) { financialYear }
    } } }"""

    with statements(2):
        answer = await ask(document, by=user_actor(user, first, second))

    assert answer.root_field["nodes"] == [
        {
            "now": {"sms": {"chargeableUnits": now}},
            "before": {"sms": {"chargeableUnits": before}},
            "annualAllowance": {"financialYear": 2025},
        }
        for now, before in ((5, 6), (0, 0))
    ]


BY_SERVICE = """query ($id: ID!, $year: Int, $first: Int, $after: String) { organisation(id: $id) {
    usageByService(financialYear: $year, first: $first, after: $after) {
        totalCount
        pageInfo { hasNextPage endCursor }
        nodes { service { id name } usage { sms { chargeableUnits } } }
        edges { node { service { name } } }
    }
} }"""


async def test_an_organisation_sees_what_each_of_its_live_services_used(
    ask: Ask, make: Builders, statements: Statements
) -> None:
    organisation = await make.organisation()
    values: dict[str, Any] = {"organisation_id": organisation.id}
    for name, units in (("B", 7), ("A", 5), ("C", 0)):
        service = await make.service(name=name, **values)
        if units:
            await make.add(billing_fact(await make.template(service), date(2025, 6, 1), units))
    await make.service(name="on trial", restricted=True, **values)
    await make.service(name="closed", active=False, **values)
    await make.service(name="not counted", count_as_live=False, **values)
    await make.service(name="another's")
    actor = organisation_member(await make.user(), organisation.id)

    with statements(4):
        answer = await ask(BY_SERVICE, by=actor, id=str(organisation.id), year=2025, first=2)
    page = answer.root_field["usageByService"]
    rest = await ask(BY_SERVICE, by=actor, id=str(organisation.id), year=2025, after=page["pageInfo"]["endCursor"])

    def figures(nodes: Any) -> list[tuple[str, int]]:
        return [(node["service"]["name"], node["usage"]["sms"]["chargeableUnits"]) for node in nodes]

    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, True)
    assert figures(page["nodes"]) == [("A", 5), ("B", 7)]
    assert [edge["node"]["service"]["name"] for edge in page["edges"]] == ["A", "B"]
    assert figures(rest.root_field["usageByService"]["nodes"]) == [("C", 0)]


async def test_only_its_members_see_what_an_organisation_uses(ask: Ask, make: Builders) -> None:
    organisation = await make.organisation()
    service = await make.service(organisation_id=organisation.id)
    user = await make.member(service)

    async def read_usage(by: Actor, year: int | None = None) -> Any:
        return await ask(BY_SERVICE, by=by, id=str(organisation.id), year=year)

    refused = await read_usage(user_actor(user, service))
    assert (refused.error_codes, refused.data) == (["FORBIDDEN"], {"organisation": {"usageByService": None}})
    assert (await read_usage(platform_admin(await make.user()))).root_field["usageByService"]["totalCount"] == 1
    assert (await read_usage(organisation_member(user, organisation.id), 2015)).error_codes == ["BAD_REQUEST"]
