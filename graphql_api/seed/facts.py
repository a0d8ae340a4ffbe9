"""Figures that follow from the messages: daily facts before today, today's use of limits, free allowances."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql import asyncpg as driver

from graphql_api.billing import london_days
from graphql_api.domain import facts
from graphql_api.enums import Channel

if TYPE_CHECKING:
    import asyncpg

    from graphql_api.seed.datasets import Clock

EARLIEST_DATE = date(2016, 1, 1)
_DIALECT = driver.dialect()  # type: ignore[no-untyped-call]

INSERT_DAILY_USAGE = """
    INSERT INTO daily_usage (service_id, day, kind, count)
    SELECT service_id, CAST($1 AS date), notification_type, count(*) FROM notifications
    WHERE created_at >= CAST($1 AS date) AND key_type IN ('normal', 'team')
        AND notification_status <> 'validation-failed'
    GROUP BY 1, 3
    ON CONFLICT DO NOTHING
"""

# The latest figure of the kind of body by then, else that of other bodies.
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
    """Write what follows from the messages; the demo's service has a small `allowance` of its own, soon used up."""
    days = {"first": EARLIEST_DATE, "last": clock.today - timedelta(days=1), "now": clock.now}
    for statement in (facts.COUNT_STATUSES, facts.COUNT_BILLING):
        # What nights do day by day, all at once.
        compiled = statement.compile(dialect=_DIALECT)
        values: dict[str, Any] = {"channels": list(map(str, Channel))} | days
        await connection.execute(str(compiled), *(values[name] for name in compiled.positiontup or ()))
    await connection.execute(INSERT_DAILY_USAGE, clock.now.date())
    year = london_days.financial_year(clock.today)
    await connection.execute(INSERT_ALLOWANCES, year)
    await connection.execute(SET_CUSTOM_ALLOWANCE, demo_service, year, allowance)
