"""Facts: counts by London day and status, and billing, of messages in both tables."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import time_machine
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.billing import london_days
from graphql_api.database.database import Database
from graphql_api.domain import facts
from graphql_api.enums import Channel
from graphql_api.errors import Forbidden
from tests.builders import Builders, stranger

SYSTEM = Actor.system()
NO_JOB = UUID(int=0)
LONGEST_DAY = date(2026, 10, 25)
SHORTEST_DAY = date(2026, 3, 29)


def parse_utc(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


@contextmanager
def time_of_day(moment: str) -> Iterator[None]:
    with time_machine.travel(f"{moment}Z", tick=False):
        yield


async def count_due_days(database: Database) -> None:
    """Count every day that is due."""
    async with database.transaction() as tx:
        for due in await facts.find_due_status_days(tx, SYSTEM):
            await facts.count_statuses(tx, SYSTEM, due)
        for due in await facts.find_due_billing_days(tx, SYSTEM):
            await facts.count_billing(tx, SYSTEM, due)


async def rows(database: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with database.read_connection() as connection:
        return [tuple(row) for row in await connection.execute(text(statement), values)]


async def statuses(database: Database, *names: str) -> list[tuple[Any, ...]]:
    chosen = ", ".join(names or ("bst_date", "notification_status"))
    return await rows(database, f"SELECT {chosen}, notification_count FROM ft_notification_status ORDER BY {chosen}")


async def bills(database: Database, *names: str) -> list[tuple[Any, ...]]:
    chosen = ", ".join(names)
    return await rows(
        database, f"SELECT {chosen}, notifications_sent, billable_units FROM ft_billing ORDER BY {chosen}"
    )


async def test_messages_of_both_tables_are_counted_by_day_template_job_key_and_status(
    make: Builders, database: Database, service: models.Service
) -> None:
    sms, email = await make.template(service), await make.template(service, Channel.EMAIL)
    job = await make.job(sms)
    at = {"created_at": parse_utc("2026-06-10T12:00")}
    await make.notification(sms, **at)
    await make.notification_history(sms, **at)
    await make.notification(sms, **at, key_type="team")
    await make.notification(sms, **at, status="cancelled")
    await make.notification(sms, **at, job_id=job.id, job_row_number=0)
    await make.notification_history(sms, **at, job_id=job.id, job_row_number=1)
    await make.notification_history(email, **at, status="permanent-failure")
    await make.notification(sms, **at, key_type="test")
    await make.notification_history(sms, **at, key_type="test")
    await make.notification(sms, created_at=parse_utc("2026-06-11T08:00"))

    with time_of_day("2026-06-11T23:30"):
        await count_due_days(database)

    names = ("bst_date", "template_id", "service_id", "job_id", "notification_type", "key_type", "notification_status")
    day = date(2026, 6, 10)
    assert sorted(await statuses(database, *names)) == sorted(
        [
            (day, sms.id, service.id, NO_JOB, "sms", "normal", "delivered", 2),
            (day, sms.id, service.id, NO_JOB, "sms", "team", "delivered", 1),
            (day, sms.id, service.id, NO_JOB, "sms", "normal", "cancelled", 1),
            (day, sms.id, service.id, job.id, "sms", "normal", "delivered", 2),
            (day, email.id, service.id, NO_JOB, "email", "normal", "permanent-failure", 1),
            (date(2026, 6, 11), sms.id, service.id, NO_JOB, "sms", "normal", "delivered", 1),
        ]
    )


async def test_today_is_not_counted(make: Builders, database: Database, service: models.Service) -> None:
    await make.notification(await make.template(service), created_at=parse_utc("2026-06-10T23:00"))

    with time_of_day("2026-06-11T22:59:59"):
        await count_due_days(database)
    assert await statuses(database) == []
    with time_of_day("2026-06-11T23:00"):
        await count_due_days(database)
    assert await statuses(database) == [(date(2026, 6, 11), "delivered", 1)]


async def test_a_day_may_have_25_hours_or_23(make: Builders, database: Database, service: models.Service) -> None:
    template = await make.template(service)
    for moment in (
        "2026-03-28T23:59:59",
        "2026-03-29T00:00",
        "2026-03-29T22:59:59",
        "2026-03-29T23:00",
        "2026-10-24T22:59:59",
        "2026-10-24T23:00",
        "2026-10-25T00:30",
        "2026-10-25T01:30",
        "2026-10-25T23:59:59",
        "2026-10-26T00:00",
    ):
        await make.notification(template, created_at=parse_utc(moment))

    with time_of_day("2026-10-28T00:30"):
        await count_due_days(database)

    expected = [
        (SHORTEST_DAY - timedelta(days=1), 1),
        (SHORTEST_DAY, 2),
        (SHORTEST_DAY + timedelta(days=1), 1),
        (LONGEST_DAY - timedelta(days=1), 1),
        (LONGEST_DAY, 4),
        (LONGEST_DAY + timedelta(days=1), 1),
    ]
    assert await statuses(database, "bst_date") == expected
    assert await bills(database, "bst_date") == [(day, count, count) for day, count in expected]


async def test_counting_again_changes_nothing(make: Builders, database: Database, service: models.Service) -> None:
    template, letter = await make.template(service), await make.template(service, Channel.LETTER)
    for day in range(1, 15):
        await make.notification(template, created_at=parse_utc(f"2026-06-{day:02}T12:00"))
        await make.notification_history(letter, created_at=parse_utc(f"2026-06-{day:02}T12:00"), postage="second")
    tables = ("ft_notification_status", "ft_billing")

    async def everything() -> list[Any]:
        return [await rows(database, f"SELECT ctid::text, * FROM {table} ORDER BY 1") for table in tables]

    with time_of_day("2026-06-14T23:30"):
        await count_due_days(database)
    first = await everything()
    with time_of_day("2026-06-15T02:00"):
        await count_due_days(database)

    assert [len(table) for table in first] == [28, 28]
    assert await everything() == first


async def test_statuses_of_text_messages_are_recounted_for_four_days_and_of_letters_for_ten(
    make: Builders, database: Database, service: models.Service
) -> None:
    sms, letter = await make.template(service), await make.template(service, Channel.LETTER)
    for day in range(1, 12):
        moment = parse_utc(f"2026-06-{day:02}T12:00")
        await make.notification(sms, created_at=moment, status="sending")
        await make.notification(letter, created_at=moment, status="sending", postage="second")
    with time_of_day("2026-06-11T23:30"):
        await count_due_days(database)
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE notifications SET notification_status = 'delivered'"))

    with time_of_day("2026-06-12T00:30"):
        await count_due_days(database)

    rows_by_key = {
        (day, channel): status
        for channel, day, status, _ in await statuses(database, "notification_type", "bst_date", "notification_status")
    }
    assert len(rows_by_key) == 22
    delivered = {(day.day, channel) for (day, channel), status in rows_by_key.items() if status == "delivered"}
    assert delivered == {(day, "sms") for day in range(8, 12)} | {(day, "letter") for day in range(2, 12)}


async def test_missed_nights_are_counted_later(make: Builders, database: Database, service: models.Service) -> None:
    template = await make.template(service)
    for day in range(1, 29):
        await make.notification_history(template, created_at=parse_utc(f"2026-06-{day:02}T12:00"))
    with time_of_day("2026-06-02T23:30"):
        await count_due_days(database)
    assert await statuses(database, "bst_date") == [(date(2026, 6, day), 1) for day in (1, 2)]

    with time_of_day("2026-06-28T23:30"):
        await count_due_days(database)

    assert await statuses(database, "bst_date") == [(date(2026, 6, day), 1) for day in range(1, 29)]
    assert [day for day, *_ in await bills(database, "bst_date")] == [date(2026, 6, day) for day in range(1, 29)]


async def test_a_night_without_messages_writes_no_facts(database: Database) -> None:
    with time_of_day("2026-06-28T23:30"):
        async with database.transaction() as tx:
            due = await facts.find_due_status_days(tx, SYSTEM)
        await count_due_days(database)

    assert [(day.day, day.channels) for day in due] == [
        (date(2026, 6, day), (Channel.LETTER,) if day < 25 else tuple(Channel)) for day in range(19, 29)
    ]
    assert (await statuses(database), await bills(database, "bst_date")) == ([], [])


async def test_the_rate_of_a_text_message_is_the_one_valid_at_the_start_of_its_london_day(
    make: Builders, database: Database, service: models.Service
) -> None:
    template = await make.template(service)
    # April's rate is valid from the first moment of the day.
    await make.add(models.Rate(valid_from=parse_utc("2026-04-01T12:00"), rate=Decimal(9), notification_type="sms"))
    for moment in ("2026-03-31T22:59:59", "2026-03-31T23:00", "2026-04-01T22:59", "2026-04-01T23:00"):
        await make.notification(template, created_at=parse_utc(moment), billable_units=2, sent_by="mmg")

    with time_of_day("2026-04-03T12:00"):
        await count_due_days(database)

    assert await bills(database, "bst_date", "rate") == [
        (date(2026, 3, 31), Decimal("0.0233"), 1, 2),
        (date(2026, 4, 1), Decimal("0.024"), 2, 4),
        (date(2026, 4, 2), Decimal(9), 1, 2),
    ]


async def test_text_messages_are_billed_by_provider_multiplier_and_country(
    make: Builders, database: Database, service: models.Service
) -> None:
    template = await make.template(service)
    at = {"created_at": parse_utc("2026-06-10T12:00"), "billable_units": 3}
    billable = ("sending", "sent", "delivered", "pending", "temporary-failure", "permanent-failure")
    free = ("created", "technical-failure", "validation-failed", "cancelled", "failed")
    for status in (*billable, *free):
        await make.notification(template, **at, status=status, sent_by="mmg")
        await make.notification_history(template, **at, status=status, sent_by="mmg", key_type="team")
    await make.notification(template, **at, key_type="test", sent_by="mmg")
    await make.notification(template, **at, international=True, rate_multiplier=4, sent_by="firetext")
    await make.notification(template, **at, international=None, rate_multiplier=None)

    with time_of_day("2026-06-11T12:00"):
        await count_due_days(database)

    names = ("provider", "rate_multiplier", "international", "rate", "postage", "notification_type")
    kind = (Decimal("0.024"), "none", "sms")
    assert await bills(database, *names) == [
        ("firetext", 4, True, *kind, 1, 3),
        ("mmg", 1, False, *kind, 12, 36),
        ("unknown", 1, False, *kind, 1, 3),
    ]


async def test_emails_are_counted_without_cost(make: Builders, database: Database, service: models.Service) -> None:
    template = await make.template(service, Channel.EMAIL)
    for status in ("sending", "delivered", "temporary-failure", "permanent-failure", "pending", "sent", "created"):
        await make.notification(
            template, created_at=parse_utc("2026-06-10T12:00"), status=status, sent_by="elsewhere", rate_multiplier=2
        )

    with time_of_day("2026-06-11T12:00"):
        await count_due_days(database)

    assert await bills(database, "provider", "rate_multiplier", "rate", "postage") == [("ses", 0, 0, "none", 4, 0)]


async def test_letters_are_billed_by_sheets_and_postage(
    make: Builders, database: Database, service: models.Service
) -> None:
    template = await make.template(service, Channel.LETTER)
    at = {"created_at": parse_utc("2026-06-10T12:00")}
    for status in ("sending", "delivered", "returned-letter", "created", "cancelled", "technical-failure"):
        await make.notification(template, **at, status=status, postage="second", billable_units=2)
    await make.notification(template, **at, postage="second", billable_units=1)
    await make.notification_history(template, **at, postage="first", billable_units=1)
    # A number of sheets without a rate.
    await make.notification(template, **at, postage="first", billable_units=99)

    with time_of_day("2026-06-11T12:00"):
        await count_due_days(database)

    assert await bills(database, "provider", "postage", "rate") == [
        ("dvla", "first", Decimal(0), 1, 99),
        ("dvla", "first", Decimal("1.56"), 1, 1),
        ("dvla", "second", Decimal("0.73"), 1, 1),
        ("dvla", "second", Decimal("0.77"), 3, 6),
    ]


async def test_facts_without_messages_are_deleted(make: Builders, database: Database, service: models.Service) -> None:
    template = await make.template(service)
    old, recent = "2026-06-01T12:00", "2026-06-10T12:00"
    for moment in (old, recent):
        await make.notification(template, created_at=parse_utc(moment), status="sending")
    with time_of_day("2026-06-11T12:00"):
        await count_due_days(database)
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE notifications SET sent_by = 'mmg'"))

    with time_of_day("2026-06-12T12:00"):
        await count_due_days(database)

    assert await bills(database, "bst_date", "provider") == [
        (date(2026, 6, 1), "unknown", 1, 1),
        (date(2026, 6, 10), "mmg", 1, 1),
    ]


async def test_facts_agree_with_a_count_in_python(make: Builders, database: Database, service: models.Service) -> None:
    generator = random.Random(7)  # noqa: S311 - for tests
    templates = [await make.template(service, channel) for channel in Channel]
    counted: Counter[tuple[Any, ...]] = Counter()
    units: Counter[tuple[Any, ...]] = Counter()
    rates = {"sms": ["sending", "sent", "delivered", "pending", "temporary-failure", "permanent-failure"]}
    for _ in range(200):
        template = generator.choice(templates)
        moment = parse_utc("2026-10-24T20:00") + timedelta(minutes=generator.randrange(60 * 52))
        status = generator.choice(["sending", "delivered", "technical-failure", "permanent-failure", "created"])
        key_type = generator.choice(["normal", "team", "test"])
        values = {
            "created_at": moment,
            "status": status,
            "key_type": key_type,
            "billable_units": 2,
            "postage": "second",
        }
        await generator.choice([make.notification, make.notification_history])(template, **values)  # type: ignore[operator]
        if key_type != "test":
            counted[london_days.london_day(moment), template.id, key_type, status] += 1
            if template.template_type == "sms" and status in rates["sms"]:
                units[london_days.london_day(moment), template.id] += 2

    with time_of_day("2026-10-28T12:00"):
        await count_due_days(database)

    rows_by_key = await statuses(database, "bst_date", "template_id", "key_type", "notification_status")
    assert {row[:-1]: row[-1] for row in rows_by_key} == counted
    billed = await rows(
        database, "SELECT bst_date, template_id, billable_units FROM ft_billing WHERE notification_type = 'sms'"
    )
    assert {(day, template_id): count for day, template_id, count in billed} == units


async def test_counting_needs_the_system_actor(database: Database) -> None:
    due = facts.DueDay(date(2026, 6, 1), tuple(Channel))
    async with database.transaction() as tx:
        for attempt in (
            facts.find_due_status_days(tx, stranger()),
            facts.find_due_billing_days(tx, stranger()),
            facts.count_statuses(tx, stranger(), due),
            facts.count_billing(tx, stranger(), due),
        ):
            with pytest.raises(Forbidden):
                await attempt
