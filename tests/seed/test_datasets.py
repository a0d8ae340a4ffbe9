"""Demo organisations, services, users and templates."""

from __future__ import annotations

import re

import asyncpg
import pytest

from graphql_api.content import messages
from graphql_api.enums import Channel
from graphql_api.seed.datasets import Sizes
from tests.seed.conftest import NOTIFICATIONS


async def test_the_number_of_messages_is_the_requested_one(db: asyncpg.Connection) -> None:
    counts = await db.fetchrow(
        "SELECT (SELECT count(*) FROM notifications), (SELECT count(*) FROM notification_history)"
    )

    assert tuple(counts) == (NOTIFICATIONS, NOTIFICATIONS // 2)


async def test_sizes_follow_the_number_of_messages() -> None:
    small, usual, large = (Sizes.for_notifications(count) for count in (500, 20_000, 500_000))

    assert (small.organisations, small.services, small.users, small.history) == (8, 8, 40, 250)
    assert (usual.organisations, usual.services, usual.users, usual.templates) == (20, 45, 225, 450)
    assert (large.organisations, large.services, large.users, large.templates, large.jobs) == (
        42,
        200,
        1_000,
        2_000,
        5_000,
    )


async def test_services_are_live_in_trial_and_archived_and_the_tail_is_long(db: asyncpg.Connection) -> None:
    states = await db.fetchrow(
        """
        SELECT count(*) FILTER (WHERE active AND NOT restricted), count(*) FILTER (WHERE active AND restricted),
            count(*) FILTER (WHERE NOT active)
        FROM services
        """
    )
    shares = [
        row["share"]
        for row in await db.fetch(
            """
            SELECT count(*)::float / sum(count(*)) OVER () AS share
            FROM notifications GROUP BY service_id ORDER BY 1 DESC
            """
        )
    ]

    assert tuple(states) == (12, 6, 1)
    assert 0.25 < shares[0] < 0.5  # one service sends a third of all messages
    assert shares[-1] < 0.01


async def test_the_archived_service_has_neither_name_nor_keys_nor_templates(db: asyncpg.Connection) -> None:
    service = await db.fetchrow("SELECT * FROM services WHERE NOT active")
    remaining = await db.fetchval(
        """
        SELECT (SELECT count(*) FROM api_keys WHERE service_id = $1 AND expiry_date IS NULL)
            + (SELECT count(*) FROM templates WHERE service_id = $1 AND NOT archived)
            + (SELECT count(*) FROM notifications WHERE service_id = $1)
        """,
        service["id"],
    )

    assert service["name"].startswith("_archived_2026-10-15-")
    assert remaining == 0


@pytest.mark.parametrize("table", ["services", "templates", "api_keys"])
async def test_the_history_holds_every_version_and_the_last_is_the_present_one(
    db: asyncpg.Connection, table: str
) -> None:
    history = {"services": "services_history"}.get(table, f"{table}_history")
    wrong = await db.fetchval(
        f"""
        SELECT count(*) FROM {table} AS now
        WHERE version <> (SELECT count(*) FROM {history} AS past WHERE past.id = now.id)
            OR NOT EXISTS (
                SELECT FROM {history} AS past WHERE past.id = now.id AND past.version = now.version
                    AND past.name = now.name AND past.updated_at IS NOT DISTINCT FROM now.updated_at
            )
        """
    )

    assert wrong == 0
    assert await db.fetchval(f"SELECT max(version) > 1 FROM {table}")


async def test_phone_numbers_and_domains_are_reserved_ones(db: asyncpg.Connection) -> None:
    texts = await db.fetch("SELECT DISTINCT normalised_to FROM notifications WHERE notification_type = 'sms'")
    mobiles = await db.fetch("SELECT DISTINCT mobile_number FROM users WHERE mobile_number IS NOT NULL")
    emails = await db.fetch(
        """
        SELECT DISTINCT split_part(address, '@', 2) AS domain FROM (
            SELECT email_address AS address FROM users
            UNION ALL SELECT normalised_to FROM notifications
                WHERE notification_type = 'email' AND notification_status <> 'validation-failed'
            UNION ALL SELECT email_address FROM service_email_reply_to
        ) AS addresses
        """
    )

    assert all(re.fullmatch(r"447700900\d{3}|07700900", row["normalised_to"]) for row in texts)
    assert all(re.fullmatch(r"\+447700900\d{3}", row["mobile_number"]) for row in mobiles)
    assert all(re.search(r"(\.example|^example\.(com|org|net))$", row["domain"]) for row in emails)


async def test_every_template_can_be_saved(db: asyncpg.Connection) -> None:
    rows = await db.fetch("SELECT template_type, name, subject, content FROM templates_history")
    wrong = [
        row["name"]
        for row in rows
        if messages.check_template(Channel(row["template_type"]), row["name"], row["subject"], row["content"])
    ]

    assert wrong == []
    assert {row["template_type"] for row in rows} == {"sms", "email", "letter"}
