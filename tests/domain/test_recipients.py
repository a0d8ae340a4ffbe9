"""Lists of recipients: their sources, and the results of a check."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.domain import recipient_sources
from graphql_api.enums import Channel
from graphql_api.errors import (
    Problems,
)
from tests.builders import Builders
from tests.conftest import Statements
from tests.domain.job_services import VALID_CSV, JobService, csv_source


async def test_rows_in_the_call_become_a_file(
    make: Builders, job_service: JobService, service: models.Service, actor: Actor
) -> None:
    template = await make.template(service, content="((name)) ((items)) ((show??yes))")
    rows = [
        {
            "recipient": {"phone_number": "07700900001"},
            "personalisation": {"Name": 'Zoë "Z", x\ny', "items": ["a"], "show": True, "phone_number": "ignored"},
            "reference": "r1",
        },
        {"recipient": {"phone_number": "07700900002"}, "personalisation": {"name": 12, "items": "b", "show": False}},
    ]

    job = await job_service.create(actor, template, {"rows": rows})
    result = await job_service.check(actor, template, {"rows": rows})

    assert (job.original_file_name, job.notification_count) == ("", 2)
    assert (await job_service.store.get(f"service-{service.id}-notify/{job.id}.csv")).decode() == (
        "phone number,Name,items,items,show,reference\r\n"
        '07700900001,"Zoë ""Z"", x\ny",a,,True,r1\r\n'
        "07700900002,12,b,,False,\r\n"
    )
    assert [(row.recipient, row.reference) for row in result.sample] == [("07700900001", "r1"), ("07700900002", None)]
    assert result.sample[0].personalisation == {
        "phonenumber": "07700900001",
        "name": 'Zoë "Z", x\ny',
        "items": ["a"],
        "show": "True",
    }


async def test_rows_of_letters_become_address_columns(
    make: Builders, job_service: JobService, service: models.Service, actor: Actor
) -> None:
    template = await make.template(service, Channel.LETTER, content="Hello", subject="Tax")
    rows = [
        {"recipient": {"postal_address": {"lines": ["A", "B", "SW1A 1AA"]}}},
        {"recipient": {"postal_address": {"lines": ["A", "B", "C", "D", "E", "F", "Nowhere"]}}},
    ]

    result = await job_service.check(actor, template, {"rows": rows})

    assert [(problem.row, problem.code.name) for problem in result.row_errors] == [
        (1, "ADDRESS_LAST_LINE_NOT_POSTCODE_OR_COUNTRY")
    ]
    assert (result.total_units, result.estimated_cost) == (1, Decimal("0.73"))


async def test_an_address_with_more_lines_than_columns_is_refused(
    make: Builders, job_service: JobService, service: models.Service, actor: Actor
) -> None:
    template = await make.template(service, Channel.LETTER, content="Hello", subject="Tax")
    lines = ["A", "B", "C", "D", "E", "F", "G", "SW1A 1AA"]

    error = await job_service.expect_error(
        actor, template, {"rows": [{"recipient": {"postal_address": {"lines": lines}}}]}
    )

    assert (error.code.name, error.path) == (
        "ADDRESS_TOO_MANY_LINES",
        ("source", "rows", "0", "recipient", "postal_address", "lines"),
    )


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        ([], [("FILE_EMPTY", ("source", "rows"))]),
        ([{"recipient": {"phone_number": "1"}}] * 251, [("TOO_MANY_ROWS", ("source", "rows"))]),
        (
            [
                {"recipient": {"email_address": "a@example.com"}},
                {"recipient": {"phone_number": "1"}, "personalisation": {"a": {}}},
                {"recipient": {"phone_number": "1"}, "personalisation": {"Reference": "x"}, "reference": "y"},
            ],
            [
                ("TEMPLATE_CHANNEL_MISMATCH", ("source", "rows", "0", "recipient", "email_address")),
                ("INVALID", ("source", "rows", "1", "personalisation", "a")),
                ("INVALID", ("source", "rows", "2", "reference")),
            ],
        ),
    ],
)
async def test_rows_must_be_representable_as_a_file(
    job_service: JobService,
    template: models.Template,
    actor: Actor,
    rows: Any,
    problems: list[tuple[str, tuple[str, ...]]],
) -> None:
    error = await job_service.expect_error(actor, template, {"rows": rows})

    result = error.problems if isinstance(error, Problems) else [error]
    assert [(problem.code.name, problem.path) for problem in result] == problems


async def test_a_contact_list_of_the_service_can_be_used(
    make: Builders, job_service: JobService, service: models.Service, template: models.Template, actor: Actor
) -> None:
    values: dict[str, Any] = {"service_id": service.id, "original_file_name": "team.csv", "row_count": 2}
    contact_list = models.ContactList(**values, template_type="sms")
    emails = models.ContactList(**values, template_type="email")
    archived = models.ContactList(**values, template_type="sms", archived=True)
    lost = models.ContactList(**values, template_type="sms")
    other = models.ContactList(**values | {"service_id": (await make.service()).id}, template_type="sms")
    await make.add(contact_list, emails, archived, lost, other)
    await job_service.store.put(recipient_sources.contact_list_path(service.id, contact_list.id), VALID_CSV.encode())

    job = await job_service.create(actor, template, {"contact_list_id": contact_list.id})

    assert (job.contact_list_id, job.original_file_name, job.notification_count) == (contact_list.id, "team.csv", 2)
    path = ("source", "contact_list_id")
    for problem, code in (
        (emails, "TEMPLATE_CHANNEL_MISMATCH"),
        (archived, "NOT_FOUND"),
        (other, "NOT_FOUND"),
        (lost, "FILE_UNREADABLE"),
    ):
        error = await job_service.expect_error(actor, template, {"contact_list_id": problem.id})
        assert (error.code.name, error.path) == (code, path)


async def test_a_check_reports_counts_and_cost_of_a_job(
    job_service: JobService, template: models.Template, actor: Actor
) -> None:
    content = (
        "Name,phone number,Extra,reference\n"
        + "".join(f"Zoë {row},0770090{row:04},x,r{row}\n" for row in range(10))
        + f"{'x' * 160},+33612345678,,\nx,+44 7700 900000,,\n"
    )

    result = await job_service.check(actor, template, csv_source(content))

    assert (result.is_valid, result.problems, result.row_errors) == (True, [], [])
    assert result.columns == ["Name", "phone number", "Extra", "reference"]
    assert (result.recipient_columns, result.unused_columns, result.missing_columns) == (
        ["phone number"],
        ["Extra"],
        [],
    )
    assert (result.row_count, result.rows_with_errors_count) == (12, 0)
    assert (result.international_count, result.duplicate_recipient_count) == (1, 1)
    # Eleven UK messages of one fragment, and one of two fragments to France with the multiplier 2.
    assert (result.total_units, result.estimated_cost) == (15, Decimal("0.360"))
    assert result.remaining_today == 250_000
    assert [row.number for row in result.sample] == list(range(10))
    assert result.sample[3].cells == {"Name": "Zoë 3", "phone number": "07700900003", "Extra": "x", "reference": "r3"}
    assert result.render(result.sample[3]).text.endswith(": Hello Zoë 3")
    assert result.already_sent_job_id is None


async def test_a_list_that_was_sent_today_is_recognised(
    job_service: JobService, template: models.Template, actor: Actor
) -> None:
    job = await job_service.create(actor, template)

    assert (await job_service.check(actor, template)).already_sent_job_id == job.id
    assert (await job_service.check(actor, template, csv_source(VALID_CSV, "other.csv"))).already_sent_job_id is None
    async with job_service.database.transaction() as tx:
        await tx.execute(text("UPDATE jobs SET job_status = 'cancelled'"))
    assert (await job_service.check(actor, template)).already_sent_job_id is None


async def test_ten_thousand_rows_of_a_windows_spreadsheet_become_a_job(
    make: Builders, job_service: JobService, service: models.Service, actor: Actor, statements: Statements
) -> None:
    template = await make.template(service, Channel.EMAIL, content="Dear ((full name)),\n\n((note))", subject="Hi")
    names = [
        "Zoë Ångström",
        "Łukasz O\u2019Neil",
        "Nguyễn Văn A",
        "李雷",
        "🎉 Party",
        "Siân ap Dŵr",
        'Ann "Annie" Smith',
    ]
    lines = ["\ufeffEmail Address,full_name,NOTE"]
    for row in range(10_000):
        name = names[row % len(names)].replace('"', '""')
        lines.append(f'person.{row}@example.com,"{name}","Line one,\r\nline two of {row}"')
    content = "\r\n".join(lines) + "\r\n\r\n"

    with statements(10):
        job = await job_service.create(actor, template, csv_source(content))
    result = await job_service.check(actor, template, csv_source(content))

    assert job.notification_count == 10_000
    assert await job_service.store.get(f"service-{service.id}-notify/{job.id}.csv") == content.encode()
    assert (result.row_count, result.duplicate_recipient_count, result.is_valid) == (10_000, 0, True)
    assert result.sample[6].personalisation == {
        "emailaddress": "person.6@example.com",
        "fullname": 'Ann "Annie" Smith',
        "note": "Line one,\nline two of 6",
    }
    assert result.estimated_cost == 0
