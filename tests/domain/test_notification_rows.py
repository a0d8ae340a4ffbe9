"""Rows of messages, built in bulk for jobs."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import pytest

from graphql_api import models
from graphql_api.auth.crypto import Signer
from graphql_api.content.messages import CompiledTemplate
from graphql_api.database.database import Database
from graphql_api.domain import notification_rows
from graphql_api.domain.notification_rows import SharedFields
from graphql_api.enums import Channel
from graphql_api.recipients import lists
from tests import cpu_time
from tests.builders import Builders
from tests.conftest import Statements

COST = 25.0
"""Yardsticks that 1,000 rows may take."""


def shared_fields_of(job: models.Job, channel: Channel = Channel.SMS) -> SharedFields:
    return SharedFields(
        service_id=job.service_id,
        template_id=job.template_id or uuid4(),
        template_version=1,
        channel=channel,
        created_at=models.utcnow(),
        job_id=job.id,
        reply_to_text="GOVUK",
    )


def parse_rows(content: str, channel: Channel = Channel.SMS, body: str = "Hello ((name))") -> list[lists.RecipientRow]:
    template = CompiledTemplate(channel, subject="Hi", body=body)
    return list(lists.RecipientList(content, channel, template.placeholders, template=template))


async def test_each_row_of_a_job_becomes_a_message_valid_or_not(make: Builders, signer: Signer) -> None:
    job = await make.job(await make.template(await make.service()))
    parsed_rows = parse_rows("phone number,name,reference\n07700 900001,Zoë,r\n1,x,\n07700900002,y,\n")

    good, bad, disallowed = notification_rows.build_job_rows(
        shared_fields_of(job), parsed_rows, signer, is_failed=lambda row: row.number == 2
    )

    assert good["id"] == notification_rows.job_notification_id(job.id, 0)
    assert (good["to"], good["normalised_to"], good["status"]) == ("07700 900001", "447700900001", "created")
    assert (good["job_id"], good["job_row_number"], good["client_reference"]) == (job.id, 0, "r")
    assert (good["phone_prefix"], good["rate_multiplier"], good["international"]) == ("44", Decimal(1), False)
    assert (good["api_key_id"], good["created_by_id"], good["key_type"]) == (None, None, "normal")
    assert signer.unsign(good["personalisation"]) == {"phonenumber": "07700 900001", "name": "Zoë"}
    assert (bad["to"], bad["normalised_to"], bad["status"]) == ("1", "1", "validation-failed")
    assert (bad["phone_prefix"], bad["rate_multiplier"], bad["billable_units"]) == ("+44", Decimal(0), 0)
    assert (disallowed["status"], disallowed["rate_multiplier"]) == ("validation-failed", Decimal(0))
    assert disallowed["updated_at"] == disallowed["created_at"]


async def test_writing_a_chunk_again_changes_nothing(
    make: Builders, signer: Signer, database: Database, statements: Statements
) -> None:
    job = await make.job(await make.template(await make.service()))
    rows = notification_rows.build_job_rows(
        shared_fields_of(job), parse_rows("phone number,name\n" + "07700900001,x\n" * 1_000), signer
    )

    with statements(1):
        async with database.transaction() as tx:
            first = await notification_rows.insert_rows(tx, rows)
    async with database.transaction() as tx:
        again = await notification_rows.insert_rows(tx, rows)

    assert (len(set(first)), again) == (1_000, [])


async def test_a_letter_in_a_job_keeps_its_address(make: Builders, signer: Signer) -> None:
    job = await make.job(await make.template(await make.service(), Channel.LETTER))
    parsed_rows = parse_rows("address line 1,address line 2,postcode\nA,B,sw1a1aa\nA,B,C\n", Channel.LETTER, "Hello")

    good, bad = notification_rows.build_job_rows(shared_fields_of(job, Channel.LETTER), parsed_rows, signer)

    assert (good["to"], good["postage"], len(good["reference"])) == ("A\nB\nsw1a1aa", "second", 16)
    assert signer.unsign(good["personalisation"]) == {
        "address_line_1": "A",
        "address_line_2": "B",
        "address_line_3": "SW1A 1AA",
    }
    assert (bad["status"], bad["normalised_to"]) == ("validation-failed", "abc")


async def test_a_thousand_rows_are_made_at_little_cost(make: Builders, signer: Signer) -> None:
    job = await make.job(await make.template(await make.service()))
    parsed_rows = parse_rows("phone number,name\n" + "07700900001,Zoë\n" * 1_000)
    fields = shared_fields_of(job)

    assert cpu_time.ratio(lambda: notification_rows.build_job_rows(fields, parsed_rows, signer), enough=COST) <= COST


def test_rows_of_a_job_need_its_id(signer: Signer) -> None:
    alone = SharedFields(uuid4(), uuid4(), 1, Channel.SMS, models.utcnow())

    with pytest.raises(ValueError, match="need the job's id"):
        notification_rows.build_job_rows(alone, [], signer)
