"""Lists of recipients: headers, rows and their problems."""

from __future__ import annotations

import pytest

from graphql_api.content.messages import CompiledTemplate
from graphql_api.content.placeholders import find
from graphql_api.content.sms import SmsCount
from graphql_api.enums import Channel, SmsEncoding, UserErrorCode
from graphql_api.recipients.lists import (
    AllowedDestinations,
    ListProblem,
    RecipientList,
    RecipientRow,
    RowProblem,
)
from graphql_api.recipients.phone_numbers import PhoneNumber
from tests import cpu_time

COST = 25.0
"""Yardsticks that 1,000 rows may take."""
ALICE = PhoneNumber("447900900123", international=False, calling_code="44", multiplier=1, country="GB")


def read(
    data: bytes | str, *names: str, channel: Channel = Channel.SMS, **more: bool
) -> tuple[RecipientList, list[RecipientRow]]:
    recipients = RecipientList(data, channel, names, allowed=AllowedDestinations(**more))
    return recipients, list(recipients)


def row_problems(rows: list[RecipientRow]) -> list[tuple[int, str | None, UserErrorCode]]:
    return [(problem.row, problem.column, problem.code) for row in rows for problem in row.problems]


def test_a_valid_row_has_everything_a_message_needs() -> None:
    body = "Hi ((name))"
    template = CompiledTemplate(Channel.SMS, subject=None, body=body, prefix="Service")

    recipients = RecipientList(
        "Phone-Number,First Name,NAME,reference\n07900 900123,x, Zoé ,ref-1\n",
        Channel.SMS,
        find(body),
        template=template,
    )

    assert list(recipients) == [
        RecipientRow(
            number=0,
            recipient="07900 900123",
            normalised="447900900123",
            personalisation={"phonenumber": "07900 900123", "name": "Zoé"},
            cells={"Phone-Number": "07900 900123", "First Name": "x", "NAME": "Zoé", "reference": "ref-1"},
            extra_cells=[],
            reference="ref-1",
            phone_number=ALICE,
            postal_address=None,
            sms=SmsCount(6, 918, SmsEncoding.GSM7, 1),
            problems=[],
        )
    ]
    assert recipients.columns == ["Phone-Number", "First Name", "NAME", "reference"]
    assert recipients.recipient_columns == ["Phone-Number"]
    assert recipients.unused_columns == ["First Name"]
    assert recipients.missing_columns == []
    assert (recipients.row_count, recipients.problems) == (1, [])


def test_a_list_from_a_spreadsheet_keeps_accents_emoji_and_line_breaks() -> None:
    data = '\ufeffemail address,name,note\r\nzoe@example.com,"Zoë, Ω","line 1\r\nline 2 👍🏽"\r\n'.encode()

    _, rows = read(data, "name", "note", channel=Channel.EMAIL)

    assert rows[0].personalisation == {
        "emailaddress": "zoe@example.com",
        "name": "Zoë, Ω",
        "note": "line 1\nline 2 👍🏽",
    }
    assert row_problems(rows) == []


def test_all_missing_columns_are_reported_together() -> None:
    recipients, rows = read("name\nAlice\n", "Name", "First Date", "time")

    assert recipients.missing_columns == ["phone number", "First Date", "time"]
    assert [(problem.code, problem.columns) for problem in recipients.problems] == [
        (UserErrorCode.MISSING_RECIPIENT_COLUMN, ()),
        (UserErrorCode.MISSING_PLACEHOLDER_COLUMN, ("First Date", "time")),
    ]
    assert row_problems(rows) == []


def test_a_recipient_column_must_occur_only_once() -> None:
    recipients, rows = read("phone number,Phone_Number\n07900900123,07900900124\n")

    assert [(problem.code, problem.columns) for problem in recipients.problems] == [
        (UserErrorCode.DUPLICATE_RECIPIENT_COLUMN, ("phone number",))
    ]
    assert len(rows) == 1


def test_another_column_that_occurs_twice_becomes_a_list() -> None:
    data = "phone number,thing,x,Thing,THING\n07900900123,a,,,b\n07900900123,,,,\n"

    _, rows = read(data, "thing")

    assert [row.personalisation["thing"] for row in rows] == [["a", "b"], None]
    assert row_problems(rows) == [(1, "thing", UserErrorCode.MISSING_PERSONALISATION)]


def test_a_column_named_like_the_recipient_is_also_a_placeholder() -> None:
    recipients, rows = read("phone number\n07900900123\n", "Phone Number")

    assert recipients.problems == []
    assert rows[0].personalisation == {"phonenumber": "07900900123"}


def test_empty_rows_and_columns_at_the_end_are_dropped() -> None:
    recipients, rows = read("phone number,name,,\n07900900123,a,,\n,,,\n\n \n", "name")

    assert recipients.columns == ["phone number", "name"]
    assert (len(rows), recipients.row_count, row_problems(rows)) == (1, 1, [])


def test_an_empty_row_between_others_is_a_row_with_everything_missing() -> None:
    _, rows = read("phone number,name\n07900900123,a\n\n07900900123,b\n", "name")

    assert row_problems(rows) == [
        (1, "phone number", UserErrorCode.REQUIRED),
        (1, "name", UserErrorCode.MISSING_PERSONALISATION),
    ]
    assert [row.number for row in rows] == [0, 1, 2]


def test_cells_beyond_the_headers_are_extra_cells() -> None:
    _, rows = read("phone number,name\n07900900123,a,b,,c\n07900900123\n", "name")

    assert rows[0].extra_cells == ["b", "c"]
    assert rows[0].personalisation == {"phonenumber": "07900900123", "name": "a"}
    assert row_problems(rows) == [(1, "name", UserErrorCode.MISSING_PERSONALISATION)]


def test_a_column_without_a_header_is_ignored() -> None:
    recipients, rows = read("phone number,,name\n07900900123,x,a\n", "name")

    assert recipients.columns == ["phone number", "", "name"]
    assert rows[0].cells == {"phone number": "07900900123", "name": "a"}


def test_every_invalid_row_is_reported_with_its_column() -> None:
    data = "name,phone number\na,07900900123\n,0790090012\nb,+33612345678\nc,hello\n"

    _, rows = read(data, "name")

    assert row_problems(rows) == [
        (1, "phone number", UserErrorCode.PHONE_TOO_SHORT),
        (1, "name", UserErrorCode.MISSING_PERSONALISATION),
        (2, "phone number", UserErrorCode.INTERNATIONAL_NOT_ALLOWED),
        (3, "phone number", UserErrorCode.PHONE_UNKNOWN_CHARACTER),
    ]
    assert [row.normalised for row in rows] == ["447900900123", None, None, None]


def test_a_service_with_permission_may_send_to_other_countries_and_landlines() -> None:
    _, rows = read("phone number\n+33612345678\n02079460000\n", international_sms=True, landlines=True)

    assert [row.normalised for row in rows] == ["33612345678", "442079460000"]
    assert rows[0].phone_number is not None
    assert rows[0].phone_number.multiplier == 2


def test_the_message_of_each_row_is_checked() -> None:
    template = CompiledTemplate(Channel.SMS, subject=None, body="((a))((b??c))")
    data = f"phone number,a,b\n07900900123,{'x' * 919},no\n07900900123,{'x' * 918},no\n07900900123,\u2060,no\n"

    rows = list(RecipientList(data, Channel.SMS, ["a", "b"], template=template))

    assert rows[0].problems == [
        RowProblem(
            0,
            None,
            UserErrorCode.MESSAGE_TOO_LONG,
            "The message has 919 characters, 1 more than the 918 it may have.",
        )
    ]
    assert row_problems(rows[1:]) == [(2, "a", UserErrorCode.MISSING_PERSONALISATION)]


def test_a_row_with_an_empty_message_is_refused() -> None:
    template = CompiledTemplate(Channel.SMS, subject=None, body="((b??c))")

    rows = list(RecipientList("phone number,b\n07900900123,no\n", Channel.SMS, ["b"], template=template))

    assert row_problems(rows) == [(0, None, UserErrorCode.MESSAGE_EMPTY)]


def test_a_reference_may_have_1000_characters() -> None:
    _, rows = read(f"phone number,Reference\n07900900123,{'x' * 1000}\n07900900123,{'x' * 1001}\n07900900123,\n")

    assert [row.reference and len(row.reference) for row in rows] == [1000, 1001, None]
    assert row_problems(rows) == [(1, "reference", UserErrorCode.TOO_LONG)]


def test_letters_take_their_address_from_several_columns() -> None:
    data = "Address Line 1,address_line_2,postcode,name\nA Name,1 High St,sw1a1aa,x\nA,,SW1A 1AA,y\n"

    recipients, rows = read(data, "name", channel=Channel.LETTER)

    assert recipients.problems == []
    assert recipients.recipient_columns == ["Address Line 1", "address_line_2", "postcode"]
    assert rows[0].recipient == "A Name\n1 High St\nsw1a1aa"
    assert rows[0].normalised == "aname1highstsw1a1aa"
    assert rows[0].personalisation == {
        "name": "x",
        "address_line_1": "A Name",
        "address_line_2": "1 High St",
        "address_line_3": "SW1A 1AA",
    }
    assert row_problems(rows) == [(1, None, UserErrorCode.ADDRESS_TOO_FEW_LINES)]


def test_letters_need_three_address_columns() -> None:
    recipients, _ = read("address line 1,postcode\nA,SW1A 1AA\n", channel=Channel.LETTER)

    assert [problem.code for problem in recipients.problems] == [UserErrorCode.MISSING_RECIPIENT_COLUMN]


@pytest.mark.parametrize("data", ["", "\n\n", "phone number,name\n", "phone number,name\n,\n\n", b"\xef\xbb\xbf"])
def test_a_list_without_rows_is_empty(data: bytes | str) -> None:
    recipients, rows = read(data, "name")

    assert rows == []
    assert [problem.code for problem in recipients.problems] == [UserErrorCode.FILE_EMPTY]


def test_a_file_that_cannot_be_read_is_one_problem() -> None:
    recipients, rows = read(b"PK\x03\x04")

    assert rows == []
    assert recipients.problems == [
        ListProblem(UserErrorCode.FILE_UNREADABLE, "The file is a spreadsheet or an archive. Save it as CSV.")
    ]


def test_an_error_in_a_later_row_ends_the_list() -> None:
    recipients = RecipientList('phone number\n07900900123\n"07900900123\n', Channel.SMS, [])

    assert recipients.problems == []
    assert [row.number for row in recipients] == [0]
    assert recipients.problems == [
        ListProblem(UserErrorCode.FILE_UNREADABLE, "Row 3, column 1: A quotation mark is left open.", row=1, column=0)
    ]


def test_a_list_may_have_100_000_rows() -> None:
    longest_list = "phone number\n" + "07900900123\n" * 100_000

    recipients, rows = read(longest_list + "\n" * 50)
    assert (len(rows), recipients.problems) == (100_000, [])

    recipients, rows = read(longest_list + "07900900123\n")
    assert len(rows) == 100_000
    assert recipients.problems == [ListProblem(UserErrorCode.TOO_MANY_ROWS, "The list has more than 100,000 rows.")]


@pytest.mark.parametrize("remaining_lines", ["\n" * 100_000 + "07900900123\n", "\n" * 1_000_000])
def test_empty_rows_cannot_hide_too_many(remaining_lines: str) -> None:
    recipients = RecipientList("phone number\n07900900123\n" + remaining_lines, Channel.SMS, [])

    assert len(list(recipients)) == 1
    assert [problem.code for problem in recipients.problems] == [UserErrorCode.TOO_MANY_ROWS]


def test_rows_can_be_read_from_any_number() -> None:
    recipients = RecipientList("phone number\n" + "07900900123\n" * 10, Channel.SMS, [])

    assert [row.number for row in recipients.rows(7)] == [7, 8, 9]
    assert [row.number for row in recipients] == list(range(10))


def test_the_cost_of_checking_rows_against_a_text_message_is_linear_in_their_number() -> None:
    body = "Dear ((first name)), your appointment is on ((date)).((late?? Hurry!))"
    template = CompiledTemplate(Channel.SMS, subject=None, body=body, prefix="Town hall")
    lines = [f"07900{index:06d},Zoé {index},5 January,{index % 2}\r\n" for index in range(100_000)]

    def check(count: int) -> tuple[int, int, list[ListProblem]]:
        data = ("phone number,First Name,date,late\r\n" + "".join(lines[:count])).encode()
        recipients = RecipientList(data, Channel.SMS, find(body), template=template)
        fragments = sum(row.sms.fragment_count for row in recipients if row.sms and not row.problems)
        return fragments, recipients.row_count, recipients.problems

    assert check(100_000) == (100_000, 100_000, [])
    assert cpu_time.ratio(lambda: check(1_000), enough=COST) <= COST
    assert cpu_time.ratio(lambda: check(16_000), beside=lambda: check(1_000), enough=25) <= 25
