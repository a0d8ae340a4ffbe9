"""SQL of the lines of bills, by London day: for the nightly task that stores them, and for days not stored yet."""

from __future__ import annotations

from graphql_api.billing.prices import letter_rate_sql, sms_rate_sql

MESSAGE_DAY_SQL = "CAST(timezone('Europe/London', timezone('UTC', created_at)) AS date)"
"""The London day on which a message was created."""

TODAY_SQL = "CAST(timezone('Europe/London', now()) AS date)"


def midnight_sql(day: str) -> str:
    """SQL for the instant at which a day (an SQL expression) begins in London, as naive UTC."""
    return f"timezone('UTC', timezone('Europe/London', CAST({day} AS timestamp)))"


def first_uncounted_day_sql(facts_table: str) -> str:
    """A query of the first day (`since`) that is not in a table of facts yet; today at the latest."""
    return f"""
        SELECT LEAST(
            COALESCE((SELECT max(bst_date) + 1 FROM {facts_table} WHERE bst_date < {TODAY_SQL}), '-infinity'),
            {TODAY_SQL}
        ) AS since
    """  # noqa: S608 - made of constants


COUNTED_MESSAGES_SQL = "key_type IN ('normal', 'team') AND service_id IS NOT NULL AND template_id IS NOT NULL"
"""The condition of messages that are billed and counted: those of test keys are not."""


def bill_line_ctes_sql(condition: str) -> str:
    """Common table expressions for the messages of an SQL condition; the last, `reckoned`, has ft_billing's columns.

    A text message costs the rate at the beginning of its day; a letter the rate of its sheets, postage and day.
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
                    WHEN 'sms' THEN {sms_rate_sql("day.midnight")}
                    WHEN 'letter' THEN {letter_rate_sql("day.midnight", sheets="sheets", postage="postage")}
                END, 0
            ) AS rate, postage, CAST(sum(units) AS integer) AS billable_units,
            CAST(sum(messages) AS integer) AS notifications_sent
        FROM lines CROSS JOIN LATERAL (SELECT {midnight_sql("bst_date")} AS midnight) AS day
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    )"""  # noqa: S608 - made of constants
