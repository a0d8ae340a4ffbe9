"""Rows of `notifications`: built for single sends and for jobs, and inserted in bulk."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import text

from graphql_api.content.characters import ZERO_WIDTH_CHARACTERS, removal_table
from graphql_api.enums import Channel, KeyType, NotificationStatus, Postage
from graphql_api.observability import operation_stats
from graphql_api.recipients import email_addresses, phone_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.crypto import Signer
    from graphql_api.recipients.lists import RecipientRow
    from graphql_api.recipients.phone_numbers import PhoneNumber
    from graphql_api.recipients.postal_addresses import PostalAddress

RowValues = dict[str, Any]
"""A row of `notifications`, by the model's attribute names."""

INVALID_CALLING_CODE = "+44"
"""The calling code that Notify stores for an invalid number."""

_INVISIBLE_CHARACTERS = removal_table(ZERO_WIDTH_CHARACTERS + "\u00a0\u202f")
_REFERENCE_CHARACTERS = string.ascii_uppercase + string.digits
_INTERNATIONAL_POSTAGES = frozenset({Postage.EUROPE.value, Postage.REST_OF_WORLD.value})


@dataclass(frozen=True, slots=True)
class SharedFields:
    """Column values that all messages of a call or a job share."""

    service_id: UUID
    template_id: UUID
    template_version: int
    channel: Channel
    created_at: datetime
    "Naive UTC."
    key_type: KeyType = KeyType.LIVE
    api_key_id: UUID | None = None
    created_by_id: UUID | None = None
    "The sender; null for a job, which has its own `created_by_id`."
    job_id: UUID | None = None
    reply_to_text: str | None = None
    "Sender, reply-to address or contact block."
    postage: Postage | None = None
    "For letters; an international address overrides it."


class Recipient(NamedTuple):
    """Recipient and values of one message."""

    to: str
    "As given; the lines of a postal address are joined by newlines."
    normalised: str | None
    "Null for an invalid recipient."
    personalisation: Mapping[str, Any]
    reference: str | None = None
    phone_number: PhoneNumber | None = None
    postal_address: PostalAddress | None = None


def job_notification_id(job_id: UUID, row_number: int) -> UUID:
    """The id of a job's message: a hash of job and row, so that a repeated chunk inserts nothing."""
    return uuid5(job_id, str(row_number))


def build_job_rows(
    shared_fields: SharedFields,
    rows: Iterable[RecipientRow],
    signer: Signer,
    is_failed: Callable[[RecipientRow], bool] | None = None,
) -> list[RowValues]:
    """Build the messages of a job's rows; those with problems, or for which `is_failed` is true, are VALIDATION_FAILED.

    Speed matters: a job has up to 100,000 rows.
    """
    if shared_fields.job_id is None:
        raise ValueError("A job's messages need the job's id.")
    built = []
    for row in rows:
        failed = bool(row.problems) or (is_failed is not None and is_failed(row))
        recipient = Recipient(
            row.recipient, row.normalised, row.personalisation, row.reference, row.phone_number, row.postal_address
        )
        values = build_row(
            shared_fields, recipient, signer, notification_id=job_notification_id(shared_fields.job_id, row.number)
        )
        values["job_row_number"] = row.number
        if failed:
            values["status"] = NotificationStatus.VALIDATION_FAILED.value
            values["updated_at"] = shared_fields.created_at
            if shared_fields.channel is Channel.SMS:
                values["rate_multiplier"] = Decimal(0)
        built.append(values)
    return built


def build_row(shared_fields: SharedFields, recipient: Recipient, signer: Signer, *, notification_id: UUID) -> RowValues:
    """Build a message in status CREATED."""
    channel = shared_fields.channel
    values: RowValues = {
        "id": notification_id,
        "to": recipient.to.translate(_INVISIBLE_CHARACTERS).strip(),
        "normalised_to": recipient.normalised or _searchable_recipient(channel, recipient.to),
        "service_id": shared_fields.service_id,
        "template_id": shared_fields.template_id,
        "template_version": shared_fields.template_version,
        "notification_type": channel.value,
        "job_id": shared_fields.job_id,
        "job_row_number": None,
        "api_key_id": shared_fields.api_key_id,
        "key_type": shared_fields.key_type.value,
        "created_by_id": shared_fields.created_by_id,
        "created_at": shared_fields.created_at,
        "updated_at": None,
        "status": NotificationStatus.CREATED.value,
        "client_reference": recipient.reference,
        "reference": None,
        "personalisation": signer.sign(recipient.personalisation),
        "reply_to_text": shared_fields.reply_to_text,
        "billable_units": 0,
        "international": False,
        "phone_prefix": None,
        "rate_multiplier": None,
        "postage": None,
    }
    if channel is Channel.SMS:
        number = recipient.phone_number
        values["international"] = number.international if number else False
        values["phone_prefix"] = number.calling_code if number else INVALID_CALLING_CODE
        values["rate_multiplier"] = Decimal(number.multiplier if number else 0)
    elif channel is Channel.LETTER:
        address = recipient.postal_address
        postage = (address.international_postage if address else None) or shared_fields.postage or Postage.SECOND
        values["postage"] = postage.value
        values["international"] = postage.value in _INTERNATIONAL_POSTAGES
        values["reference"] = "".join(secrets.choice(_REFERENCE_CHARACTERS) for _ in range(16))
    return values


def _searchable_recipient(channel: Channel, recipient: str) -> str:
    """The searchable form of an invalid recipient."""
    if channel is Channel.SMS:
        return phone_numbers.normalise(recipient)
    if channel is Channel.EMAIL:
        return email_addresses.normalise(recipient)
    return "".join(recipient.split()).lower()


_COLUMN_TYPES = {
    "id": "uuid",
    "to": "text",
    "normalised_to": "text",
    "service_id": "uuid",
    "template_id": "uuid",
    "template_version": "int",
    "notification_type": "notification_type",
    "job_id": "uuid",
    "job_row_number": "int",
    "api_key_id": "uuid",
    "key_type": "text",
    "created_by_id": "uuid",
    "created_at": "timestamp",
    "updated_at": "timestamp",
    "status": "text",
    "client_reference": "text",
    "reference": "text",
    "personalisation": "text",
    "reply_to_text": "text",
    "billable_units": "int",
    "international": "bool",
    "phone_prefix": "text",
    "rate_multiplier": "numeric",
    "postage": "text",
}
_COLUMN_NAMES = {"status": "notification_status", "personalisation": "_personalisation"}
_COLUMNS = ", ".join(f'"{_COLUMN_NAMES.get(name, name)}"' for name in _COLUMN_TYPES)
_ARRAY_PARAMETERS = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMN_TYPES.items())
# Each column is an array parameter, so that the statement is the same for any number of rows.
_INSERT = text(
    f"INSERT INTO notifications ({_COLUMNS}) "  # noqa: S608
    f"SELECT * FROM unnest({_ARRAY_PARAMETERS}) ON CONFLICT DO NOTHING RETURNING id"
)


async def insert_rows(tx: AsyncSession, rows: Sequence[RowValues]) -> list[UUID]:
    """Insert messages in one statement; returns the ids of those that did not exist, in no particular order."""
    if not rows:
        return []
    columns = {name: list(map(itemgetter(name), rows)) for name in _COLUMN_TYPES}
    inserted_ids = list((await tx.execute(_INSERT, columns)).scalars())
    tx.info[operation_stats.MESSAGE_COUNT_KEY] = tx.info.get(operation_stats.MESSAGE_COUNT_KEY, 0) + len(inserted_ids)
    return inserted_ids
