"""Sources of a list of recipients: CSV text, rows, an upload, or a contact list."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.content import values
from graphql_api.content.placeholders import RECIPIENT_COLUMNS, normalise
from graphql_api.domain import domain_errors
from graphql_api.domain.sends import CHANNEL_BY_RECIPIENT_FIELD
from graphql_api.enums import Channel, UserErrorCode
from graphql_api.errors import DomainError, Invalid, NotFound, raise_problems
from graphql_api.recipients.lists import REFERENCE_COLUMN
from graphql_api.recipients.postal_addresses import MAX_LINES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.domain.sends import PreparedSend
    from graphql_api.gateways.object_store import Store

MAX_INLINE_ROWS = 250
MAX_FILE_NAME_CHARACTERS = 255

_RECIPIENT_HEADERS = {
    Channel.EMAIL: ["email address"],
    Channel.SMS: ["phone number"],
    Channel.LETTER: [f"address line {number}" for number in range(1, 8)],
}


@dataclass(frozen=True, slots=True)
class RecipientSource:
    """A list, or its place in the object store."""

    argument_path: tuple[str, ...]
    "Path of the argument."
    file_name: str | None
    "None for rows of the call."
    content: str | bytes | None = None
    storage_path: str | None = None
    "Path in the object store."
    contact_list_id: UUID | None = None

    async def read(self, store: Store) -> str | bytes:
        """The content of the list. Raises `Invalid` if its file is gone."""
        if self.content is not None:
            return self.content
        try:
            return await store.get(self.storage_path or "")
        except FileNotFoundError as error:
            raise Invalid(
                "The stored list is gone.", *self.argument_path, code=UserErrorCode.FILE_UNREADABLE
            ) from error


def upload_path(upload_id: UUID) -> str:
    """Path of an upload in the object store."""
    return f"uploads/{upload_id}.csv"


def contact_list_path(service_id: UUID, contact_list_id: UUID) -> str:
    """Path of a contact list in the object store."""
    return f"service-{service_id}-notify/contact-lists/{contact_list_id}.csv"


async def resolve(tx: AsyncSession, actor: Actor, prepared: PreparedSend, source: Mapping[str, Any]) -> RecipientSource:
    """Resolve `source`, which holds `csv` ({"file_name", "content"}), `rows`, `upload_id` or `contact_list_id`."""
    ((kind, value),) = source.items()
    path = ("source", kind)
    if kind == "csv":
        check_file_name(value["file_name"], *path, "file_name")
        return RecipientSource(path, value["file_name"], content=value["content"])
    if kind == "rows":
        return RecipientSource(path, None, content=_as_csv(prepared.channel, value))
    if kind == "upload_id":
        upload = await visibility.find_visible(tx, actor, models.Upload, value, *path)
        if upload.expires_at <= models.utcnow() or not _is_own_upload(actor, upload):
            raise NotFound(value, *path)
        return RecipientSource(path, upload.file_name, storage_path=upload_path(upload.id))
    contact_list = await visibility.find_visible(tx, actor, models.ContactList, value, *path)
    if contact_list.archived or contact_list.service_id != prepared.service.id:
        raise NotFound(value, *path)
    if contact_list.template_type != prepared.channel:
        message = "The list is for another channel than the template."
        raise Invalid(message, *path, code=UserErrorCode.TEMPLATE_CHANNEL_MISMATCH)
    storage_path = contact_list_path(contact_list.service_id, contact_list.id)
    return RecipientSource(
        path, contact_list.original_file_name, storage_path=storage_path, contact_list_id=contact_list.id
    )


def _is_own_upload(actor: Actor, upload: models.Upload) -> bool:
    """Whether the caller made the upload; others may see it too."""
    if actor.api_key_id is not None:
        return upload.api_key_id == actor.api_key_id
    return upload.user_id is not None and upload.user_id == actor.user_id


def check_file_name(name: str, *path: str) -> None:
    """Raise `Invalid` for a name that cannot be stored."""
    if len(name) > MAX_FILE_NAME_CHARACTERS:
        message = f"A file's name can have at most {MAX_FILE_NAME_CHARACTERS} characters."
        raise Invalid(message, *path, code=UserErrorCode.TOO_LONG)
    if not values.is_storable(name):
        raise Invalid("The file's name has characters that cannot be stored.", *path)


def _as_csv(channel: Channel, rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as the CSV file of a job. Raises `Invalid` and `Problems` for values that a file cannot hold."""
    if not rows:
        raise Invalid("Give at least one row.", "source", "rows", code=UserErrorCode.FILE_EMPTY)
    if len(rows) > MAX_INLINE_ROWS:
        message = f"Give at most {MAX_INLINE_ROWS} rows; send longer lists as a file."
        raise Invalid(message, "source", "rows", code=UserErrorCode.TOO_MANY_ROWS)
    raise_problems(
        [
            problem.with_path_prefix("source", "rows", str(index))
            for index, row in enumerate(rows)
            for problem in _check_row(channel, row)
        ]
    )
    names, widths = _value_columns(channel, rows)
    headers = [
        *_RECIPIENT_HEADERS[channel],
        *(name for key, name in names.items() for _ in range(widths[key])),
        REFERENCE_COLUMN,
    ]
    output = io.StringIO()
    writer = csv.writer(output)
    writer.writerow(headers)
    for row in rows:
        values_by_key = {normalise(name): value for name, value in (row.get("personalisation") or {}).items()}
        reference = row.get("reference")
        if reference is None:
            reference = values_by_key.get(REFERENCE_COLUMN)
        cells = [cell for key in names for cell in _value_cells(values_by_key.get(key), widths[key])]
        writer.writerow([*_recipient_cells(channel, row["recipient"]), *cells, _cell_text(reference)])
    return output.getvalue()


def _check_row(channel: Channel, row: Mapping[str, Any]) -> Iterator[DomainError]:
    ((field, recipient),) = row["recipient"].items()
    if CHANNEL_BY_RECIPIENT_FIELD[field] is not channel:
        message = "The recipient is for another channel than the template."
        yield Invalid(message, "recipient", field, code=UserErrorCode.TEMPLATE_CHANNEL_MISMATCH)
    elif not all(map(values.is_storable, recipient["lines"] if field == "postal_address" else [recipient])):
        yield Invalid("The recipient has characters that cannot be stored.", "recipient", field)
    elif field == "postal_address" and len(_non_blank_lines(recipient)) > MAX_LINES:
        message = f"An address can have at most {MAX_LINES} lines."
        yield Invalid(message, "recipient", field, "lines", code=UserErrorCode.ADDRESS_TOO_MANY_LINES)
    personalisation = row.get("personalisation")
    malformed = values.check(personalisation)
    yield from (domain_errors.from_content_problem(problem, "personalisation") for problem in malformed)
    reference = row.get("reference")
    if reference is None:
        return
    if not values.is_storable(reference):
        yield Invalid("The reference has characters that cannot be stored.", "reference")
    elif not malformed and any(
        normalise(name) == REFERENCE_COLUMN and value != reference for name, value in (personalisation or {}).items()
    ):
        yield Invalid("The reference and the value of ((reference)) must be the same in a list.", "reference")


def _value_columns(channel: Channel, rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, str], dict[str, int]]:
    """Names and column counts of the values, by normalised name; a list value has at least two columns."""
    names: dict[str, str] = {}
    widths: dict[str, int] = {}
    for row in rows:
        for name, value in (row.get("personalisation") or {}).items():
            key = normalise(name)
            if not key or key == REFERENCE_COLUMN or key in RECIPIENT_COLUMNS[channel]:
                continue
            names.setdefault(key, name)
            # In one column a list of one would be read as a plain value.
            width = max(len(value), 2) if isinstance(value, list) else 1
            widths[key] = max(widths.get(key, 1), width)
    return names, widths


def _recipient_cells(channel: Channel, recipient: Mapping[str, Any]) -> list[str]:
    if channel is not Channel.LETTER:
        return list(recipient.values())
    lines = _non_blank_lines(recipient["postal_address"])
    return [*lines, *[""] * (len(_RECIPIENT_HEADERS[channel]) - len(lines))]


def _non_blank_lines(address: Mapping[str, Any]) -> list[str]:
    return [line for line in address["lines"] if line.strip()]


def _value_cells(value: Any, width: int) -> list[str]:
    members = value if isinstance(value, list) else [value]
    return [*map(_cell_text, members), *[""] * (width - len(members))]


def _cell_text(value: Any) -> str:
    return "" if value is None else str(value)
