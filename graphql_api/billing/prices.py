"""What messages cost: the rate of the day in London on which they were made, without any yearly allowance."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import text

from graphql_api.billing import london_days
from graphql_api.enums import Channel, NotificationStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

ZERO_COST = Decimal(0)
_AWAITING_SCAN_STATUS = NotificationStatus.PENDING_VIRUS_CHECK
_NEVER_POSTED_STATUSES = frozenset(
    {
        NotificationStatus.CANCELLED,
        NotificationStatus.VALIDATION_FAILED,
        NotificationStatus.VIRUS_SCAN_FAILED,
        NotificationStatus.TECHNICAL_FAILURE,
        NotificationStatus.PERMANENT_FAILURE,
    }
)


class RateKey(NamedTuple):
    """What a rate depends on."""

    channel: str
    day_start: datetime
    "The midnight at which the day begins in London, as naive UTC."
    sheets: int = 0
    postage: str | None = None


class MessageCost(NamedTuple):
    """What a message costs; the figures are null until it is ready."""

    ready: bool
    units: int | None = None
    unit_rate: Decimal | None = None
    total: Decimal | None = None


def rate_key(channel: str, created_at: datetime, *, sheets: int = 0, postage: str | None = None) -> RateKey:
    """The rate that a message of this moment goes by."""
    is_letter = channel == Channel.LETTER
    midnight = london_days.midnight(london_days.london_day(created_at))
    return RateKey(str(channel), midnight, sheets if is_letter else 0, postage if is_letter else None)


def message_cost(
    channel: str, status: str | None, units: int, multiplier: Decimal | None, rate: Decimal | None
) -> MessageCost:
    """The cost of a message with `units` fragments or sheets, by its rate; null for a rate that nobody recorded.

    Units are set when a message is handed over, a letter's when its sheets are counted: until then there is no cost.
    Emails cost nothing, nor do letters that were never posted.
    """
    if channel == Channel.EMAIL:
        return MessageCost(ready=True, units=0, unit_rate=ZERO_COST, total=ZERO_COST)
    if channel == Channel.SMS:
        if status == NotificationStatus.CREATED and not units:
            return MessageCost(ready=False)
        charged = units * (1 if multiplier is None else int(multiplier))
        return MessageCost(ready=True, units=charged, unit_rate=rate, total=None if rate is None else charged * rate)
    if status in _NEVER_POSTED_STATUSES:
        return MessageCost(ready=True, units=units, unit_rate=rate, total=ZERO_COST)
    if not units or status == _AWAITING_SCAN_STATUS:
        return MessageCost(ready=False)
    # A letter's rate is for all its sheets together, a text's for one fragment.
    return MessageCost(ready=True, units=units, unit_rate=rate, total=rate)


SELECT_RATES = text(
    """
    SELECT wanted.channel, wanted.at, wanted.sheets, wanted.postage,
        CASE wanted.channel
            WHEN 'sms' THEN (
                SELECT rate FROM rates
                WHERE notification_type = 'sms' AND valid_from <= wanted.at ORDER BY valid_from DESC LIMIT 1
            )
            WHEN 'letter' THEN (
                SELECT rate FROM letter_rates
                WHERE sheet_count = wanted.sheets AND post_class = wanted.postage AND crown
                    AND start_date <= wanted.at AND (end_date IS NULL OR end_date > wanted.at)
                ORDER BY start_date DESC LIMIT 1
            )
        END AS rate
    FROM unnest(
        CAST(:channels AS text[]), CAST(:moments AS timestamp[]), CAST(:sheets AS int[]), CAST(:postages AS text[])
    ) AS wanted (channel, at, sheets, postage)
    """
)
"""The rates that are wanted, bound by `bound`; a rate of an email, or one that nobody recorded, is null."""


def rate_parameters(keys: Sequence[RateKey]) -> dict[str, Any]:
    """What `RATES` binds."""
    return {
        "channels": [rate.channel for rate in keys],
        "moments": [rate.day_start for rate in keys],
        "sheets": [rate.sheets for rate in keys],
        "postages": [rate.postage for rate in keys],
    }


def rates_by_key(rows: Sequence[Any]) -> dict[RateKey, Decimal | None]:
    """What `RATES` answers, by what was wanted."""
    return {RateKey(row.channel, row.at, row.sheets, row.postage): row.rate for row in rows}
