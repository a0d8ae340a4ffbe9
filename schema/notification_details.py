"""Values computed from a message's columns: status text, content, cost, details of each channel."""

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Self

from graphql_api import statuses
from graphql_api.billing import letter_days, prices
from graphql_api.content import messages
from graphql_api.context import Context
from graphql_api.enums import Channel, NotificationStatus, NotificationStatusGroup, Postage
from schema.core import value_object
from schema.enums import member_or_none
from schema.messages import RenderedMessage
from schema.money import Money
from schema.ranges import DateRange
from schema.template_contents import sms_prefix


@value_object
class EmailDetails:
    """Fields of emails."""

    reply_to_address: str | None
    """Reply-to address; null once erased."""
    one_click_unsubscribe_url: str | None
    """List-Unsubscribe link of its header; null once erased."""
    file_count: int
    """Number of files sent as links."""


@value_object
class SmsDetails:
    """Fields of text messages."""

    sender: str | None
    """Name or number of the sender; null once erased."""
    fragment_count: int | None
    """Fragments billed; null until given to a provider."""
    international: bool
    """True for a number outside the UK."""
    calling_code: str | None
    """Calling code of the country, without +."""
    rate_multiplier: Decimal | None
    """Units that a fragment costs."""


@value_object
class LetterDetails:
    """Fields of letters."""

    contact_block: str | None
    """Sender's address; null without one or once erased."""
    address_lines: list[str] | None
    """Recipient's address; null once erased."""
    postage: Postage
    """Class of post."""
    sheet_count: int | None
    """Sheets billed; null until counted."""
    print_deadline: datetime | None
    """Time from which it can no longer be cancelled."""
    estimated_delivery: DateRange | None
    """First and last day of the expected delivery."""
    validation_problems: list[str]
    """Rules that its address or PDF breaks."""


@value_object
class NotificationCost:
    """Cost of one message."""

    total: Money | None
    """Units at the rate of the day, without regard to the yearly free allowance; null until ready."""
    unit_rate: Money | None
    """Price of one unit; null until ready."""
    billable_units: int | None
    """Fragments times the country's multiplier, or sheets; null until ready."""
    ready: bool
    """False until the message is given to a provider or, for a letter, its sheets are counted."""

    @classmethod
    def of(cls, cost: prices.MessageCost) -> Self:
        """The cost as the domain computes it, in pounds."""
        return cls(
            total=Money.pounds_or_none(cost.total),
            unit_rate=Money.pounds_or_none(cost.unit_rate),
            billable_units=cost.units,
            ready=cost.ready,
        )


_CHANNEL_STATUS_TEXTS: dict[str, dict[NotificationStatus, str]] = {
    Channel.EMAIL: {
        NotificationStatus.TEMPORARY_FAILURE: "Inbox not accepting messages right now",
        NotificationStatus.PERMANENT_FAILURE: "No such email address",
        NotificationStatus.SENT: "Delivered",
    },
    Channel.SMS: {
        NotificationStatus.TEMPORARY_FAILURE: "Phone not accepting messages right now",
        NotificationStatus.PERMANENT_FAILURE: "Not delivered",
        NotificationStatus.SENT: "Sent to an international number",
    },
    Channel.LETTER: {
        NotificationStatus.CREATED: "Accepted",
        NotificationStatus.SENDING: "Accepted",
        NotificationStatus.DELIVERED: "Received",
        NotificationStatus.RETURNED_LETTER: "Returned",
        NotificationStatus.PERMANENT_FAILURE: "Could not be printed",
        NotificationStatus.TEMPORARY_FAILURE: "Could not be printed right now",
    },
}
_STATUS_TEXTS = {
    NotificationStatus.CREATED: "Waiting to be sent",
    NotificationStatus.SENDING: "Sending",
    NotificationStatus.PENDING: "Sending",
    NotificationStatus.DELIVERED: "Delivered",
    NotificationStatus.SENT: "Sent",
    NotificationStatus.TECHNICAL_FAILURE: "Technical failure",
    NotificationStatus.VALIDATION_FAILED: "Validation failed",
    NotificationStatus.PENDING_VIRUS_CHECK: "Waiting for a virus check",
    NotificationStatus.VIRUS_SCAN_FAILED: "Virus found",
    NotificationStatus.CANCELLED: "Cancelled",
    NotificationStatus.RETURNED_LETTER: "Returned",
}


def status_text(channel: str, stored: str) -> str:
    """The text of a stored status for a channel."""
    status = statuses.status_of(stored)
    return _CHANNEL_STATUS_TEXTS[channel].get(status) or _STATUS_TEXTS[status]


def is_final(stored: str) -> bool:
    """Whether a stored status changes no more without a call."""
    return statuses.group_of(stored) is not NotificationStatusGroup.IN_PROGRESS


def completed_at(stored: str, updated_at: datetime | None) -> datetime | None:
    """When the status became final; None before."""
    return updated_at if is_final(stored) else None


def unsigned_personalisation(context: Context, signed: str | None) -> Any:
    """The values of placeholders; None where they are erased or redacted."""
    return None if signed is None else context.signer.unsign(signed)


@lru_cache(maxsize=64)
def _compiled_template(
    channel: str, subject: str | None, body: str, prefix: str | None, *welsh: str | None
) -> messages.CompiledTemplate:
    """A compiled template, cached: the messages of a page have few different ones."""
    welsh_subject, welsh_body = welsh
    return messages.CompiledTemplate(
        Channel(channel),
        subject=subject,
        body=body,
        prefix=prefix,
        welsh_subject=welsh_subject,
        welsh_body=welsh_body,
    )


def rendered_content(
    context: Context, to: str | None, signed: str | None, unsubscribe_url: str | None, template: Any, service: Any
) -> RenderedMessage | None:
    """The message as sent; None once erased. Without personalisation, the values are redacted."""
    if to is None or template is None:
        return None
    compiled = _compiled_template(
        template.template_type,
        template.subject,
        template.content,
        sms_prefix(service),
        template.letter_welsh_subject,
        template.letter_welsh_content,
    )
    values = unsigned_personalisation(context, signed)
    return RenderedMessage.of(compiled.render(values, redact=signed is None, unsubscribe_url=unsubscribe_url), context)


def email_details(
    channel: str, reply_to: str | None, unsubscribe_url: str | None, files: int | None
) -> EmailDetails | None:
    """The fields of an email; None for other channels."""
    if channel != Channel.EMAIL:
        return None
    return EmailDetails(reply_to_address=reply_to, one_click_unsubscribe_url=unsubscribe_url, file_count=files or 0)


def sms_details(channel: str, stored: str, *columns: Any) -> SmsDetails | None:
    """The fields of a text message; None for other channels."""
    if channel != Channel.SMS:
        return None
    sender, units, international, prefix, multiplier = columns
    is_waiting = stored == NotificationStatus.CREATED and not units
    return SmsDetails(
        sender=sender,
        fragment_count=None if is_waiting else units,
        international=bool(international),
        calling_code=prefix.lstrip("+") if prefix else None,
        rate_multiplier=multiplier,
    )


def letter_details(channel: str, to: str | None, *columns: Any) -> LetterDetails | None:
    """The fields of a letter; None for other channels."""
    if channel != Channel.LETTER:
        return None
    contact, stored_postage, sheets, created_at = columns
    postage = member_or_none(Postage, stored_postage) or Postage.SECOND
    first, last = letter_days.delivery_dates(created_at, postage)
    return LetterDetails(
        contact_block=contact,
        address_lines=None if to is None else to.split("\n"),
        postage=postage,
        sheet_count=sheets or None,
        print_deadline=letter_days.print_deadline(created_at),
        estimated_delivery=DateRange(from_=first, to=last),
        validation_problems=[],
    )
