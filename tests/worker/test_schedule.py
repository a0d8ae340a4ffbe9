"""Scheduled tasks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine

from graphql_api.domain import job_runs
from graphql_api.domain.notification_rows import job_notification_id
from graphql_api.domain.recipient_sources import upload_path
from graphql_api.enums import Channel
from graphql_api.models import DataRetention, Upload, utcnow
from graphql_api.worker import jobs, schedule
from tests.worker.harnesses import SYSTEM, WorkerHarness, recipient_csv

HOUR = timedelta(hours=1)
DONE = "finished all notifications created"


async def _job(harness: WorkerHarness, **values: Any) -> UUID:
    await harness.execute(f"UPDATE jobs SET job_status = '{DONE}'")
    template = await harness.make.template(await harness.make.service())
    job = await harness.create_job(template, recipient_csv(3), rows=3, **values)
    await harness.execute("TRUNCATE pgqueuer")
    return job.id


async def test_due_jobs_start_even_if_their_task_was_lost(harness: WorkerHarness) -> None:
    due = await _job(harness, job_status="scheduled", scheduled_for=utcnow() - HOUR)
    await harness.execute("TRUNCATE pgqueuer")

    await schedule.start_due_jobs(harness.worker_context())
    await schedule.start_due_jobs(harness.worker_context())

    assert await harness.job_status(due) == "pending"
    assert await harness.queued_tasks() == [("process job", "queued")]


async def test_jobs_that_are_not_due_do_not_start(harness: WorkerHarness) -> None:
    later = await _job(harness, job_status="scheduled", scheduled_for=utcnow() + HOUR)

    await schedule.start_due_jobs(harness.worker_context())

    assert await harness.job_status(later) == "scheduled"
    assert await harness.queued_tasks() == []


@pytest.mark.parametrize("status", ["pending", "in progress", "error"])
async def test_a_job_without_progress_is_an_error_and_is_enqueued(harness: WorkerHarness, status: str) -> None:
    job_id = await _job(harness, job_status=status, created_at=utcnow() - HOUR)

    await schedule.complete_and_resume_jobs(harness.worker_context())

    assert await harness.job_status(job_id) == "error"
    assert await harness.queued_tasks() == [("process job", "queued")]
    await jobs.process(harness.worker_context(), {"job_id": str(job_id)})
    assert await harness.job_status(job_id) == DONE
    assert await harness.message_statuses(job_id) == {"created": 3}


async def test_a_leased_job_is_not_restarted(harness: WorkerHarness) -> None:
    job_id = await _job(harness, created_at=utcnow() - HOUR)
    async with harness.database.transaction() as tx:
        assert await job_runs.acquire(tx, SYSTEM, job_id, owner=job_id, lease_seconds=60)
    await harness.execute(
        "UPDATE jobs SET updated_at = created_at, processing_started = created_at WHERE id = :id", id=job_id
    )

    await schedule.complete_and_resume_jobs(harness.worker_context())

    assert await harness.job_status(job_id) == "in progress"
    assert await harness.queued_tasks() == []


async def test_a_finished_job_with_missing_rows_is_read_again(harness: WorkerHarness) -> None:
    job_id = await _job(harness)
    await jobs.process(harness.worker_context(), {"job_id": str(job_id)})
    first, second, third = (job_notification_id(job_id, row) for row in range(3))
    await harness.execute("DELETE FROM notifications WHERE id IN (:a, :b)", a=first, b=third)
    await harness.execute(
        "UPDATE jobs SET job_status = 'finished', processing_finished = now() - interval '20 minutes' WHERE id = :id",
        id=job_id,
    )
    before = await harness.fetch_notification(second)

    await schedule.complete_and_resume_jobs(harness.worker_context())
    assert await harness.job_status(job_id) == "error"
    await jobs.process(harness.worker_context(), {"job_id": str(job_id)})

    assert await harness.message_statuses(job_id) == {"created": 3}
    assert await harness.fetch_notification(second) == before
    assert await harness.job_status(job_id) == DONE
    used = "SELECT count FROM daily_usage WHERE service_id = (SELECT service_id FROM jobs WHERE id = :id)"
    assert await harness.fetch_value(used, id=job_id) == 3


async def test_a_finished_job_with_every_row_is_marked_complete(harness: WorkerHarness) -> None:
    job_id = await _job(harness)
    await jobs.process(harness.worker_context(), {"job_id": str(job_id)})
    await harness.execute("UPDATE jobs SET job_status = 'finished' WHERE id = :id", id=job_id)

    await schedule.complete_and_resume_jobs(harness.worker_context())

    assert await harness.job_status(job_id) == DONE
    assert [task for task, _ in await harness.queued_tasks()] == ["deliver notifications"]


async def test_a_job_of_another_system_does_not_change(harness: WorkerHarness) -> None:
    job_id = await _job(harness, created_at=utcnow() - HOUR)
    await harness.execute("DELETE FROM job_runs WHERE job_id = :id", id=job_id)

    await schedule.complete_and_resume_jobs(harness.worker_context())
    await jobs.process(harness.worker_context(), {"job_id": str(job_id)})

    assert await harness.job_status(job_id) == "pending"
    assert await harness.queued_tasks() == []


async def test_a_held_task_is_retried_each_hour_for_three_days(harness: WorkerHarness) -> None:
    insert = (
        "INSERT INTO pgqueuer (priority, status, entrypoint, attempts, created, updated) "
        "VALUES (0, 'failed', :task, 3, now() - CAST(:age AS interval), now() - CAST(:since AS interval))"
    )
    days = 24 * HOUR
    for task, age, since in (
        ("receive receipts", 2 * HOUR, 2 * HOUR),
        ("receive receipts", 2 * HOUR, HOUR / 2),
        ("receive receipts", 4 * days, 2 * HOUR),
        ("platform message", 2 * HOUR, 2 * HOUR),
    ):
        await harness.execute(insert, task=task, age=age, since=since)

    await schedule.retry_held_tasks(harness.worker_context())

    assert [status for _, status in await harness.queued_tasks()] == ["queued", "failed", "failed", "failed"]


async def _locations(harness: WorkerHarness, *ids: UUID) -> list[str]:
    """The table of each message: live, history or gone."""
    locations = []
    for message_id in ids:
        here = await harness.fetch_rows("SELECT id FROM notifications WHERE id = :id", id=message_id)
        there = await harness.fetch_rows("SELECT id FROM notification_history WHERE id = :id", id=message_id)
        locations.append({(1, 0): "live", (0, 1): "history", (0, 0): "gone"}[len(here), len(there)])
    return locations


def _utc(moment: str) -> datetime:
    return datetime.fromisoformat(moment)


async def test_messages_move_at_london_midnight_after_the_days_of_retention(
    harness: WorkerHarness,
) -> None:
    service = await harness.make.service()
    await harness.make.add(DataRetention(service_id=service.id, notification_type="email", days_of_retention=3))
    sms = await harness.make.template(service)
    email = await harness.make.template(service, Channel.EMAIL)
    # Summer time: London's 8 July begins at 23:00 UTC.
    old = await harness.make.notification(sms, created_at=_utc("2026-07-07T22:59:59"))
    young = await harness.make.notification(sms, created_at=_utc("2026-07-07T23:00:00"))
    test = await harness.make.notification(sms, created_at=_utc("2026-07-07"), key_type="test")
    short = await harness.make.notification(email, created_at=_utc("2026-07-11T22:59"))
    retained = await harness.make.notification(email, created_at=_utc("2026-07-11T23:01"))

    with time_machine.travel("2026-07-15T02:00Z", tick=True):
        await schedule.move_expired_messages(harness.worker_context())
        await schedule.move_expired_messages(harness.worker_context())

    ids = (old.id, young.id, test.id, short.id, retained.id)
    assert await _locations(harness, *ids) == ["history", "live", "gone", "history", "live"]
    (row,) = await harness.fetch_rows("SELECT * FROM notification_history WHERE id = :id", id=old.id)
    assert (row["notification_status"], row["created_at"], row["template_id"]) == ("delivered", old.created_at, sms.id)
    assert {"to", "normalised_to", "_personalisation", "reply_to_text"}.isdisjoint(row)


async def test_a_letter_that_is_not_sent_does_not_move(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service(), Channel.LETTER)
    long_ago = utcnow() - timedelta(days=30)
    on_its_way = await harness.make.notification(template, status="sending", created_at=long_ago, postage="second")
    arrived = await harness.make.notification(template, created_at=long_ago, postage="second")

    await schedule.move_expired_messages(harness.worker_context())

    assert await _locations(harness, on_its_way.id, arrived.id) == ["live", "history"]


async def test_expired_uploads_are_deleted_with_their_files(harness: WorkerHarness) -> None:
    api_key = await harness.make.api_key(await harness.make.service())
    values: dict[str, Any] = {"api_key_id": api_key.id, "byte_count": 1, "row_count": 1}
    old = Upload(**values, expires_at=utcnow() - HOUR)
    new = Upload(**values, expires_at=utcnow() + HOUR)
    await harness.make.add(old, new)
    for upload in (old, new):
        await harness.store.put(upload_path(upload.id), b"x")

    await schedule.delete_expired_uploads(harness.worker_context())

    assert await harness.fetch_rows("SELECT id FROM uploads WHERE api_key_id = :id", id=api_key.id) == [{"id": new.id}]
    assert [await harness.store.exists(upload_path(upload.id)) for upload in (old, new)] == [False, True]
