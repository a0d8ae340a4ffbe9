"""CSV files of spreadsheets, and hostile ones."""

from __future__ import annotations

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.enums import UserErrorCode
from graphql_api.recipients.csv_files import FileError, records
from tests import cpu_time

HEADERS = b"phone number,name\r\n"
GOOD = b"07900900123,Alice\r\n"
COST = 40.0
"""Yardsticks that a file of any size may take to be refused."""
UNREADABLE, TOO_LARGE = UserErrorCode.FILE_UNREADABLE, UserErrorCode.FILE_TOO_LARGE


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\r\n1,2\r\n", [["a", "b"], ["1", "2"]]),
        (b"a,b\r1,2\r", [["a", "b"], ["1", "2"]]),
        (b"a,b\n1,2", [["a", "b"], ["1", "2"]]),
        (b"\xef\xbb\xbfa,b\n", [["a", "b"]]),
        (b'\xef\xbb\xbf"a","b"\n', [["a", "b"]]),
        (b"a\tb\n1,5\t2\n", [["a", "b"], ["1,5", "2"]]),
        (b'a,b\r\n"x\r\ny","p\rq\nr"\r\n', [["a", "b"], ["x\ny", "p\nq\nr"]]),
        (b'a, "b, c",d\n', [["a", "b, c", "d"]]),
        (b'"a""b",c"d\n', [['a"b', 'c"d']]),
        ("name\nZoë 👍\n".encode(), [["name"], ["Zoë 👍"]]),
        ("name\nSi\u00e2n\n", [["name"], ["Siân"]]),
        ("\ufeffname\nx\n", [["name"], ["x"]]),
        (b"a\n\n,\nb\n", [["a"], [], ["", ""], ["b"]]),
        (b"", []),
    ],
)
def test_records_are_read_as_spreadsheets_write_them(data: bytes | str, expected: list[list[str]]) -> None:
    assert list(records(data)) == expected


@pytest.mark.parametrize(
    ("data", "code", "row", "column", "words"),
    [
        (b"PK\x03\x04" + b"\0" * 100, UNREADABLE, None, None, "a spreadsheet or an archive"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 100, UNREADABLE, None, None, "an old spreadsheet"),
        (b"\x1f\x8b\x08" + b"x" * 100, UNREADABLE, None, None, "an archive"),
        (b"BZh91AY", UNREADABLE, None, None, "an archive"),
        (b"7z\xbc\xaf\x27\x1c", UNREADABLE, None, None, "an archive"),
        (b"\xfd7zXZ\0", UNREADABLE, None, None, "an archive"),
        (b"Rar!\x1a", UNREADABLE, None, None, "an archive"),
        (b"%PDF-1.7", UNREADABLE, None, None, "a PDF"),
        ("name\nZoë\n".encode("utf-16"), UNREADABLE, None, None, "UTF-16"),
        ("name\nZoë\n".encode("utf-16-be"), UNREADABLE, None, None, "UTF-16"),
        ("name\nZoë\n".encode("utf-16-le"), UNREADABLE, None, None, "UTF-16"),
        (b"\xfe\xff" + "name\n".encode("utf-16-be"), UNREADABLE, None, None, "UTF-16"),
        (b"\x00\x00\xfe\xff" + "name\n".encode("utf-32-be"), UNREADABLE, None, None, "UTF-32"),
        (
            HEADERS + GOOD + "07900900123,Zoë\r\n".encode("latin-1"),
            UNREADABLE,
            1,
            1,
            "Row 3, column 2: The file is not in UTF-8. Save it as CSV in UTF-8.",
        ),
        (HEADERS + GOOD + b'"a\nb",x\r\n\xff', UNREADABLE, 2, 0, "Row 4, column 1: "),
        (b"na\xefve,b\n", UNREADABLE, -1, 0, "Row 1, column 1: "),
        (HEADERS + GOOD + b"\xe2\x82", UNREADABLE, 1, 0, "not in UTF-8"),
        (HEADERS + GOOD + b"\xed\xa0\x80,x\n", UNREADABLE, 1, 0, "not in UTF-8"),
        (HEADERS + GOOD * 2 + b"07900900123,A\0lice\r\n", UNREADABLE, 2, 1, "cannot be stored"),
        ("name\nx\ud800\n", UNREADABLE, 0, 0, "two halves"),
        (HEADERS + GOOD + b'07900900123,"Alice\r\n' + GOOD, UNREADABLE, 1, 1, "left open"),
        (HEADERS + b'"', UNREADABLE, 0, 0, "left open"),
        (HEADERS + b'1,"' + GOOD * 10_000, UNREADABLE, 0, 1, "more than 131,072 characters"),
        (HEADERS + b"1," + b"x" * 131_073 + b",y\r\n", UNREADABLE, 0, 1, "more than 131,072 characters"),
        (HEADERS + GOOD + b'1,"' + b"x,\r\n" * 50_000 + b'"\r\n', UNREADABLE, 1, 1, "more than 131,072"),
        (b"," * 1_000 + b"\n", TOO_LARGE, -1, 1_000, "more than 1,000 columns"),
        (HEADERS + b"," * 1_000_000 + b"\n", TOO_LARGE, 0, 1_000, "Row 2, column 1001: "),
        (HEADERS + b'"a\n"' + b",x" * 1_000 + b"\n", TOO_LARGE, 0, 1_000, "more than 1,000 columns"),
        (HEADERS + b'a"' + b"," * 5_000_000, TOO_LARGE, 0, 1_000, "more than 1,000 columns"),
        (HEADERS + b"x" * 10 * 1024 * 1024, TOO_LARGE, None, None, "larger than 10 MB"),
    ],
)
def test_a_hostile_file_is_refused_at_little_cost(
    data: bytes | str, code: UserErrorCode, row: int | None, column: int | None, words: str
) -> None:
    def read() -> FileError:
        with pytest.raises(FileError) as raised:
            list(records(data))
        return raised.value

    tracemalloc.start()
    error = read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (error.code, error.row, error.column) == (code, row, column)
    assert words in error.message
    assert cpu_time.ratio(read, enough=COST) <= COST
    assert peak < 50_000_000


def test_the_longest_cell_and_the_most_columns_are_accepted() -> None:
    widest = b",".join(b"x" for _ in range(1_000))
    longest = b'"' + b"," * 131_072 + b'"'

    assert [len(record) for record in records(widest + b"\n" + longest + b"\n")] == [1_000, 1]


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=1), min_size=1))
def test_records_are_read_as_they_were_written(table: list[list[str]]) -> None:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["a,b"], *table])

    assert list(records(file.getvalue()))[1:] == table
    assert list(records(b"\xef\xbb\xbf" + file.getvalue().encode()))[1:] == table


def read(data: bytes | str) -> list[str] | FileError:
    try:
        return [cell for record in records(data) for cell in record]
    except FileError as raised:
        return raised


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    outcome = read(data)

    if isinstance(outcome, FileError):
        assert outcome.code in {UNREADABLE, TOO_LARGE}
    else:
        assert all("\0" not in cell and "\r" not in cell for cell in outcome)


@given(st.lists(st.sampled_from(['"', ",", "\n", "\r\n", " ", "a", "\t"])).map("".join))
def test_quotes_in_any_order_are_read_or_refused(data: str) -> None:
    outcome = read(data)

    assert isinstance(outcome, list) or "left open" in outcome.message
