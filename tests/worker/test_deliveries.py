"""Deliveries: each message is sent once, in spite of failing providers and workers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from graphql_api.domain import deliveries
from graphql_api.domain.deliveries import DeliveryPolicy, FailedMessage, SentMessage
from graphql_api.enums import Channel, KeyType, NotificationStatus
from graphql_api.gateways import OutgoingMessage, RetryableSendError, SendResult
from graphql_api.models import utcnow
from graphql_api.worker import notifications
from tests.worker.harnesses import SYSTEM, WorkerHarness

PACE = DeliveryPolicy()


class Recording:
    """A gateway that raises the given errors in turn, and records the messages."""

    name = "recording"
    concurrency = 10

    def __init__(self, *faults: Exception | None, outcome: NotificationStatus | None = None) -> None:
        self.faults = list(faults)
        self.outcome = outcome
        self.sent: list[OutgoingMessage] = []

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Record a message, or raise the next error."""
        self.sent.append(message)
        if self.faults and (fault := self.faults.pop(0)):
            raise fault
        return SendResult(self.name, f"r-{message.id}", self.outcome)

    async def close(self) -> None:
        """Has nothing to close."""


async def _sms(harness: WorkerHarness, count: int = 1, **values: object) -> list[UUID]:
    template = await harness.make.template(await harness.make.service(name=f"Vaccines {uuid4()}"))
    return await harness.create_unsent_messages(template, count, **values)


def _payload(ids: list[UUID]) -> dict[str, list[str]]:
    return {"notification_ids": [str(message_id) for message_id in ids]}


async def test_a_text_message_is_rendered_sent_and_recorded(harness: WorkerHarness) -> None:
    service = await harness.make.service(prefix_sms=True)
    template = await harness.make.template(service, content="Hello ((name)), ^")
    (message_id,) = await harness.create_unsent_messages(template, reply_to_text="VACCINES")
    gateway = Recording()

    await notifications.deliver_messages(harness.worker_context(sms=gateway), _payload([message_id]))

    assert gateway.sent == [
        OutgoingMessage(message_id, Channel.SMS, "447700900123", f"{service.name}: Hello Jo, ^", sender="VACCINES")
    ]
    row = await harness.fetch_notification(message_id)
    assert (row["notification_status"], row["sent_by"], row["reference"]) == ("sending", "recording", f"r-{message_id}")
    assert row["billable_units"] == 1
    assert row["created_at"] <= row["sent_at"] == row["updated_at"]
    assert await harness.fetch_value("SELECT count(*) FROM deliveries") == 0


async def test_an_email_is_sent_as_text_and_html_with_its_senders_name(harness: WorkerHarness) -> None:
    service = await harness.make.service(custom_email_sender_name="Vaccines", email_sender_local_part="vaccines")
    template = await harness.make.template(service, Channel.EMAIL, content="# Hello ((name))", subject="Your ((thing))")
    (message_id,) = await harness.create_unsent_messages(
        template, reply_to_text="help@example.gov.uk", unsubscribe_link="https://example.gov.uk/u"
    )
    gateway = Recording()

    await notifications.deliver_messages(harness.worker_context(email=gateway), _payload([message_id]))

    (email,) = gateway.sent
    assert (email.recipient, email.subject, email.reply_to) == (
        "someone@example.com",
        "Your bill",
        "help@example.gov.uk",
    )
    assert (email.from_name, email.from_local_part) == ("Vaccines", "vaccines")
    assert email.unsubscribe_url == "https://example.gov.uk/u"
    assert "Hello Jo" in email.text
    assert "Hello Jo</h2>" in (email.html or "")
    assert (await harness.fetch_notification(message_id))["billable_units"] == 0


async def test_a_message_of_a_test_key_goes_to_the_fake_gateway(harness: WorkerHarness) -> None:
    (message_id,) = await _sms(harness, key_type=KeyType.TEST.value)
    gateway = Recording()

    await notifications.deliver_messages(harness.worker_context(sms=gateway), _payload([message_id]))

    assert gateway.sent == []
    assert harness.sent_ids() == [message_id]
    assert (await harness.fetch_notification(message_id))["sent_by"] == "fake"


@pytest.mark.parametrize(
    ("recipient", "status"),
    [
        ("447700900001", "delivered"),
        ("447700900002", "permanent-failure"),
        ("447700900003", "temporary-failure"),
        ("447700900999", "delivered"),
    ],
)
async def test_the_fake_recipient_decides_the_outcome_which_follows_sending(
    harness: WorkerHarness, recipient: str, status: str
) -> None:
    (message_id,) = await _sms(harness, normalised_to=recipient)
    async with harness.database.transaction() as tx:
        await deliveries.enqueue_messages(tx, [message_id])
    seen: list[tuple[str, object]] = []

    async def ended() -> bool:
        row = await harness.fetch_notification(message_id)
        if not seen or seen[-1][0] != row["notification_status"]:
            seen.append((row["notification_status"], row["updated_at"] or row["created_at"]))
        return bool(row["notification_status"] == status)

    async with harness.run_worker(fake_gateway_receipt_after=0.5):
        await harness.wait_until(ended)

    assert [name for name, _ in seen][-2:] == ["sending", status]
    assert all(earlier < later for (_, earlier), (_, later) in pairwise(seen))  # type: ignore[operator]


async def test_an_international_text_message_is_sent_without_confirmation(harness: WorkerHarness) -> None:
    (message_id,) = await _sms(harness, international=True, normalised_to="33612345678")

    await notifications.deliver_messages(harness.worker_context(sms=Recording()), _payload([message_id]))

    assert (await harness.fetch_notification(message_id))["notification_status"] == "sent"


async def test_an_outcome_without_delay_is_recorded_at_once(harness: WorkerHarness) -> None:
    (message_id,) = await _sms(harness)

    gateway = Recording(outcome=NotificationStatus.PERMANENT_FAILURE)
    await notifications.deliver_messages(harness.worker_context(sms=gateway), _payload([message_id]))

    assert (await harness.fetch_notification(message_id))["notification_status"] == "permanent-failure"
    assert await harness.queued_tasks() == []


async def test_a_task_run_twice_sends_once(harness: WorkerHarness) -> None:
    ids = await _sms(harness, 3)
    gateway = Recording()
    worker = harness.worker_context(sms=gateway)

    await asyncio.gather(*(notifications.deliver_messages(worker, _payload(ids)) for _ in range(4)))
    await notifications.deliver_messages(worker, _payload(ids))

    assert sorted(message.id for message in gateway.sent) == sorted(ids)


async def test_a_cancelled_message_is_not_sent(harness: WorkerHarness) -> None:
    cancelled_id, other_id = await _sms(harness, 2)
    await harness.execute("UPDATE notifications SET notification_status = 'cancelled' WHERE id = :id", id=cancelled_id)
    gateway = Recording()

    await notifications.deliver_messages(harness.worker_context(sms=gateway), _payload([cancelled_id, other_id]))

    assert [message.id for message in gateway.sent] == [other_id]


async def test_a_failed_text_message_is_retried_at_once_and_then_every_five_minutes(
    harness: WorkerHarness,
) -> None:
    (message_id,) = await _sms(harness)
    gateway = Recording(RetryableSendError("503"), RetryableSendError("timeout"))
    worker = harness.worker_context(sms=gateway)
    waits, before = [], utcnow()
    for attempt in (1, 2):
        await notifications.deliver_messages(worker, _payload([message_id]))
        (delivery,) = await harness.fetch_rows("SELECT * FROM deliveries")
        assert (delivery["attempts"], delivery["lease_owner"]) == (attempt, None)
        assert delivery["last_error"] == ("503", "timeout")[attempt - 1]
        waits.append(await harness.fetch_value("SELECT max(execute_after - created) FROM pgqueuer"))
        await harness.execute("TRUNCATE pgqueuer")
    row = await harness.fetch_notification(message_id)
    assert (row["notification_status"], row["billable_units"]) == ("created", 1)
    assert waits[0] == timedelta()
    assert before - utcnow() < waits[1] - timedelta(minutes=5) <= timedelta()

    await notifications.deliver_messages(worker, _payload([message_id]))
    assert len(gateway.sent) == 2  # not due

    await harness.execute("UPDATE deliveries SET next_attempt_at = now() - interval '1 second'")
    await notifications.deliver_messages(worker, _payload([message_id]))
    assert (await harness.fetch_notification(message_id))["notification_status"] == "sending"


async def test_a_message_without_retries_left_is_a_technical_failure(harness: WorkerHarness) -> None:
    (message_id,) = await _sms(harness)
    worker = harness.worker_context(
        settings={"delivery_retries": 2, "delivery_retry_after": 0},
        sms=(gateway := Recording(*(RetryableSendError("503") for _ in range(9)))),
    )
    for _ in range(5):
        await notifications.deliver_messages(worker, _payload([message_id]))

    assert len(gateway.sent) == 3
    row = await harness.fetch_notification(message_id)
    assert (row["notification_status"], row["billable_units"], row["sent_at"]) == ("technical-failure", 1, None)
    assert await harness.fetch_value("SELECT count(*) FROM deliveries") == 0


async def test_a_message_that_cannot_be_rendered_does_not_stop_others(harness: WorkerHarness) -> None:
    broken, *good = await _sms(harness, 5)
    await harness.execute("UPDATE notifications SET _personalisation = 'forged' WHERE id = :id", id=broken)
    gateway = Recording()

    await notifications.deliver_messages(harness.worker_context(sms=gateway), _payload([broken, *good]))

    assert sorted(message.id for message in gateway.sent) == sorted(good)
    assert (await harness.fetch_notification(broken))["notification_status"] == "created"
    assert await harness.fetch_value("SELECT last_error FROM deliveries") == "fault BadSignature"


async def test_a_message_claimed_by_another_worker_is_enqueued_again(harness: WorkerHarness) -> None:
    (message_id,) = await _sms(harness)
    async with harness.database.transaction() as tx:
        claim = await deliveries.claim(tx, SYSTEM, [message_id], owner=uuid4(), lease_seconds=60)
    assert [message.id for message in claim.messages] == [message_id]
    gateway = Recording()

    await notifications.deliver_messages(harness.worker_context(sms=gateway), _payload([message_id]))

    assert gateway.sent == []
    assert await harness.queued_tasks() == [("deliver notifications", "queued")]


async def test_an_expired_claim_passes_on_and_its_old_owner_changes_nothing(harness: WorkerHarness) -> None:
    (message_id,) = await _sms(harness)
    slow, quick = uuid4(), uuid4()
    async with harness.database.transaction() as tx:
        await deliveries.claim(tx, SYSTEM, [message_id], owner=slow, lease_seconds=-1)
    async with harness.database.transaction() as tx:
        (message,) = (await deliveries.claim(tx, SYSTEM, [message_id], owner=quick, lease_seconds=60)).messages
    assert (message.attempts, message.last_error) == (2, "abandoned")

    sent = SentMessage(message_id, "slow", "s", 1, utcnow())
    failure = FailedMessage(message_id, Channel.SMS, 99, 1, "503")
    async with harness.database.transaction() as tx:
        assert await deliveries.record_sent(tx, SYSTEM, [sent], owner=slow) == set()
        await deliveries.record_failed(tx, SYSTEM, [failure], owner=slow, policy=PACE)
    assert (await harness.fetch_notification(message_id))["notification_status"] == "created"

    async with harness.database.transaction() as tx:
        assert await deliveries.record_sent(tx, SYSTEM, [sent._replace(provider="quick")], owner=quick) == {message_id}
    assert (await harness.fetch_notification(message_id))["sent_by"] == "quick"


async def test_a_slow_gateway_keeps_its_claim(harness: WorkerHarness) -> None:
    (message_id,) = await _sms(harness)

    answering = asyncio.Event()

    class Slow(Recording):
        async def send(self, message: OutgoingMessage) -> SendResult:
            await answering.wait()
            return await super().send(message)

    gateway = Slow()
    worker = harness.worker_context(settings={"worker_lease": 2}, sms=gateway)
    first = asyncio.create_task(notifications.deliver_messages(worker, _payload([message_id])))

    async def is_claim_extended() -> bool:
        statement = "SELECT count(*) FROM deliveries WHERE lease_until > created_at + interval '4 seconds'"
        return bool(await harness.fetch_value(statement) == 1)

    await harness.wait_until(is_claim_extended)
    await notifications.deliver_messages(worker, _payload([message_id]))
    answering.set()
    await first

    assert [message.id for message in gateway.sent] == [message_id]
    assert (await harness.fetch_notification(message_id))["notification_status"] == "sending"


@pytest.mark.parametrize("status", NotificationStatus)
async def test_a_receipt_changes_open_statuses_only(harness: WorkerHarness, status: NotificationStatus) -> None:
    (message_id,) = await _sms(harness, status=status.value)
    open_ones = {"created", "sending", "pending", "sent", "pending-virus-check"}

    async with harness.database.transaction() as tx:
        changed = await deliveries.record_receipts(tx, SYSTEM, {message_id: NotificationStatus.TEMPORARY_FAILURE})

    row = await harness.fetch_notification(message_id)
    if status.value in open_ones:
        assert (changed, row["notification_status"]) == ({message_id}, "temporary-failure")
        assert row["updated_at"] is not None
    else:
        assert (changed, row["notification_status"]) == (set(), status.value)


async def test_the_first_final_receipt_applies(harness: WorkerHarness) -> None:
    (message_id,) = await _sms(harness, status="sending")
    news = ["pending", "delivered", "permanent-failure", "delivered", "pending"]

    for status in news:
        await notifications.record_receipts(harness.worker_context(), {"receipts": {status: [str(message_id)]}})

    assert (await harness.fetch_notification(message_id))["notification_status"] == "delivered"


async def test_overdue_messages_are_enqueued_again_and_recent_ones_are_not(harness: WorkerHarness) -> None:
    await harness.execute("UPDATE notifications SET notification_status = 'delivered'")
    hours = timedelta(hours=1)
    (old,) = await _sms(harness, created_at=utcnow() - 2 * hours)
    (young,) = await _sms(harness, created_at=utcnow())
    (held,) = await _sms(harness, created_at=utcnow() - 2 * hours)
    async with harness.database.transaction() as tx:
        await deliveries.claim(tx, SYSTEM, [held], owner=uuid4(), lease_seconds=60)

    async with harness.database.transaction() as tx:
        assert await deliveries.requeue_overdue(tx, SYSTEM, policy=PACE) == 1

    payload = await harness.fetch_value("SELECT convert_from(payload, 'UTF8') FROM pgqueuer")
    assert payload == f'{{"notification_ids":["{old}"]}}'
    assert str(young) not in payload


async def test_three_days_without_a_receipt_are_a_temporary_failure(harness: WorkerHarness) -> None:
    await harness.execute("UPDATE notifications SET notification_status = 'delivered'")
    days = timedelta(days=1)
    (silent,) = await _sms(harness, status="sending", created_at=utcnow() - 3 * days - days / 24)
    (pending,) = await _sms(harness, status="pending", created_at=utcnow() - 4 * days)
    (recent,) = await _sms(harness, status="sending", created_at=utcnow() - 2 * days)
    (abroad,) = await _sms(harness, status="sent", created_at=utcnow() - 4 * days)

    async with harness.database.transaction() as tx:
        assert await deliveries.fail_without_receipt(tx, SYSTEM, policy=PACE) == 2

    statuses = [
        (await harness.fetch_notification(message_id))["notification_status"]
        for message_id in (silent, pending, recent, abroad)
    ]
    assert statuses == ["temporary-failure", "temporary-failure", "sending", "sent"]
