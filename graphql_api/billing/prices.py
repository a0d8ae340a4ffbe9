"""What messages cost: by the rate of the London day on which they were created, yearly allowances aside."""

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
    """The values that a rate depends on."""

    channel: str
    day_start: datetime
    "The midnight at which the day begins in London, as naive UTC."
    sheets: int = 0
    postage: str | None = None


class MessageCost(NamedTuple):
    """The cost of a message; the figures are null until it is `ready`."""

    ready: bool
    units: int | None = None
    unit_rate: Decimal | None = None
    total: Decimal | None = None


def rate_key(channel: str, created_at: datetime, *, sheets: int = 0, postage: str | None = None) -> RateKey:
    """The key of the rate of a message created at a moment (naive UTC)."""
    is_letter = channel == Channel.LETTER
    midnight = london_days.midnight(london_days.london_day(created_at))
    return RateKey(str(channel), midnight, sheets if is_letter else 0, postage if is_letter else None)


def message_cost(
    channel: str, status: str | None, units: int, multiplier: Decimal | None, rate: Decimal | None
) -> MessageCost:
    """The cost of a message of `units` fragments or sheets; the total is null where no rate is recorded.

    Units are set when a message is handed to its provider, a letter's when its sheets are counted: until then there is
    no cost. Emails cost nothing, nor do letters that were never posted.
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
    # A letter's rate is for all its sheets together, a text message's for one fragment.
    return MessageCost(ready=True, units=units, unit_rate=rate, total=rate)


def sms_rate_sql(at: str) -> str:
    """SQL for the rate of one fragment of a text message at a moment, an SQL expression; null when none is recorded."""
    return f"""(
        SELECT rate FROM rates WHERE rates.notification_type = 'sms' AND valid_from <= {at}
        ORDER BY valid_from DESC LIMIT 1
    )"""  # noqa: S608 - made of constants


def letter_rate_sql(at: str, *, sheets: str, postage: str) -> str:
    """SQL for the rate of a letter, all its sheets together, from SQL expressions; null when none is recorded."""
    return f"""(
        SELECT rate FROM letter_rates
        WHERE sheet_count = {sheets} AND post_class = {postage} AND crown
            AND start_date <= {at} AND (end_date IS NULL OR end_date > {at})
        ORDER BY start_date DESC LIMIT 1
    )"""  # noqa: S608 - made of constants


SELECT_RATES = text(
    f"""
    SELECT wanted.channel, wanted.at, wanted.sheets, wanted.postage,
        CASE wanted.channel
            WHEN 'sms' THEN {sms_rate_sql("wanted.at")}
            WHEN 'letter' THEN {letter_rate_sql("wanted.at", sheets="wanted.sheets", postage="wanted.postage")}
        END AS rate
    FROM unnest(
        CAST(:channels AS text[]), CAST(:moments AS timestamp[]), CAST(:sheets AS int[]), CAST(:postages AS text[])
    ) AS wanted (channel, at, sheets, postage)
    """  # noqa: S608 - made of constants
)
"""The rates of `RateKey`s, bound by `rate_parameters`; null for an email, and where no rate is recorded."""


def rate_parameters(keys: Sequence[RateKey]) -> dict[str, Any]:
    """The values that `SELECT_RATES` binds."""
    return {
        "channels": [rate.channel for rate in keys],
        "moments": [rate.day_start for rate in keys],
        "sheets": [rate.sheets for rate in keys],
        "postages": [rate.postage for rate in keys],
    }


def rates_by_key(rows: Sequence[Any]) -> dict[RateKey, Decimal | None]:
    """The rates of the rows of `SELECT_RATES`, by key."""
    return {RateKey(row.channel, row.at, row.sheets, row.postage): row.rate for row in rows}
