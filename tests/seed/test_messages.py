"""Demo messages, their jobs and their facts."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from graphql_api import seed
from graphql_api.billing import london_days
from graphql_api.content import messages, placeholders
from graphql_api.domain import job_runs, recipient_sources
from graphql_api.domain.notification_rows import job_notification_id
from graphql_api.enums import Channel
from graphql_api.gateways.object_store import Store
from tests.seed.conftest import NOTIFICATIONS, NOW, SIGNER


async def test_every_message_has_its_values_and_costs_what_it_should(db: asyncpg.Connection) -> None:
    rows = await db.fetch(
        """
        SELECT message.*, template.content, template.subject, services.name AS service, services.prefix_sms
        FROM notifications AS message
        JOIN templates_history AS template ON template.id = template_id AND template.version = template_version
        JOIN services ON services.id = message.service_id
        """
    )
    wrong = []
    for row in rows:
        channel = Channel(row["notification_type"])
        prefix = row["service"] if row["prefix_sms"] else None
        template = messages.CompiledTemplate(channel, subject=row["subject"], body=row["content"], prefix=prefix)
        values = {placeholders.normalise(key): value for key, value in SIGNER.unsign(row["_personalisation"]).items()}
        inspection = template.inspect(values)
        unsent = row["notification_status"] in {"created", "validation-failed"} or row["key_type"] == "test"
        if inspection.problems or (
            inspection.sms and row["billable_units"] != (0 if unsent else inspection.sms.fragment_count)
        ):
            wrong.append(row["id"])

    assert len(rows) == NOTIFICATIONS
    assert wrong == []
    assert any(row["billable_units"] > 1 for row in rows)


async def test_messages_are_erased_after_their_retention_period(db: asyncpg.Connection) -> None:
    wrong = await db.fetchrow(
        """
        WITH retention AS (
            SELECT id, timezone('UTC', timezone('Europe/London', $1::timestamp - make_interval(days => coalesce(
                (SELECT min(days_of_retention) FROM service_data_retention WHERE service_id = services.id), 7
            )))) AS since FROM services
        )
        SELECT
            (SELECT count(*) FROM notifications JOIN retention ON retention.id = service_id WHERE created_at < since),
            (
                SELECT count(*) FROM notification_history JOIN retention ON retention.id = service_id
                WHERE created_at >= since
            ),
            (SELECT count(*) FROM notifications WHERE greatest(created_at, sent_at, updated_at) > $2),
            (SELECT count(*) FROM notification_history WHERE key_type = 'test')
        """,
        datetime(2026, 10, 27),  # noqa: DTZ001 - London's midnight
        NOW,
    )

    assert tuple(wrong) == (0, 0, 0, 0)


async def test_finished_jobs_have_a_message_for_each_row(db: asyncpg.Connection) -> None:
    jobs = await db.fetch(
        """
        SELECT jobs.id, job_status, notification_count, count(message.id) AS message_count,
            array_agg(message.job_row_number ORDER BY message.job_row_number) AS rows
        FROM jobs LEFT JOIN notifications_all_time_view AS message ON message.job_id = jobs.id GROUP BY jobs.id
        """
    )
    finished = [job for job in jobs if job["job_status"] == "finished all notifications created"]

    assert all(job["rows"] == list(range(job["notification_count"])) for job in finished)
    assert Counter(job["job_status"] for job in jobs if job not in finished) == {
        "scheduled": 2,
        "cancelled": 1,
        "sending limits exceeded": 1,
        "error": 1,
        "in progress": 1,
    }
    assert [job["message_count"] for job in jobs if job["job_status"] == "in progress"] == [25]


async def test_a_worker_can_continue_the_jobs_that_are_not_finished(
    db: asyncpg.Connection, demo: seed.Demo, object_store: Store
) -> None:
    runs = await db.fetch(
        "SELECT job_id, next_row, job_status, notification_count FROM job_runs JOIN jobs ON jobs.id = job_id"
    )
    for run in runs:
        lines = (await object_store.get(job_runs.list_path(demo.service_id, run["job_id"]))).decode().splitlines()
        assert lines[0] == "phone number,name,day"
        assert len(lines) == run["notification_count"] + 1
    (running,) = (run for run in runs if run["job_status"] == "in progress")
    recipients = {
        row["id"]: row["to"]
        for row in await db.fetch('SELECT id, "to" FROM notifications WHERE job_id = $1', running["job_id"])
    }
    lines = (await object_store.get(job_runs.list_path(demo.service_id, running["job_id"]))).decode().splitlines()[1:]

    assert recipients == {
        job_notification_id(running["job_id"], row): lines[row].split(",")[0] for row in range(running["next_row"])
    }
    contacts = await db.fetchval("SELECT id FROM service_contact_list")
    contact_file = await object_store.get(recipient_sources.contact_list_path(demo.service_id, contacts))
    assert len(contact_file.decode().splitlines()) == 26


async def test_status_facts_count_the_messages_of_the_days_before_today(db: asyncpg.Connection) -> None:
    counted: Counter[tuple[Any, ...]] = Counter()
    for row in await db.fetch("SELECT * FROM notifications_all_time_view WHERE key_type <> 'test'"):
        day = london_days.london_day(row["created_at"])
        if day < london_days.london_day(NOW):
            job_id = row["job_id"] or UUID(int=0)
            kind = (row["notification_type"], row["key_type"], row["notification_status"])
            counted[day, row["template_id"], row["service_id"], job_id, *kind] += 1
    facts = {
        tuple(row)[:-1]: row["notification_count"]
        for row in await db.fetch(
            """
            SELECT bst_date, template_id, service_id, job_id, notification_type, key_type, notification_status,
                notification_count
            FROM ft_notification_status
            """
        )
    }

    assert facts == counted


async def test_billing_facts_count_the_billable_messages_at_the_rates_of_their_days(db: asyncpg.Connection) -> None:
    sent: Counter[tuple[Any, ...]] = Counter()
    units: Counter[tuple[Any, ...]] = Counter()
    text_rates = await db.fetch("SELECT valid_from, rate FROM rates ORDER BY valid_from")
    letter_rates = await db.fetch("SELECT * FROM letter_rates WHERE crown")
    statuses = {
        "sms": {"sending", "sent", "delivered", "pending", "temporary-failure", "permanent-failure"},
        "email": {"sending", "delivered", "temporary-failure", "permanent-failure"},
        "letter": {"sending", "delivered", "returned-letter"},
    }
    for row in await db.fetch("SELECT * FROM notifications_all_time_view WHERE key_type <> 'test'"):
        channel, day = row["notification_type"], london_days.london_day(row["created_at"])
        if day >= london_days.london_day(NOW) or row["notification_status"] not in statuses[channel]:
            continue
        midnight, count = london_days.midnight(day), row["billable_units"]
        if channel == "sms":
            rate = [text_rate["rate"] for text_rate in text_rates if text_rate["valid_from"] <= midnight][-1]
            kind = (row["sent_by"], 1, rate, "none")
        elif channel == "email":
            count = 0
            kind = ("ses", 0, Decimal(0), "none")
        else:
            (rate,) = (
                letter_rate["rate"]
                for letter_rate in letter_rates
                if letter_rate["post_class"] == row["postage"]
                and letter_rate["sheet_count"] == count
                and letter_rate["start_date"] <= midnight
                and (letter_rate["end_date"] is None or midnight < letter_rate["end_date"])
            )
            kind = ("dvla", 1, rate, row["postage"])
        key = (day, row["template_id"], row["service_id"], channel, *kind)
        sent[key] += 1
        units[key] += count
    facts = await db.fetch(
        """
        SELECT bst_date, template_id, service_id, notification_type, provider, rate_multiplier, rate, postage,
            notifications_sent, billable_units
        FROM ft_billing
        """
    )

    assert {tuple(row)[:8]: row["notifications_sent"] for row in facts} == sent
    assert {tuple(row)[:8]: row["billable_units"] for row in facts if row["billable_units"]} == +units
