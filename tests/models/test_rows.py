"""Rows of Notify's tables, written and read through the models: every column is unchanged."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest_asyncio
from sqlalchemy import inspect

from graphql_api import models
from graphql_api.enums import Channel

if TYPE_CHECKING:
    from tests.builders import Builders
    from tests.conftest import SingleConnectionDatabase

DAY = date(2026, 11, 21)
MOMENT = datetime(2026, 11, 21, 12, 30)  # noqa: DTZ001 - columns hold naive UTC


@pytest_asyncio.fixture
async def rows(make: Builders) -> list[models.Model]:
    """A row of each table that no other code inserts into yet, in the order of foreign keys."""
    service = await make.service()
    organisation = await make.organisation()
    template = await make.template(service, Channel.EMAIL)
    person, of_service = service.created_by_id, {"service_id": service.id}
    of_template = {"template_id": template.id, "template_version": 1}
    of_letters = {"cost_threshold": "sorted"}
    webhook = models.Webhook(
        **of_service,
        callback_type="delivery_status",
        url="https://example.gov.uk/callback",
        bearer_token="signed",
        updated_by_id=person,
    )
    file = models.TemplateEmailFile(
        **of_template,
        filename="form.pdf",
        link_text="The form",
        retention_period=26,
        validate_users_email=True,
        created_by_id=person,
    )
    provider = models.Provider(
        display_name="Post", identifier="post", notification_type="letter", priority=30, created_by_id=person
    )
    request = models.JoinRequest(**of_service, requester_id=person, reason="To help")
    report = models.UnsubscribeReport(**of_service, earliest_timestamp=MOMENT, latest_timestamp=MOMENT, count=1)
    inbound = {"notify_number": "07700900111", "provider": "mmg", "provider_date": MOMENT, "provider_reference": "1"}
    unsubscribed = {**of_service, **of_template, "notification_id": uuid4(), "unsubscribe_request_report_id": report.id}
    return [
        models.SecurityKey(user_id=person, name="Blue", credential_data="AA", registration_response="AA"),
        models.InvitedOrganisationUser(
            email_address="a@example.gov.uk", invited_by_id=person, organisation_id=organisation.id, permissions=""
        ),
        request,
        models.JoinRequestContact(service_join_request_id=request.id, user_id=person),
        webhook,
        webhook.snapshot(),
        models.InboundMessage(**of_service, **inbound, user_number="447700900222", content="signed"),
        models.InboundMessageHistory(id=uuid4(), **of_service, **inbound),
        file,
        file.snapshot(),
        report,
        models.UnsubscribeRequest(**unsubscribed, email_address="a@example.gov.uk"),
        models.UnsubscribeRequestHistory(id=uuid4(), **unsubscribed),
        models.Complaint(**of_service, notification_id=uuid4(), complaint_type="abuse", complaint_date=MOMENT),
        models.ReturnedLetter(**of_service, notification_id=uuid4(), reported_at=DAY),
        models.LetterDespatch(**of_letters, notification_id=uuid4(), despatched_on=DAY),
        models.LetterDespatchFact(**of_letters, bst_date=DAY, postage="first", rate=Decimal("1.56"), billable_units=2),
        provider,
        provider.snapshot(),
        models.ProtectedSenderId(sender_id="hmrc"),
        models.ReportRequest(user_id=person, **of_service, report_type="notifications", parameter={"status": "all"}),
        models.Event(event_type="signed_in", data={"user_id": str(person)}),
        models.ProcessingTimeFact(bst_date=DAY, messages_total=9, messages_within_10_secs=8),
        models.ServiceStatisticsFact(
            bst_date=DAY,
            **of_service,
            template_id=template.id,
            notification_type="email",
            notification_status="sent",
            notification_count=1,
        ),
    ]


def values(row: models.Model) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in inspect(type(row)).column_attrs}


async def test_rows_are_read_as_they_were_written(
    make: Builders, database: SingleConnectionDatabase, rows: list[models.Model]
) -> None:
    written = [values(row) for row in rows]

    await make.add(*rows)

    async with database.transaction() as tx:
        read = [await tx.get(type(row), inspect(row).identity) for row in rows]
    assert [row and values(row) for row in read] == written
