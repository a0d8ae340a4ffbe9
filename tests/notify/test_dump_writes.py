"""Rows that this project writes into Notify's own database have the same columns and values as Notify's rows."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from graphql_api.enums import Channel, NotificationStatus
from graphql_api.gateways import FakeGateway, Gateways, OutgoingMessage, RetryableSendError, SendResult
from graphql_api.worker import jobs, notifications
from graphql_api.worker.context import WorkerContext
from tests.jwt_builders import jwt
from tests.notify import reference_rules
from tests.notify.dumps import RestoredDump, needs_dump
from tests.notify.reference_rules import NotifyRules, client_authorization_header

pytestmark = needs_dump

SERVICE, PERSON = "07edc420-8730-4b0f-8d72-3ad92a0ab109", "401dff98-70ed-4ee1-b5a0-30fcaa91e97c"
TEMPLATES = {
    "sms": "f35d38ee-6e13-4d5b-ba77-7d671860c096",
    "email": "4fc4c2d4-1f6f-4c84-9335-baf2eedda1e5",
    "letter": "0e2500ae-1032-42c2-8a0c-7804446ddb24",
}
TEST_KEY = "b18996d7-3994-4d42-ac89-18ab9702ece6"
SENT = {
    "sms": ({"phoneNumber": "07900900123"}, {"name": "Ada", "code": "1234"}, "ref-sms"),
    "email": ({"emailAddress": "Test.User@Example.GOV.UK"}, {"name": "Ada"}, "ref-email"),
    "letter": (
        {"postalAddress": {"lines": ["Ada Lovelace", "1 High Street", "SW1A 1AA"]}},
        {"name": "Ada"},
        "ref-letter",
    ),
}
SEND = """mutation ($input: SendNotificationInput!) { sendNotification(input: $input) {
    notification { id } userErrors { code message }
} }"""
JOB = """mutation ($input: CreateJobInput!) { createJob(input: $input) { job { id } userErrors { code message } } }"""
PEOPLE = "phone number,name,code\n" + "".join(f"0790090000{n},N{n},{n}\n" for n in range(5))
MOMENTS = {"created_at", "sent_at", "updated_at"}
OWN = {"id", "job_id", "sent_by", "reference"}
"""Columns that always differ."""


class Down:
    """A provider that is down."""

    name = "down"
    concurrency = 10

    async def send(self, _message: OutgoingMessage) -> SendResult:
        """Raise an error."""
        raise RetryableSendError("503")

    async def close(self) -> None:
        """Nothing to close."""


def worker(notify: RestoredDump) -> WorkerContext:
    """A worker whose providers are down, except for messages of test keys."""
    gateways = Gateways({channel: Down() for channel in Channel}, FakeGateway(receipt_delay_seconds=0))
    return WorkerContext(notify.settings, notify.database, notify.store, gateways, notify.signer)


async def dicts(notify: RestoredDump, statement: str) -> list[dict[str, Any]]:
    """Rows by column."""
    async with notify.database.read_connection() as connection:
        return [dict(row) for row in (await connection.execute(text(statement))).mappings()]


async def both(notify: RestoredDump, theirs: str, ours: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two messages as rows."""
    rows = {
        str(row["id"]): row
        for row in await dicts(notify, f"SELECT * FROM notifications WHERE id IN ('{theirs}', '{ours}')")
    }
    return rows[theirs], rows[ours]


def compare(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """Assert that two rows agree: equal values, and instants that are both set or both null."""
    assert _compared(ours) == _compared(theirs)


def _compared(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value is not None if name in MOMENTS else value for name, value in row.items() if name not in OWN}


@pytest.mark.parametrize("channel", list(SENT))
async def test_a_message_of_a_test_key_has_the_values_of_notifys(notify: RestoredDump, channel: str) -> None:
    recipient, personalisation, reference = SENT[channel]
    (theirs,) = await notify.rows(f"SELECT id FROM notifications WHERE client_reference = '{reference}'")
    arguments = {"templateId": TEMPLATES[channel], "recipient": recipient, "personalisation": personalisation}
    answer = (await notify.ask(SEND, jwt(SERVICE, TEST_KEY), input=arguments | {"reference": reference}))[
        "sendNotification"
    ]
    assert answer["userErrors"] == []
    await notifications.deliver_messages(worker(notify), {"notification_ids": [answer["notification"]["id"]]})

    their_row, our_row = await both(notify, str(theirs.id), answer["notification"]["id"])
    assert our_row["notification_status"] == NotificationStatus.DELIVERED
    if channel == "letter":
        assert re.fullmatch("[A-Z0-9]{16}", our_row["reference"])
        assert re.fullmatch("[A-Z0-9]{16}", their_row["reference"])
    if channel == "letter":
        # Notify gives no letter of a test key to a provider, and the postcodes of addresses may differ.
        their_row["sent_at"] = our_row["sent_at"]
        read = [notify.signer.unsign(row.pop("_personalisation")) for row in (their_row, our_row)]
        assert read[0].pop("postcode") == read[1].pop("address_line_3")
        assert read[0] == read[1]
    compare(their_row, our_row)


async def test_a_message_of_a_person_has_the_values_of_notifys_with_its_provider_down(notify: RestoredDump) -> None:
    arguments = {
        "serviceId": SERVICE,
        "templateId": TEMPLATES["sms"],
        "recipient": {"phoneNumber": "07900900999"},
        "personalisation": {"name": "One", "code": "2"},
    }
    answer = await notify.ask(SEND, jwt("notify-admin", "dev-notify-secret-key"), PERSON, input=arguments)
    ours = answer["sendNotification"]["notification"]["id"]
    await notifications.deliver_messages(worker(notify), {"notification_ids": [ours]})

    compare(*await both(notify, "ad0add65-83c1-48b5-94c1-f6b07e795b1e", ours))


async def test_a_job_and_its_messages_have_the_values_of_notifys(notify: RestoredDump) -> None:
    arguments = {
        "serviceId": SERVICE,
        "templateId": TEMPLATES["sms"],
        "source": {"csv": {"fileName": "people.csv", "content": PEOPLE}},
    }
    answer = await notify.ask(JOB, jwt("notify-admin", "dev-notify-secret-key"), PERSON, input=arguments)
    assert answer["createJob"]["userErrors"] == []
    job_id = answer["createJob"]["job"]["id"]
    work = worker(notify)
    await jobs.process(work, {"job_id": job_id})
    ids = [row.id for row in await notify.rows(f"SELECT id FROM notifications WHERE job_id = '{job_id}'")]
    await notifications.deliver_messages(work, {"notification_ids": [str(row_id) for row_id in ids]})

    rows = await dicts(notify, "SELECT * FROM notifications WHERE job_id IS NOT NULL ORDER BY job_row_number")
    theirs = [row for row in rows if str(row["job_id"]) != job_id]
    ours = [row for row in rows if str(row["job_id"]) == job_id]
    assert len(theirs) == len(ours) == 5
    for their_row, our_row in zip(theirs, ours, strict=True):
        compare(their_row, our_row)
    their_job, our_job = await dicts(notify, f"SELECT * FROM jobs ORDER BY id = '{job_id}'")
    assert await notify.store.get(f"service-{SERVICE}-notify/{job_id}.csv") == PEOPLE.encode()
    instants = {"created_at", "updated_at", "processing_started", "processing_finished"}
    assert {name for name in our_job if our_job[name] != their_job[name]} == {"id", "job_status"} | instants
    assert {our_job[name] is not None for name in instants} == {True}
    # Notify's job did not reach its last step, which a scheduled task of Notify takes.
    assert (their_job["job_status"], our_job["job_status"]) == ("finished", "finished all notifications created")


async def test_versions_written_here_are_those_that_notify_would_write(notify: RestoredDump) -> None:
    admin = jwt("notify-admin", "dev-notify-secret-key")

    async def do(mutation: str, kind: str, answer: str, **values: Any) -> Any:
        document = f"mutation ($input: {kind}!) {{ {mutation}(input: $input) {{ {answer} userErrors {{ code }} }} }}"
        (payload,) = (await notify.ask(document, admin, PERSON, input=values)).values()
        assert payload["userErrors"] == []
        return payload

    async with notify.database.read_connection() as connection:
        before = await reference_rules.history_differences(connection)
    await do("updateService", "UpdateServiceInput", "service { id }", serviceId=SERVICE, name="Peer service renamed")
    edited = {"templateId": TEMPLATES["sms"], "content": {"sms": {"body": "Bye ((name)), code ((code))"}}}
    await do("updateTemplate", "UpdateTemplateInput", "template { id }", **edited)
    await do("archiveTemplate", "ArchiveTemplateInput", "template { id }", templateId=TEMPLATES["email"])
    created = await do(
        "createApiKey", "CreateApiKeyInput", "apiKey { id } key", serviceId=SERVICE, name="made here", type="LIVE"
    )
    there = NotifyRules(notify.settings.secret_keys, notify.settings.salt)
    async with notify.database.read_connection() as connection:
        key = await there.authenticate(connection, client_authorization_header(created["key"]), now=datetime.now(UTC))
    assert str(key.id) == created["apiKey"]["id"]
    await do("revokeApiKey", "RevokeApiKeyInput", "apiKey { id }", apiKeyId=created["apiKey"]["id"])

    async with notify.database.read_connection() as connection:
        assert await reference_rules.history_differences(connection) == before
        assert await reference_rules.history_gaps(connection) == []
        dated = {"version", "updated_at"}
        renamed = {"name", "normalised_service_name", "email_sender_local_part"}
        assert (await reference_rules.version_changes(connection, "services", UUID(SERVICE)))[2:] == [dated | renamed]
        assert (await reference_rules.version_changes(connection, "templates", UUID(TEMPLATES["sms"])))[1:] == [
            dated | {"content"}
        ]
        assert await reference_rules.version_changes(connection, "templates", UUID(TEMPLATES["email"])) == [
            dated | {"archived"}
        ]
        assert await reference_rules.version_changes(connection, "api_keys", key.id) == [dated | {"expiry_date"}]
