"""Usage of services in financial years: from the nightly bills, and from messages of the days after those."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Integer, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from graphql_api.billing import bill_lines
from graphql_api.enums import Channel
from loaders.core import batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from decimal import Decimal
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncConnection

    from graphql_api.auth.actors import Actor

HIGH_VOLUME_UNITS = 300_000
"""Units of text messages in a year from which the next year has no free allowance."""


class ServiceYear(NamedTuple):
    """A service and a financial year, named by the calendar year in which it starts."""

    service_id: UUID
    year: int


class UsageLine(NamedTuple):
    """A line of the bill: the messages of one month, channel, rate and class of post."""

    month: date
    channel: str
    rate: Decimal
    "Pounds per unit of a text message, or per letter."
    postage: str
    messages: int
    units: int
    "Fragments times multipliers, or sheets."
    free_units: int
    "Units within the free allowance."
    updated_at: datetime | None
    "When a nightly task last changed it."

    @property
    def charged_units(self) -> int:
        """Units beyond the free allowance."""
        return self.units - self.free_units

    @property
    def cost(self) -> Decimal:
        """Pounds."""
        return self.rate * (self.messages if self.channel == Channel.LETTER else self.charged_units)


class YearUsage(NamedTuple):
    """A service's year: the free units of text messages, and its lines by month."""

    allowance: int
    is_custom: bool
    high_volume_last_year: bool
    lines: list[UsageLine]


_IN_FINANCIAL_YEAR = "bst_date >= make_date(requested.year, 4, 1) AND bst_date < make_date(requested.year + 1, 4, 1)"
_LIVE_SINCE = bill_lines.midnight_sql("(SELECT since FROM live)")
_LIVE_LINES = bill_lines.bill_line_ctes_sql(f"service_id = ANY(:services) AND created_at >= {_LIVE_SINCE}")
# Free units are used in the order of days; the day on which they run out is split exactly.
_USAGE_STATEMENT = text(
    f"""
    WITH requested AS (
        SELECT * FROM unnest(:services, :years) WITH ORDINALITY AS requested(service_id, year, ordinal)
    ), live AS MATERIALIZED ({bill_lines.first_uncounted_day_sql("ft_billing")}),
    {_LIVE_LINES},
    allowed AS (
        SELECT requested.*,
            coalesce(
                own.free_sms_fragment_limit, earlier.free_sms_fragment_limit, CASE WHEN volume.high THEN 0 END,
                default_allowance.allowance, 0
            ) AS allowance,
            coalesce(own.has_custom_allowance, earlier.has_custom_allowance, false) AS is_custom,
            coalesce(own.high_volume_service_last_year, volume.high) AS high_volume
        FROM requested JOIN services ON services.id = requested.service_id
        LEFT JOIN annual_billing AS own
            ON own.service_id = requested.service_id AND own.financial_year_start = requested.year
        LEFT JOIN LATERAL (
            SELECT * FROM annual_billing
            WHERE annual_billing.service_id = requested.service_id AND financial_year_start < requested.year
            ORDER BY financial_year_start DESC LIMIT 1
        ) AS earlier ON earlier.has_custom_allowance
        LEFT JOIN LATERAL (
            SELECT allowance FROM default_annual_allowance AS default_allowance
            WHERE default_allowance.notification_type = 'sms' AND valid_from_financial_year_start <= requested.year
                AND default_allowance.organisation_type IN (coalesce(services.organisation_type, 'other'), 'other')
            ORDER BY default_allowance.organisation_type <> coalesce(services.organisation_type, 'other'),
                valid_from_financial_year_start DESC
            LIMIT 1
        ) AS default_allowance ON true
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(billable_units * rate_multiplier), 0) >= {HIGH_VOLUME_UNITS} AS high FROM ft_billing
            WHERE ft_billing.service_id = requested.service_id AND ft_billing.notification_type = 'sms'
                AND bst_date >= make_date(requested.year - 1, 4, 1) AND bst_date < make_date(requested.year, 4, 1)
        ) AS volume
    ), daily AS (
        SELECT ordinal, bst_date, notification_type, rate, postage,
            sum(billable_units * rate_multiplier) AS units, sum(notifications_sent) AS messages, max(kept_at) AS kept_at
        FROM (
            SELECT ordinal, bst_date, notification_type, rate, postage, billable_units, rate_multiplier,
                notifications_sent, coalesce(updated_at, created_at) AS kept_at
            FROM requested JOIN ft_billing USING (service_id) CROSS JOIN live
            WHERE {_IN_FINANCIAL_YEAR} AND bst_date < live.since
            UNION ALL
            SELECT ordinal, bst_date, notification_type, rate, postage, billable_units, rate_multiplier,
                notifications_sent, NULL
            FROM requested JOIN reckoned USING (service_id)
            WHERE {_IN_FINANCIAL_YEAR}
        ) AS combined
        GROUP BY 1, 2, 3, 4, 5
    ), running AS (
        SELECT daily.*, allowance,
            sum(units) OVER (PARTITION BY ordinal, notification_type ORDER BY bst_date, rate) AS used_by_then
        FROM daily JOIN allowed USING (ordinal)
    ), monthly AS (
        SELECT ordinal, CAST(date_trunc('month', CAST(bst_date AS timestamp)) AS date) AS month,
            notification_type, rate, postage, sum(messages) AS messages, sum(units) AS units,
            sum(
                CASE notification_type
                    WHEN 'sms' THEN greatest(0, least(units, allowance - (used_by_then - units))) ELSE 0
                END
            ) AS free, max(kept_at) AS kept_at
        FROM running
        GROUP BY 1, 2, 3, 4, 5
    )
    SELECT allowed.ordinal, CAST(allowance AS integer), is_custom, high_volume, month, notification_type, rate, postage,
        CAST(messages AS bigint), CAST(units AS bigint), CAST(free AS bigint), kept_at
    FROM allowed LEFT JOIN monthly USING (ordinal)
    ORDER BY allowed.ordinal, month, notification_type, rate, postage
    """  # noqa: S608 - made of constants
).bindparams(bindparam("services", type_=ARRAY(Uuid())), bindparam("years", type_=ARRAY(Integer())))


@batch(bulk=True)
async def by_financial_year(
    connection: AsyncConnection, actor: Actor, keys: Sequence[ServiceYear]
) -> Mapping[ServiceYear, YearUsage]:
    """Usage of services by year; the caller checks permissions."""
    del actor
    services, years = zip(*keys, strict=True)
    values: dict[str, Any] = {"services": list(services), "years": list(years)}
    usage: dict[ServiceYear, YearUsage] = {}
    for ordinal, allowance, is_custom, high_volume, *line in await connection.execute(_USAGE_STATEMENT, values):
        year = usage.setdefault(keys[ordinal - 1], YearUsage(allowance, is_custom, high_volume, []))
        if line[0] is not None:
            year.lines.append(UsageLine(*line))
    return usage
