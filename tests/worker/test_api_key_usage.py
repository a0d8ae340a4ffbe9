"""Usage of API keys that the worker adds: messages of jobs, and cost of messages."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from graphql_api.billing import london_days
from graphql_api.domain import api_key_usage
from graphql_api.enums import Channel, KeyType
from graphql_api.worker import jobs, notifications
from tests.worker.harnesses import WorkerHarness, recipient_csv

SUMMER_NIGHT = datetime(2024, 6, 1, 23, 30, tzinfo=UTC).replace(tzinfo=None)  # 2 June in London


async def figures(harness: WorkerHarness, key_id: UUID) -> list[dict[str, Any]]:
    """The usage rows of a key."""
    columns = "day, requests, notifications, units, cost"
    return await harness.fetch_rows(
        f"SELECT {columns} FROM api_key_usage_daily WHERE api_key_id = :id ORDER BY day", id=key_id
    )


def of(day: date, *, notifications: int = 0, units: int = 0, cost: str = "0") -> dict[str, Any]:
    """The figures of a day without calls."""
    return {"day": day, "requests": 0, "notifications": notifications, "units": units, "cost": Decimal(cost)}


async def test_messages_of_a_keys_job_count_as_its_messages_once(harness: WorkerHarness) -> None:
    service = await harness.make.service()
    key = await harness.make.api_key(service)
    template = await harness.make.template(service)
    job = await harness.create_job(template, recipient_csv(3), rows=3, run={"api_key_id": key.id})

    await jobs.process(harness.worker_context(), {"job_id": str(job.id)})
    await harness.execute("UPDATE jobs SET job_status = 'error' WHERE id = :id", id=job.id)
    await harness.execute("UPDATE job_runs SET next_row = 0, lease_until = NULL WHERE job_id = :id", id=job.id)
    await jobs.process(harness.worker_context(), {"job_id": str(job.id)})

    assert await figures(harness, key.id) == [of(london_days.today(), notifications=3)]


async def test_text_messages_cost_their_fragments_at_the_rate_of_their_day_once_they_are_sent(
    harness: WorkerHarness,
) -> None:
    service = await harness.make.service()
    key, test_key = await harness.make.api_key(service), await harness.make.api_key(service, KeyType.TEST, name="Test")
    template = await harness.make.template(service, content="x" * 200)
    rate = await harness.fetch_value(
        "SELECT rate FROM rates WHERE valid_from <= :at ORDER BY valid_from DESC LIMIT 1", at=SUMMER_NIGHT
    )
    at: dict[str, Any] = {"created_at": SUMMER_NIGHT, "api_key_id": key.id}
    ids = await harness.create_unsent_messages(template, 2, **at)
    ids += await harness.create_unsent_messages(template, 1, **at, rate_multiplier=Decimal(3), international=True)
    ids += await harness.create_unsent_messages(
        template, 1, created_at=SUMMER_NIGHT, api_key_id=test_key.id, key_type="test"
    )
    ids += await harness.create_unsent_messages(template, 1, created_at=SUMMER_NIGHT)

    for _ in range(2):
        await notifications.deliver_messages(
            harness.worker_context(), {"notification_ids": [str(notification_id) for notification_id in ids]}
        )

    assert rate > 0
    assert await figures(harness, key.id) == [of(date(2024, 6, 2), units=10, cost=str(10 * rate))]
    assert await figures(harness, test_key.id) == []


async def test_emails_have_no_cost(harness: WorkerHarness) -> None:
    service = await harness.make.service()
    key = await harness.make.api_key(service)
    template = await harness.make.template(service, Channel.EMAIL, subject="Hi", content="Hello")
    ids = await harness.create_unsent_messages(template, 1, api_key_id=key.id)

    await notifications.deliver_messages(
        harness.worker_context(), {"notification_ids": [str(notification_id) for notification_id in ids]}
    )

    assert await figures(harness, key.id) == []


async def test_a_letter_has_the_price_of_its_number_of_sheets(harness: WorkerHarness) -> None:
    service = await harness.make.service()
    key = await harness.make.api_key(service)
    template = await harness.make.template(service, Channel.LETTER)
    ids = await harness.create_unsent_messages(
        template, 2, api_key_id=key.id, created_at=SUMMER_NIGHT, postage="second"
    )
    await harness.execute("UPDATE notifications SET billable_units = 2 WHERE id = ANY(:ids)", ids=ids)
    rate = await harness.fetch_value(
        """
        SELECT rate FROM letter_rates WHERE sheet_count = 2 AND post_class = 'second' AND crown
        AND start_date <= :at AND (end_date IS NULL OR end_date > :at)
        """,
        at=SUMMER_NIGHT,
    )

    async with harness.database.transaction() as tx:
        await api_key_usage.add_cost(tx, ids)

    assert await figures(harness, key.id) == [of(date(2024, 6, 2), units=4, cost=str(2 * rate))]
