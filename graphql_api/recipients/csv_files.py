"""CSV files as spreadsheets write them, read record by record; errors have a row and a column."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from graphql_api.enums import UserErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_COLUMNS = 1_000
MAX_CELL_CHARACTERS = 131_072

_BINARY_SIGNATURES = (
    (b"PK\x03\x04", "The file is a spreadsheet or an archive. Save it as CSV."),
    (b"\xd0\xcf\x11\xe0", "The file is an old spreadsheet. Save it as CSV."),
    (b"\x1f\x8b", "The file is an archive. Send the CSV file itself."),
    (b"7z\xbc\xaf", "The file is an archive. Send the CSV file itself."),
    (b"BZh", "The file is an archive. Send the CSV file itself."),
    (b"\xfd7zXZ", "The file is an archive. Send the CSV file itself."),
    (b"Rar!", "The file is an archive. Send the CSV file itself."),
    (b"%PDF", "The file is a PDF. Save the list as CSV."),
    (b"\xff\xfe", "The file is in UTF-16. Save it as CSV in UTF-8."),
    (b"\xfe\xff", "The file is in UTF-16. Save it as CSV in UTF-8."),
    (b"\x00\x00\xfe\xff", "The file is in UTF-32. Save it as CSV in UTF-8."),
)
_CHUNK_BYTES = 1 << 16


class FileError(ValueError):
    """A file that cannot be read. `row` is -1 for the headers and from 0 for other records; `column` is from 0.

    The message counts as spreadsheets do: the headers are row 1.
    """

    def __init__(self, code: UserErrorCode, message: str, *, row: int | None = None, column: int | None = None) -> None:
        place = "" if row is None else f"Row {row + 2}, column {(column or 0) + 1}: "
        self.message = f"{place}{message}"
        super().__init__(self.message)
        self.code = code
        self.row = row
        self.column = column


def records(data: bytes | str) -> Iterator[list[str]]:
    """The records of a file, the headers first; an empty line is an empty record, a line break in a cell a newline.

    Raises `FileError` at the first error; errors of the whole file (its size, its encoding) before any record.
    """
    content = _encode(data)
    _check_size(content)
    _check_encoding(content)
    return _parse_records(content)


def _encode(data: bytes | str) -> bytes:
    if isinstance(data, bytes):
        return data
    try:
        return data.encode()
    except UnicodeEncodeError as error:
        prefix = data[: error.start].encode()
        raise _unreadable_error("The file has half of a character that needs two halves.", prefix) from None


def _check_size(content: bytes) -> None:
    if len(content) > MAX_FILE_BYTES:
        message = f"The file is larger than {MAX_FILE_BYTES // 1024 // 1024} MB."
        raise FileError(UserErrorCode.FILE_TOO_LARGE, message)


def _check_encoding(content: bytes) -> None:
    for signature, message in _BINARY_SIGNATURES:
        if content.startswith(signature):
            raise FileError(UserErrorCode.FILE_UNREADABLE, message)
    nul = content.find(b"\0")
    if nul >= 0:
        if _looks_like_utf16(content[:_CHUNK_BYTES]):
            raise FileError(UserErrorCode.FILE_UNREADABLE, "The file is in UTF-16. Save it as CSV in UTF-8.")
        raise _unreadable_error("The file has a character that cannot be stored.", content[:nul])
    invalid_byte = _first_invalid_byte(content)
    if invalid_byte is not None:
        raise _unreadable_error("The file is not in UTF-8. Save it as CSV in UTF-8.", content[:invalid_byte])


def _looks_like_utf16(start: bytes) -> bool:
    half = len(start) // 2
    return max(start[0::2].count(0), start[1::2].count(0)) * 2 > half


def _first_invalid_byte(content: bytes) -> int | None:
    """The position of the first byte that is not UTF-8; in chunks, so that the file is not copied as a whole."""
    start = 0
    while start < len(content):
        end = min(start + _CHUNK_BYTES, len(content))
        while end < len(content) and content[end] & 0xC0 == 0x80:  # noqa: PLR2004 - a continuation byte: chunks end at a character
            end += 1
            if end - start > _CHUNK_BYTES + 4:
                break
        try:
            content[start:end].decode()
        except UnicodeDecodeError as error:
            return start + error.start
        start = end
    return None


def _unreadable_error(message: str, preceding: bytes) -> FileError:
    """An error whose row and column are found by parsing the bytes before it."""
    row, column = -2, 0
    try:
        for record in _parse_records(preceding):
            row, column = row + 1, max(len(record) - 1, 0)
    except FileError as error:
        row, column = error.row or 0, error.column or 0
    if preceding.endswith((b"\n", b"\r")):
        row, column = row + 1, 0
    row = max(row, -1)
    return FileError(UserErrorCode.FILE_UNREADABLE, message, row=row, column=column)


class _TooManyColumnsError(Exception):
    pass


class _CellScanner:
    """Counts the cells of a record as `csv.reader` does, without storing them."""

    def __init__(self, delimiter: str) -> None:
        self.delimiter_or_quote = re.compile(f'["{delimiter}]')
        self.column = 0
        self.length = 0
        self.quoted = False
        self.cell_started = False

    def feed(self, line: str) -> None:
        """Scan the next line; stops at a cell that is too long, or after the last permitted column."""
        start, closed = 0, -1
        for match in self.delimiter_or_quote.finditer(line):
            if match[0] == '"':
                if self.quoted:
                    self.quoted, closed = False, match.end()
                elif match.start() == closed:
                    self.quoted = True
                elif not self.cell_started:
                    self.quoted = not line[start : match.start()].strip(" ")
                self.cell_started = True
            elif not self.quoted:
                if self.length + match.start() - start > MAX_CELL_CHARACTERS or self.column >= MAX_COLUMNS:
                    return
                self.column, self.length, self.cell_started, start = self.column + 1, 0, False, match.end()
        self.length += len(line) - start


class _RecordLines:
    """Lines for `csv.reader`; records the lines of the current record, and whether the reader reached the end."""

    def __init__(self, source: Iterable[str], delimiter: str) -> None:
        self.source = iter(source)
        self.delimiter = delimiter
        self.exhausted = False
        self.start_record()

    def start_record(self) -> None:
        """Forget the lines of the previous record."""
        self.record_lines: list[str] = []
        self.delimiter_count = 0
        self.scanner: _CellScanner | None = None

    def __iter__(self) -> _RecordLines:
        return self

    def __next__(self) -> str:
        try:
            line = next(self.source)
        except StopIteration:
            self.exhausted = True
            raise
        self.record_lines.append(line)
        if self.scanner:
            self.scanner.feed(line)
        else:
            self.delimiter_count += line.count(self.delimiter)
        if self.delimiter_count >= MAX_COLUMNS and self.current_column() >= MAX_COLUMNS:
            raise _TooManyColumnsError
        return line

    def current_column(self) -> int:
        """The column in which the lines of this record end so far, or that is too long."""
        if not self.scanner:
            self.scanner = _CellScanner(self.delimiter)
            for line in self.record_lines:
                self.scanner.feed(line)
        return self.scanner.column


def _parse_records(content: bytes) -> Iterator[list[str]]:
    first = content[:_CHUNK_BYTES].splitlines()[:1]
    delimiter = "\t" if first and b"\t" in first[0] and b"," not in first[0] else ","
    lines = _RecordLines(io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", errors="replace", newline=""), delimiter)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    row = -1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except _TooManyColumnsError:
            message = f"The file has more than {MAX_COLUMNS:,} columns."
            raise FileError(UserErrorCode.FILE_TOO_LARGE, message, row=row, column=MAX_COLUMNS) from None
        except csv.Error:
            message = f"A cell has more than {MAX_CELL_CHARACTERS:,} characters. Is a quotation mark left open?"
            raise FileError(UserErrorCode.FILE_UNREADABLE, message, row=row, column=lines.current_column()) from None
        if lines.exhausted:
            message = "A quotation mark is left open."
            raise FileError(UserErrorCode.FILE_UNREADABLE, message, row=row, column=len(record) - 1)
        if len(lines.record_lines) > 1:
            record = [cell.replace("\r\n", "\n").replace("\r", "\n") if "\r" in cell else cell for cell in record]
        lines.start_record()
        yield record
        row += 1
