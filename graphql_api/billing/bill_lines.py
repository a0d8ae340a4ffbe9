"""What messages come to on the bill, by London day, as SQL: for nights to keep, and for days that none has counted."""

from __future__ import annotations

MESSAGE_DAY_SQL = "CAST(timezone('Europe/London', timezone('UTC', created_at)) AS date)"
"""The London day of a message."""

TODAY_SQL = "CAST(timezone('Europe/London', now()) AS date)"


def midnight_sql(day: str) -> str:
    """The instant at which a day begins in London, as naive UTC."""
    return f"timezone('UTC', timezone('Europe/London', CAST({day} AS timestamp)))"


def first_uncounted_day_sql(facts_table: str) -> str:
    """The first day that no night has counted in a table of facts; today at the latest."""
    return f"""
        SELECT LEAST(
            COALESCE((SELECT max(bst_date) + 1 FROM {facts_table} WHERE bst_date < {TODAY_SQL}), '-infinity'),
            {TODAY_SQL}
        ) AS since
    """  # noqa: S608 - made of constants


COUNTED_MESSAGES_SQL = "key_type IN ('normal', 'team') AND service_id IS NOT NULL AND template_id IS NOT NULL"
"""Messages that count: those of test keys count nowhere."""


def bill_line_ctes_sql(condition: str) -> str:
    """Common table expressions, of which the last, `reckoned`, has the columns of ft_billing, for messages `where`.

    A text costs by the rate at the beginning of its day, whatever its own time; a letter by sheets, class and day.
    """
    return f"""
    billable AS (
        SELECT {MESSAGE_DAY_SQL} AS bst_date, message.*
        FROM notifications_all_time_view AS message
        WHERE {COUNTED_MESSAGES_SQL} AND {condition}
    ), lines AS (
        SELECT bst_date, template_id, service_id, notification_type,
            coalesce(sent_by, 'unknown') AS provider, CAST(coalesce(rate_multiplier, 1) AS integer) AS rate_multiplier,
            coalesce(international, false) AS international, 'none' AS postage, 0 AS sheets,
            sum(billable_units) AS units, count(*) AS messages
        FROM billable
        WHERE notification_type = 'sms' AND notification_status IN (
            'sending', 'sent', 'delivered', 'pending', 'temporary-failure', 'permanent-failure'
        )
        GROUP BY 1, 2, 3, 4, 5, 6, 7
        UNION ALL
        SELECT bst_date, template_id, service_id, notification_type, 'ses', 0, false, 'none', 0, 0, count(*)
        FROM billable
        WHERE notification_type = 'email' AND notification_status IN (
            'sending', 'delivered', 'temporary-failure', 'permanent-failure'
        )
        GROUP BY 1, 2, 3, 4
        UNION ALL
        SELECT bst_date, template_id, service_id, notification_type, 'dvla',
            CAST(coalesce(rate_multiplier, 1) AS integer), coalesce(international, false), coalesce(postage, 'none'),
            billable_units, sum(billable_units), count(*)
        FROM billable
        WHERE notification_type = 'letter' AND notification_status IN ('sending', 'delivered', 'returned-letter')
        GROUP BY 1, 2, 3, 4, 6, 7, 8, 9
    ), reckoned AS MATERIALIZED (
        SELECT bst_date, template_id, service_id, CAST(lines.notification_type AS text) AS notification_type, provider,
            rate_multiplier, international, coalesce(
                CASE lines.notification_type
                    WHEN 'sms' THEN (
                        SELECT rate FROM rates WHERE rates.notification_type = 'sms' AND valid_from <= day.midnight
                        ORDER BY valid_from DESC LIMIT 1
                    )
                    WHEN 'letter' THEN (
                        SELECT rate FROM letter_rates
                        WHERE crown AND post_class = postage AND sheet_count = sheets
                            AND start_date <= day.midnight AND (end_date IS NULL OR end_date > day.midnight)
                        ORDER BY start_date DESC LIMIT 1
                    )
                END, 0
            ) AS rate, postage, CAST(sum(units) AS integer) AS billable_units,
            CAST(sum(messages) AS integer) AS notifications_sent
        FROM lines CROSS JOIN LATERAL (SELECT {midnight_sql("bst_date")} AS midnight) AS day
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    )"""  # noqa: S608 - made of constants
