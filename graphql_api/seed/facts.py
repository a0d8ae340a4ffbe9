"""Figures that follow from the messages: daily facts before today, today's use of limits, free allowances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql_api import london

if TYPE_CHECKING:
    import asyncpg

    from graphql_api.seed.worlds import Clock

_DAY = "CAST(timezone('Europe/London', timezone('UTC', message.created_at)) AS date)"
_ZERO = "'00000000-0000-0000-0000-000000000000'"

STATUS = f"""
    INSERT INTO ft_notification_status (
        bst_date, template_id, service_id, job_id, notification_type, key_type, notification_status,
        notification_count, created_at
    )
    SELECT {_DAY}, message.template_id, message.service_id, coalesce(message.job_id, {_ZERO}),
        message.notification_type, message.key_type, message.notification_status, count(*), CAST($2 AS timestamp)
    FROM notifications_all_time_view AS message
    WHERE message.key_type IN ('normal', 'team') AND message.created_at < $1
    GROUP BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - made of constants

# A text costs by its day's rate, whatever the time of day; a letter by sheets, class and day.
BILLING = f"""
    WITH billable AS (
        SELECT {_DAY} AS day, message.*
        FROM notifications_all_time_view AS message
        WHERE message.key_type IN ('normal', 'team') AND message.created_at < $1
    ), counted AS (
        SELECT day, template_id, service_id, notification_type,
            coalesce(sent_by, 'unknown') AS provider, CAST(coalesce(rate_multiplier, 1) AS integer) AS multiplier,
            coalesce(international, false) AS abroad, 'none' AS postage, 0 AS sheets,
            sum(billable_units) AS units, count(*) AS sent
        FROM billable
        WHERE notification_type = 'sms' AND notification_status IN (
            'sending', 'sent', 'delivered', 'pending', 'temporary-failure', 'permanent-failure'
        )
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        UNION ALL
        SELECT day, template_id, service_id, notification_type, 'ses', 0, false, 'none', 0, 0, count(*)
        FROM billable
        WHERE notification_type = 'email' AND notification_status IN (
            'sending', 'delivered', 'temporary-failure', 'permanent-failure'
        )
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT day, template_id, service_id, notification_type, 'dvla',
            CAST(coalesce(rate_multiplier, 1) AS integer), coalesce(international, false), coalesce(postage, 'none'),
            billable_units, sum(billable_units), count(*)
        FROM billable
        WHERE notification_type = 'letter' AND notification_status IN ('sending', 'delivered', 'returned-letter')
        GROUP BY 1, 2, 3, 4, 6, 7, 8, 9
    ), days AS (
        SELECT day, timezone('UTC', timezone('Europe/London', CAST(day AS timestamp))) AS midnight
        FROM (SELECT DISTINCT day FROM counted) AS one
    ), priced AS (
        SELECT counted.*,
            CASE notification_type
                WHEN 'sms' THEN (
                    SELECT rate FROM rates WHERE rates.notification_type = 'sms' AND valid_from <= midnight
                    ORDER BY valid_from DESC LIMIT 1
                )
                WHEN 'letter' THEN (
                    SELECT rate FROM letter_rates
                    WHERE crown AND post_class = postage AND sheet_count = sheets
                        AND start_date <= midnight AND (end_date IS NULL OR end_date > midnight)
                    ORDER BY start_date DESC LIMIT 1
                )
            END AS rate
        FROM counted JOIN days USING (day)
    )
    INSERT INTO ft_billing (
        bst_date, template_id, service_id, notification_type, provider, rate_multiplier, international, rate, postage,
        billable_units, notifications_sent, created_at
    )
    SELECT day, template_id, service_id, notification_type, provider, multiplier, abroad, coalesce(rate, 0), postage,
        sum(units), sum(sent), CAST($2 AS timestamp)
    FROM priced GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - made of constants

USAGE = """
    INSERT INTO daily_usage (service_id, day, kind, count)
    SELECT service_id, CAST($1 AS date), notification_type, count(*) FROM notifications
    WHERE created_at >= CAST($1 AS date) AND key_type IN ('normal', 'team')
        AND notification_status <> 'validation-failed'
    GROUP BY 1, 3
    ON CONFLICT DO NOTHING
"""

# The latest figure of the kind of body by then, else that of other bodies.
ALLOWANCES = """
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
CUSTOM = """
    UPDATE annual_billing SET free_sms_fragment_limit = $3, has_custom_allowance = true, updated_at = created_at
    WHERE service_id = $1 AND financial_year_start = $2
"""


async def reckon(connection: asyncpg.Connection, clock: Clock, demo_service: object, allowance: int) -> None:
    """Write what follows from the messages; the demo's service has a small `allowance` of its own, soon used up."""
    await connection.execute(STATUS, clock.midnight, clock.now)
    await connection.execute(BILLING, clock.midnight, clock.now)
    await connection.execute(USAGE, clock.now.date())
    year = london.financial_year(clock.today)
    await connection.execute(ALLOWANCES, year)
    await connection.execute(CUSTOM, demo_service, year, allowance)
