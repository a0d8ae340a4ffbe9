"""Processing of jobs: every row becomes one message, in spite of failures."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from graphql_api.domain import job_runs
from graphql_api.domain.notification_rows import job_notification_id
from graphql_api.enums import Channel, KeyType
from graphql_api.models import utcnow
from graphql_api.worker import jobs
from tests.worker.harnesses import SYSTEM, WorkerHarness, recipient_csv

DONE = "finished all notifications created"


async def _process(harness: WorkerHarness, job_id: object) -> None:
    await jobs.process(harness.worker_context(), {"job_id": str(job_id)})


async def test_the_list_of_a_task_is_delivered(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    job = await harness.create_job(template, recipient_csv(2_500), rows=2_500)

    async with harness.run_worker():
        await harness.wait_until(lambda: _has_statuses(harness, job.id, {"delivered": 2_500}))

    assert await harness.job_status(job.id) == DONE
    assert await harness.queued_tasks() == []
    assert await harness.fetch_value("SELECT count(*) FROM deliveries") == 0
    assert sorted(harness.sent_ids()) == sorted(job_notification_id(job.id, row) for row in range(2_500))


async def _has_statuses(harness: WorkerHarness, job_id: object, expected: dict[str, int]) -> bool:
    return await harness.message_statuses(job_id) == expected  # type: ignore[arg-type]


async def test_a_row_becomes_a_message_with_its_values(harness: WorkerHarness) -> None:
    service = await harness.make.service()
    template = await harness.make.template(service)
    csv = '\ufeffPhone Number,Reference,name\r\n07900 900123,r-1,"Zoë\r\nO\'Neil 🎉"\r\n'
    job = await harness.create_job(template, csv, rows=1, run={"reply_to_text": "GOVUK"})

    await _process(harness, job.id)

    row = await harness.fetch_notification(job_notification_id(job.id, 0))
    assert {
        name: row[name]
        for name in ("to", "normalised_to", "job_row_number", "notification_status", "client_reference", "key_type")
    } == {
        "to": "07900 900123",
        "normalised_to": "447900900123",
        "job_row_number": 0,
        "notification_status": "created",
        "client_reference": "r-1",
        "key_type": "normal",
    }
    assert (row["api_key_id"], row["created_by_id"], row["reply_to_text"]) == (None, None, "GOVUK")
    assert harness.signer.unsign(row["_personalisation"]) == {"phonenumber": "07900 900123", "name": "Zoë\nO'Neil 🎉"}


async def test_a_bad_row_becomes_a_failed_message_and_the_others_are_sent(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    csv = "phone number,name\n07900900123,A\nnot a number,B\n07900900124,\n07900900125,D\n07900900126,E\n"
    job = await harness.create_job(template, csv, rows=5, run={"bad_rows": [3]})

    await _process(harness, job.id)

    rows = await harness.fetch_rows(
        "SELECT job_row_number, notification_status FROM notifications WHERE job_id = :id ORDER BY 1", id=job.id
    )
    assert [row["notification_status"] for row in rows] == [
        "created",
        "validation-failed",
        "validation-failed",
        "validation-failed",
        "created",
    ]
    assert await harness.job_status(job.id) == DONE


async def test_running_the_task_twice_changes_nothing(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    job = await harness.create_job(template, recipient_csv(1_500), rows=1_500)
    await _process(harness, job.id)
    before = await harness.fetch_rows("SELECT * FROM notifications WHERE job_id = :id ORDER BY id", id=job.id)

    await _process(harness, job.id)

    assert await harness.fetch_rows("SELECT * FROM notifications WHERE job_id = :id ORDER BY id", id=job.id) == before
    assert [task for task, _ in await harness.queued_tasks()].count("deliver notifications") == 2


async def test_an_interrupted_job_continues_after_its_last_row(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    job = await harness.create_job(template, recipient_csv(2_500), rows=2_500)
    work = harness.worker_context()
    work.stopping.set()
    await jobs.process(work, {"job_id": str(job.id)})
    assert await harness.message_statuses(job.id) == {"created": 1_000}
    assert await harness.job_status(job.id) == "in progress"
    assert await harness.fetch_value("SELECT next_row FROM job_runs WHERE job_id = :id", id=job.id) == 1_000

    await _process(harness, job.id)

    assert await harness.message_statuses(job.id) == {"created": 2_500}
    assert await harness.job_status(job.id) == DONE
    numbers = await harness.fetch_rows(
        "SELECT min(job_row_number), max(job_row_number), count(DISTINCT job_row_number) FROM notifications "
        "WHERE job_id = :id",
        id=job.id,
    )
    assert numbers == [{"min": 0, "max": 2_499, "count": 2_500}]


async def test_a_job_leased_by_another_worker_is_enqueued_again(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    job = await harness.create_job(template, recipient_csv(3), rows=3)
    async with harness.database.transaction() as tx:
        assert await job_runs.acquire(tx, SYSTEM, job.id, owner=uuid4(), lease_seconds=60)

    await _process(harness, job.id)

    assert await harness.message_statuses(job.id) == {}
    later = "entrypoint = 'process job' AND execute_after > now() + interval '3 seconds'"
    assert await harness.fetch_value(f"SELECT count(*) FROM pgqueuer WHERE {later}") == 1


async def test_a_superseded_worker_writes_nothing_more(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    job = await harness.create_job(template, recipient_csv(3), rows=3)
    async with harness.database.transaction() as tx:
        slow = await job_runs.acquire(tx, SYSTEM, job.id, owner=uuid4(), lease_seconds=-1)
    async with harness.database.transaction() as tx:
        quick = await job_runs.acquire(tx, SYSTEM, job.id, owner=uuid4(), lease_seconds=60)
    assert slow is not None
    assert quick is not None
    assert (slow.fence, quick.fence) == (1, 2)

    for step in (
        lambda tx: job_runs.write_rows(tx, SYSTEM, slow, [], row=0, lease_seconds=60),
        lambda tx: job_runs.begin_run(tx, SYSTEM, slow, message_count=3, international_count=0, lease_seconds=60),
        lambda tx: job_runs.renew_lease(tx, SYSTEM, slow, row=0, lease_seconds=60),
        lambda tx: job_runs.finish(tx, SYSTEM, slow),
    ):
        with pytest.raises(job_runs.Superseded):
            async with harness.database.transaction() as tx:
                await step(tx)
    assert await harness.job_status(job.id) == "in progress"
    assert await harness.fetch_value("SELECT processing_started FROM jobs WHERE id = :id", id=job.id) is None


async def test_a_list_above_the_daily_limit_sends_nothing(harness: WorkerHarness) -> None:
    service = await harness.make.service(sms_message_limit=10)
    template = await harness.make.template(service)
    fits = await harness.create_job(template, recipient_csv(6), rows=6)
    too_long = await harness.create_job(template, recipient_csv(5), rows=5)

    await _process(harness, fits.id)
    await _process(harness, too_long.id)

    assert await harness.job_status(fits.id) == DONE
    assert await harness.job_status(too_long.id) == "sending limits exceeded"
    assert await harness.message_statuses(too_long.id) == {}
    assert await harness.fetch_value("SELECT count FROM daily_usage WHERE service_id = :id", id=service.id) == 6


async def test_international_text_messages_count_against_their_own_limit(harness: WorkerHarness) -> None:
    service = await harness.make.service(features=("sms", "international_sms"), international_sms_message_limit=1)
    template = await harness.make.template(service)
    job = await harness.create_job(template, "phone number,name\n+33612345678,A\n+33612345679,B\n", rows=2)

    await _process(harness, job.id)

    assert await harness.job_status(job.id) == "sending limits exceeded"


async def test_bad_rows_do_not_count_against_the_limits(harness: WorkerHarness) -> None:
    service = await harness.make.service()
    template = await harness.make.template(service)
    csv = "phone number,name\n07900900123,A\nnot a number,B\n07900900124,\n07900900125,D\n"
    job = await harness.create_job(template, csv, rows=4, run={"error_policy": "skip_bad_rows", "bad_rows": [3]})

    await _process(harness, job.id)

    assert await harness.message_statuses(job.id) == {"created": 1, "validation-failed": 3}
    assert await harness.fetch_value("SELECT count FROM daily_usage WHERE service_id = :id", id=service.id) == 1


async def test_a_resumed_job_counts_against_the_limits_once(harness: WorkerHarness) -> None:
    service = await harness.make.service()
    template = await harness.make.template(service)
    job = await harness.create_job(template, recipient_csv(2_500), rows=2_500)
    work = harness.worker_context()
    work.stopping.set()
    for _ in range(3):
        await jobs.process(work, {"job_id": str(job.id)})

    assert await harness.job_status(job.id) == DONE
    assert await harness.fetch_value("SELECT count FROM daily_usage WHERE service_id = :id", id=service.id) == 2_500


async def test_a_job_of_an_archived_service_is_cancelled(harness: WorkerHarness) -> None:
    service = await harness.make.service(active=False)
    job = await harness.create_job(await harness.make.template(service), recipient_csv(1), rows=1)

    await _process(harness, job.id)

    assert await harness.job_status(job.id) == "cancelled"
    assert await harness.message_statuses(job.id) == {}


@pytest.mark.parametrize("status", ["cancelled", "finished", "sending limits exceeded", DONE])
async def test_a_job_in_a_final_status_is_not_run(harness: WorkerHarness, status: str) -> None:
    template = await harness.make.template(await harness.make.service())
    job = await harness.create_job(template, recipient_csv(1), rows=1, job_status=status)

    await _process(harness, job.id)

    assert await harness.job_status(job.id) == status
    assert await harness.message_statuses(job.id) == {}


async def test_a_scheduled_job_does_not_start_early(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    later = utcnow() + timedelta(hours=1)
    job = await harness.create_job(template, recipient_csv(1), rows=1, job_status="scheduled", scheduled_for=later)

    await _process(harness, job.id)

    assert await harness.job_status(job.id) == "scheduled"
    assert await harness.message_statuses(job.id) == {}


async def test_a_scheduled_job_starts_when_it_is_due(harness: WorkerHarness) -> None:
    template = await harness.make.template(await harness.make.service())
    soon = utcnow() + timedelta(seconds=1)
    job = await harness.create_job(template, recipient_csv(3), rows=3, job_status="scheduled", scheduled_for=soon)

    async with harness.run_worker():
        await harness.wait_until(lambda: _has_statuses(harness, job.id, {"delivered": 3}))

    started = await harness.fetch_value("SELECT processing_started FROM jobs WHERE id = :id", id=job.id)
    assert started >= soon


async def test_a_job_of_a_test_key_sends_as_that_key(harness: WorkerHarness) -> None:
    service = await harness.make.service()
    key = await harness.make.api_key(service, KeyType.TEST)
    template = await harness.make.template(service, Channel.EMAIL, subject="Hi", content="Hello ((name))")
    csv = "email address,name\na@example.com,A\n"
    job = await harness.create_job(template, csv, rows=1, run={"api_key_id": key.id})

    await _process(harness, job.id)

    row = await harness.fetch_notification(job_notification_id(job.id, 0))
    assert (row["key_type"], row["api_key_id"]) == ("test", key.id)
    assert await harness.fetch_rows("SELECT * FROM daily_usage WHERE service_id = :id", id=service.id) == []
