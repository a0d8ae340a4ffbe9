"""Nightly tasks in Notify's own database: its messages are counted, moved, and still readable with its keys."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from graphql_api.gateways import FakeGateway, Gateways
from graphql_api.worker import schedule
from graphql_api.worker.context import WorkerContext
from tests.jwt_builders import jwt
from tests.notify.dumps import RestoredDump, needs_dump

pytestmark = needs_dump

SERVICE, PERSON = "07edc420-8730-4b0f-8d72-3ad92a0ab109", "401dff98-70ed-4ee1-b5a0-30fcaa91e97c"
JUNE = "2026-06-10T12:00"
JOB = "0889c5e5-0287-4111-bd57-346b65150eeb"
ALL_TIME = """query ($service: ID!, $job: ID!) {
    service(id: $service) {
        live: notifications { totalCount }
        ever: notifications(filter: {includeErased: true}) { totalCount nodes { id recipient status createdBy { id } } }
    }
    job(id: $job) {
        progress { created delivered inProgress }
        notifications(filter: {includeErased: true}) {
            nodes { jobRowNumber personalDataErased templateVersion { version } }
        }
    }
}"""
COUNTED = """
    SELECT bst_date::text, notification_type, job_id <> '00000000-0000-0000-0000-000000000000', key_type,
        notification_status, notification_count
    FROM ft_notification_status ORDER BY 2, 3
"""
BILLED = """
    SELECT bst_date::text, notification_type, provider, rate_multiplier, international, rate::text, postage,
        billable_units, notifications_sent
    FROM ft_billing
"""


@pytest.fixture
async def old(notify: RestoredDump) -> RestoredDump:
    """Date its text messages in June, as delivered, and all other messages now."""
    async with notify.database.transaction() as tx:
        for statement in (
            "UPDATE notifications SET created_at = timezone('UTC', now())",
            (
                f"UPDATE notifications SET created_at = '{JUNE}', notification_status = 'delivered', sent_by = 'mmg' "
                "WHERE notification_type = 'sms'"
            ),
            f"UPDATE jobs SET created_at = '{JUNE}'",
        ):
            await tx.execute(text(statement))
    return notify


async def test_nightly_tasks_count_bill_and_move_notifys_messages(old: RestoredDump) -> None:
    work = WorkerContext(old.settings, old.database, old.store, Gateways({}, FakeGateway()), old.signer)
    seen: list[Any] = []
    for _ in range(2):
        for name in schedule.NIGHTLY_SCHEDULES:
            await schedule.SCHEDULES[name][1](work)
        seen.append([await old.rows(statement) for statement in (COUNTED, BILLED)])

    counted, billed = seen[0]
    assert seen[1] == seen[0]
    texts = [tuple(row) for row in counted if row.notification_type == "sms"]
    assert texts == [
        ("2026-06-10", "sms", False, "normal", "delivered", 1),
        ("2026-06-10", "sms", True, "normal", "delivered", 5),
    ]
    assert [tuple(row) for row in billed] == [("2026-06-10", "sms", "mmg", 1, False, "0.024", "none", 6, 6)]
    data = await old.ask(ALL_TIME, jwt("notify-admin", "dev-notify-secret-key"), PERSON, service=SERVICE, job=JOB)
    # Messages of test keys are deleted: that of June, but not the two of today.
    assert data["service"]["live"]["totalCount"] == 2
    assert data["service"]["ever"]["totalCount"] == 8
    erased = [node for node in data["service"]["ever"]["nodes"] if node["recipient"] is None]
    assert [node["status"] for node in erased] == ["DELIVERED"] * 6
    assert [node["createdBy"] for node in erased].count({"id": PERSON}) == 1
    assert data["job"]["progress"] == {"created": 5, "delivered": 5, "inProgress": 0}
    assert data["job"]["notifications"]["nodes"] == [
        {"jobRowNumber": row, "personalDataErased": True, "templateVersion": {"version": 2}} for row in range(5)
    ]
    assert [tuple(row) for row in await old.rows("SELECT archived FROM jobs")] == [(True,)]
