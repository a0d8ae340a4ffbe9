"""Lists of recipients: a CSV file checked row by row for a template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from graphql_api.content.characters import ZERO_WIDTH_CHARACTERS
from graphql_api.content.placeholders import (
    ADDRESS_COLUMNS,
    RECIPIENT_COLUMNS,
    Placeholder,
    normalise,
)
from graphql_api.enums import Channel, UserErrorCode
from graphql_api.recipients import csv_files, email_addresses, phone_numbers, postal_addresses
from graphql_api.recipients.errors import RecipientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from graphql_api.content.messages import Inspection
    from graphql_api.content.sms import SmsCount
    from graphql_api.recipients.phone_numbers import PhoneNumber
    from graphql_api.recipients.postal_addresses import PostalAddress

MAX_ROWS = 100_000
MAX_ROWS_WITH_EMPTY = 2 * MAX_ROWS
"Including empty rows."
MAX_REFERENCE_CHARACTERS = 1_000
REFERENCE_COLUMN = "reference"

_RECIPIENT_COLUMN_LABELS = {
    Channel.SMS: "phone number",
    Channel.EMAIL: "email address",
    Channel.LETTER: "address line 1 ... postcode",
}
_MIN_ADDRESS_COLUMNS = 3
_TRIMMED_CELL_CHARACTERS = " \t\r\n\v\f\u00a0\u202f" + ZERO_WIDTH_CHARACTERS


class MessageInspector(Protocol):
    """What a list needs of its template; `content.messages.CompiledTemplate` implements it."""

    def inspect(self, by_key: Mapping[str, Any]) -> Inspection:
        """Check a message; values are by normalised name."""


class AllowedDestinations(NamedTuple):
    """Destinations for which the service has permission."""

    international_sms: bool = False
    landlines: bool = False
    international_letters: bool = False


class ListProblem(NamedTuple):
    """A problem of the list as a whole."""

    code: UserErrorCode
    message: str
    columns: tuple[str, ...] = ()
    "Headers concerned."
    row: int | None = None
    "Of a file that cannot be read: from 0, -1 for the headers."
    column: int | None = None


class RowProblem(NamedTuple):
    """A problem of a row."""

    row: int
    "From 0, headers not counted."
    column: str | None
    "Header as written; None for the row as a whole."
    code: UserErrorCode
    message: str


class RecipientRow(NamedTuple):
    """A row of a list."""

    number: int
    "From 0, headers not counted."
    recipient: str
    "As typed; an address has its lines joined by newlines."
    normalised: str | None
    "As stored for search; None for an invalid recipient."
    personalisation: dict[str, Any]
    """Values of recipient columns and placeholders by normalised name, as messages store them; None for empty cells. A
    valid postal address has its printed lines as `address_line_1` ..."""
    cells: dict[str, Any]
    "All values by header as written."
    extra_cells: list[str]
    "Cells beyond the headers."
    reference: str | None
    phone_number: PhoneNumber | None
    postal_address: PostalAddress | None
    sms: SmsCount | None
    "Of the message, if the list has a template."
    problems: list[RowProblem]


class _Column(NamedTuple):
    name: str
    key: str
    positions: tuple[int, ...]


class RecipientList:
    """A list: the headers are read at once, the rows while iterating; each iteration reads the file again.

    Faults of the file never raise: they are among `problems`.
    """

    def __init__(
        self,
        data: bytes | str,
        channel: Channel,
        placeholders: Iterable[Placeholder | str],
        *,
        template: MessageInspector | None = None,
        allowed: AllowedDestinations = AllowedDestinations(),  # noqa: B008 - immutable
    ) -> None:
        self.channel = channel
        self.template = template
        self.allowed = allowed
        self.row_count = 0
        "Rows read so far; the total after a complete iteration."
        self.problems: list[ListProblem] = []
        "Of the list as a whole; complete after a complete iteration."
        self._data = data
        self._placeholder_names: dict[str, str] = {}
        for placeholder in placeholders:
            name = placeholder if isinstance(placeholder, str) else placeholder.name
            self._placeholder_names.setdefault(normalise(name), name)
        self._headers: list[str] = []
        self._is_unreadable = False
        self._read_headers()

    def _read_headers(self) -> None:
        try:
            self._headers = [_trim(cell) for cell in _first_non_empty(csv_files.records(self._data))]
        except csv_files.FileError as error:
            self._add_file_problem(error)
        while self._headers and not self._headers[-1]:
            self._headers.pop()
        positions_by_key: dict[str, list[int]] = {}
        for position, header in enumerate(self._headers):
            if header:
                positions_by_key.setdefault(normalise(header), []).append(position)
        self._columns = {
            key: _Column(self._headers[positions[0]], key, tuple(positions))
            for key, positions in positions_by_key.items()
        }
        self._recipient_keys = [key for key in RECIPIENT_COLUMNS[self.channel] if key in self._columns]
        self._used_columns = [
            column._replace(positions=column.positions[:1]) if key in self._recipient_keys else column
            for key, column in self._columns.items()
            if key in self._recipient_keys or key in self._placeholder_names
        ]
        self._reference_column = (
            None if REFERENCE_COLUMN in self._recipient_keys else self._columns.get(REFERENCE_COLUMN)
        )
        if not self.problems:
            self._check_headers()

    def _check_headers(self) -> None:
        if not self._headers:
            self.problems.append(ListProblem(UserErrorCode.FILE_EMPTY, "The list has no rows."))
            return
        if self._lacks_recipient_columns():
            message = f"The list needs a column called ‘{_RECIPIENT_COLUMN_LABELS[self.channel]}’."  # noqa: RUF001
            self.problems.append(ListProblem(UserErrorCode.MISSING_RECIPIENT_COLUMN, message))
        for key in self._recipient_keys:
            if len(self._columns[key].positions) > 1:
                name = self._columns[key].name
                message = f"The list has more than one column called ‘{name}’."  # noqa: RUF001
                self.problems.append(ListProblem(UserErrorCode.DUPLICATE_RECIPIENT_COLUMN, message, (name,)))
        if missing := self._missing_placeholders():
            message = f"The list lacks columns that the template needs: {', '.join(missing)}."
            self.problems.append(ListProblem(UserErrorCode.MISSING_PLACEHOLDER_COLUMN, message, tuple(missing)))

    @property
    def columns(self) -> list[str]:
        """Headers as written."""
        return list(self._headers)

    @property
    def recipient_columns(self) -> list[str]:
        """Headers of the recipient."""
        return [self._columns[key].name for key in self._recipient_keys]

    @property
    def unused_columns(self) -> list[str]:
        """Headers that are neither of the recipient, nor a placeholder, nor the reference."""
        used = {*self._recipient_keys, *self._placeholder_names, REFERENCE_COLUMN}
        return [column.name for key, column in self._columns.items() if key not in used]

    @property
    def missing_columns(self) -> list[str]:
        """Headers that the template needs and the list lacks, those of the recipient first."""
        recipient = [_RECIPIENT_COLUMN_LABELS[self.channel]] if self._lacks_recipient_columns() else []
        return [*recipient, *self._missing_placeholders()]

    def _lacks_recipient_columns(self) -> bool:
        required = _MIN_ADDRESS_COLUMNS if self.channel is Channel.LETTER else 1
        return len(self._recipient_keys) < required

    def _missing_placeholders(self) -> list[str]:
        recipient_keys = RECIPIENT_COLUMNS[self.channel]
        return [
            name
            for key, name in self._placeholder_names.items()
            if key not in self._columns and key not in recipient_keys
        ]

    def __iter__(self) -> Iterator[RecipientRow]:
        """Read and check every row; stops at the first error of the file, which is added to `problems`."""
        return self.rows()

    def rows(self, start: int = 0) -> Iterator[RecipientRow]:
        """Read and check the rows from number `start` on."""
        self.row_count = 0
        if self._is_unreadable or not self._headers:
            return
        try:
            for number, cells in self._numbered_records():
                self.row_count = number + 1
                if number >= start:
                    yield self._check_row(number, cells)
        except csv_files.FileError as error:
            self._add_file_problem(error)
            return
        if not self.row_count:
            self._add_problem(ListProblem(UserErrorCode.FILE_EMPTY, "The list has no rows."))

    def _numbered_records(self) -> Iterator[tuple[int, list[str]]]:
        records = csv_files.records(self._data)
        _first_non_empty(records)
        number = empty_count = 0
        for record_number, cells in enumerate(records):
            is_filled = any(map(_trim, cells))
            if record_number >= MAX_ROWS_WITH_EMPTY or (is_filled and number + empty_count >= MAX_ROWS):
                message = f"The list has more than {MAX_ROWS:,} rows."
                raise csv_files.FileError(UserErrorCode.TOO_MANY_ROWS, message)
            if not is_filled:
                empty_count += 1
                continue
            # Empty rows count only when another row follows them.
            for _ in range(empty_count):
                yield number, []
                number += 1
            yield number, cells
            number, empty_count = number + 1, 0

    def _add_problem(self, problem: ListProblem) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def _add_file_problem(self, error: csv_files.FileError) -> None:
        self._is_unreadable = True
        self._add_problem(ListProblem(error.code, error.message, row=error.row, column=error.column))

    def _check_row(self, number: int, cells: list[str]) -> RecipientRow:
        trimmed = [cell.strip(_TRIMMED_CELL_CHARACTERS) for cell in cells]
        column_count = len(self._headers)
        extra = [cell for cell in trimmed[column_count:] if cell]
        trimmed += [""] * (column_count - len(trimmed))
        personalisation = {column.key: _column_value(column, trimmed) for column in self._used_columns}
        problems: list[RowProblem] = []
        recipient, normalised, phone_number, address = self._check_recipient(number, personalisation, problems)
        for column in self._used_columns:
            if personalisation[column.key] is None and column.key in self._placeholder_names:
                message = f"There is no value for (({self._placeholder_names[column.key]}))."
                problems.append(RowProblem(number, column.name, UserErrorCode.MISSING_PERSONALISATION, message))
        sms = None
        if self.template:
            inspection = self.template.inspect(personalisation)
            sms = inspection.sms
            problems += [
                RowProblem(number, None, problem.code, problem.message)
                for problem in inspection.problems
                if problem.code is not UserErrorCode.MISSING_PERSONALISATION
            ]
        if address:
            personalisation = {key: value for key, value in personalisation.items() if key not in ADDRESS_COLUMNS}
            personalisation |= address.personalisation
        reference = _column_value(self._reference_column, trimmed) if self._reference_column else None
        if reference and len(reference) > MAX_REFERENCE_CHARACTERS:
            message = f"A reference can have at most {MAX_REFERENCE_CHARACTERS:,} characters."
            problems.append(RowProblem(number, REFERENCE_COLUMN, UserErrorCode.TOO_LONG, message))
        return RecipientRow(
            number,
            recipient,
            normalised,
            personalisation,
            {column.name: _column_value(column, trimmed) for column in self._columns.values()},
            extra,
            reference,
            phone_number,
            address,
            sms,
            problems,
        )

    def _check_recipient(
        self, number: int, personalisation: dict[str, Any], problems: list[RowProblem]
    ) -> tuple[str, str | None, PhoneNumber | None, PostalAddress | None]:
        if self.channel is Channel.LETTER:
            lines = [personalisation.get(key) or "" for key in ADDRESS_COLUMNS]
            typed = "\n".join(line for line in lines if line)
        else:
            typed = personalisation.get(RECIPIENT_COLUMNS[self.channel][0]) or ""
        column = self.recipient_columns[0] if len(self._recipient_keys) == 1 else None
        if not self._recipient_keys:
            return typed, None, None, None
        if not typed:
            problems.append(RowProblem(number, column, UserErrorCode.REQUIRED, "The recipient is missing."))
            return typed, None, None, None
        try:
            if self.channel is Channel.SMS:
                phone_number = phone_numbers.parse(
                    typed, international=self.allowed.international_sms, landlines=self.allowed.landlines
                )
                return typed, phone_number.normalised, phone_number, None
            if self.channel is Channel.EMAIL:
                return typed, email_addresses.parse(typed), None, None
            address = postal_addresses.parse(lines, international=self.allowed.international_letters)
        except RecipientError as error:
            problems.append(RowProblem(number, column, error.code, error.message))
            return typed, None, None, None
        return typed, address.normalised, None, address


def _trim(cell: str) -> str:
    return cell.strip(_TRIMMED_CELL_CHARACTERS)


def _first_non_empty(records: Iterator[list[str]]) -> list[str]:
    for record in records:
        if any(map(_trim, record)):
            return record
    return []


def _column_value(column: _Column, cells: list[str]) -> Any:
    """The value of a column; for a header that occurs more than once, the list of its cells that are not empty."""
    if len(column.positions) == 1:
        return cells[column.positions[0]] or None
    return [cell for position in column.positions if (cell := cells[position])] or None
