"""Figures computed from the messages: daily facts before today, today's usage of limits, free allowances."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from graphql_api.billing import london_days
from graphql_api.database.dialect import DIALECT
from graphql_api.domain import facts
from graphql_api.enums import Channel

if TYPE_CHECKING:
    import asyncpg

    from graphql_api.seed.datasets import Clock

EARLIEST_DATE = date(2016, 1, 1)

INSERT_DAILY_USAGE = """
    INSERT INTO daily_usage (service_id, day, kind, count)
    SELECT service_id, CAST($1 AS date), notification_type, count(*) FROM notifications
    WHERE created_at >= CAST($1 AS date) AND key_type IN ('normal', 'team')
        AND notification_status <> 'validation-failed'
    GROUP BY 1, 3
    ON CONFLICT DO NOTHING
"""

# The latest allowance of the type of organisation by that year, else that of type `other`.
INSERT_ALLOWANCES = """
    INSERT INTO annual_billing (id, service_id, financial_year_start, free_sms_fragment_limit, created_at)
    SELECT CAST(md5(services.id || ' ' || year) AS uuid), services.id, year,
        (
            SELECT allowance FROM default_annual_allowance AS usual
            WHERE usual.notification_type = 'sms' AND valid_from_financial_year_start <= year
                AND usual.organisation_type IN (coalesce(services.organisation_type, 'other'), 'other')
            ORDER BY usual.organisation_type = 'other', valid_from_financial_year_start DESC LIMIT 1
        ),
        greatest(services.created_at, make_timestamp(year, 4, 1, 1, 0, 0))
    FROM services, generate_series(CAST($1 AS integer) - 1, CAST($1 AS integer)) AS year
    WHERE year >= extract(year FROM services.created_at) - 1 OR year = $1
    ON CONFLICT DO NOTHING
"""
SET_CUSTOM_ALLOWANCE = """
    UPDATE annual_billing SET free_sms_fragment_limit = $3, has_custom_allowance = true, updated_at = created_at
    WHERE service_id = $1 AND financial_year_start = $2
"""


async def write(connection: asyncpg.Connection, clock: Clock, demo_service: object, allowance: int) -> None:
    """Write the figures; the demo service gets a small custom `allowance`, in fragments, which its messages use up."""
    days = {"first": EARLIEST_DATE, "last": clock.today - timedelta(days=1), "now": clock.now}
    for statement in (facts.COUNT_STATUSES, facts.COUNT_BILLING):
        # The nightly task computes one day; these are all days at once.
        compiled = statement.compile(dialect=DIALECT)
        values: dict[str, Any] = {"channels": list(map(str, Channel))} | days
        await connection.execute(str(compiled), *(values[name] for name in compiled.positiontup or ()))
    await connection.execute(INSERT_DAILY_USAGE, clock.now.date())
    year = london_days.financial_year(clock.today)
    await connection.execute(INSERT_ALLOWANCES, year)
    await connection.execute(SET_CUSTOM_ALLOWANCE, demo_service, year, allowance)
