"""Add rates of messages and free allowances."""

import datetime as dt
import decimal
import itertools
import uuid

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TYPE = postgresql.ENUM(name="notification_type", create_type=False)

# Pounds for a text message fragment, from a time (UTC) on.
RATES = {
    "2016-05-18T00:00:00": "0.0165",
    "2017-03-31T23:00:00": "0.0158",
    "2021-03-31T23:00:00": "0.016",
    "2022-03-31T23:00:00": "0.0161",
    "2022-04-30T23:00:00": "0.0172",
    "2023-03-31T23:00:00": "0.0197",
    "2024-03-31T23:00:00": "0.0227",
    "2025-03-31T23:00:00": "0.0233",
    "2026-03-31T23:00:00": "0.024",
}

# From, until (UTC), post classes, for Crown bodies, others or all, the lowest number of sheets, and pounds for a letter
# of that number of sheets, of one more, and so on.
LETTER_RATES = """
2016-03-31T23:00 2019-09-30T23:00 second crown 1 0.3
2016-03-31T23:00 2018-09-30T23:00 second other 1 0.33 0.39 0.45
2016-03-31T23:00 2018-09-30T23:00 second crown 2 0.33 0.36
2018-06-30T23:00 2018-09-30T23:00 second crown 4 0.39 0.42
2018-06-30T23:00 2018-09-30T23:00 second other 4 0.51 0.57
2018-08-31T23:00 2019-09-30T23:00 first all 1 0.56 0.61 0.66 0.71 0.76
2018-09-30T23:00 2019-09-30T23:00 second other 1 0.3 0.35 0.4 0.45 0.5
2018-09-30T23:00 2019-09-30T23:00 second crown 2 0.35 0.4 0.45 0.5
2019-09-30T23:00 2021-02-01T00:00 first all 1 0.61 0.66 0.71 0.76 0.81
2019-09-30T23:00 2021-02-01T00:00 second all 1 0.35 0.4 0.45 0.5 0.55
2020-07-01T00:00 2021-02-01T00:00 europe,rest-of-world all 1 0.84 0.92 1 1.08 1.16
2021-02-01T00:00 2022-03-01T00:00 europe,rest-of-world all 1 0.89 0.97 1.05 1.13 1.21
2021-02-01T00:00 2022-03-01T00:00 first all 1 0.69 0.74 0.79 0.84 0.89
2021-02-01T00:00 2022-03-01T00:00 second all 1 0.39 0.44 0.49 0.54 0.59
2022-03-01T00:00 2023-01-23T00:00 europe,rest-of-world all 1 0.96 1.04 1.12 1.2 1.28
2022-03-01T00:00 2023-01-23T00:00 first all 1 0.63 0.68 0.73 0.78 0.83
2022-03-01T00:00 2023-01-23T00:00 second all 1 0.41 0.46 0.51 0.56 0.61
2023-01-23T00:00 2023-11-01T00:00 europe,rest-of-world all 1 1.05 1.13 1.21 1.29 1.37
2023-01-23T00:00 2023-11-01T00:00 first all 1 0.72 0.77 0.82 0.87 0.92
2023-01-23T00:00 2023-11-01T00:00 second all 1 0.47 0.52 0.57 0.62 0.67
2023-11-01T00:00 2024-01-02T00:00 europe,rest-of-world all 1 1.26 1.31 1.35 1.4 1.45
2023-11-01T00:00 2024-06-30T23:00 first all 1 0.82 0.86 0.9 0.96 1
2023-11-01T00:00 2024-06-30T23:00 second all 1 0.54 0.59 0.63 0.68 0.73
2024-01-02T00:00 2025-02-06T00:00 europe,rest-of-world all 1 1.44 1.49 1.53 1.58 1.63
2024-06-30T23:00 2025-03-31T23:00 first all 1 0.97 1.01 1.05 1.11 1.15
2024-06-30T23:00 2025-03-31T23:00 second all 1 0.61 0.65 0.68 0.75 0.79
2025-02-06T00:00 2026-01-05T00:00 europe,rest-of-world all 1 1.56 1.61 1.66 1.71 1.76
2025-03-31T23:00 2026-01-05T00:00 economy all 1 0.59 0.64 0.68 0.73 0.78
2025-03-31T23:00 2026-04-06T23:00 first all 1 1.49 1.53 1.57 1.63 1.67
2025-03-31T23:00 2026-01-05T00:00 second all 1 0.68 0.72 0.77 0.82 0.86
2026-01-05T00:00 2026-06-30T23:00 economy all 1 0.64 0.69 0.73 0.78 0.82
2026-01-05T00:00 2026-05-02T23:00 europe,rest-of-world all 1 1.72 1.77 1.82 1.85 1.9
2026-01-05T00:00 now second all 1 0.73 0.77 0.82 0.87 0.91
2026-04-06T23:00 now first all 1 1.56 1.61 1.66 1.71 1.76
2026-05-02T23:00 now europe,rest-of-world all 1 1.8 1.84 1.88 1.92 1.96
2026-06-30T23:00 now economy all 1 0.638 0.684 0.724 0.779 0.823
"""

# Free messages in a financial year, from this year on, by type of organisation.
ALLOWANCES = {
    (2016, "sms"): {
        "central": 250000,
        "emergency_service": 25000,
        "local": 25000,
        "nhs_central": 250000,
        "nhs_gp": 25000,
        "nhs_local": 25000,
        "nhs_notify": 0,
        "other": 25000,
        "school_or_college": 25000,
    },
    (2021, "sms"): {
        "central": 150000,
        "emergency_service": 25000,
        "local": 25000,
        "nhs_central": 150000,
        "nhs_gp": 10000,
        "nhs_local": 25000,
        "other": 10000,
        "school_or_college": 10000,
    },
    (2022, "sms"): {
        "central": 40000,
        "emergency_service": 20000,
        "local": 20000,
        "nhs_central": 40000,
        "nhs_gp": 10000,
        "nhs_local": 20000,
        "other": 10000,
        "school_or_college": 10000,
    },
    (2023, "sms"): {
        "central": 40000,
        "emergency_service": 20000,
        "local": 20000,
        "nhs_central": 40000,
        "nhs_gp": 10000,
        "nhs_local": 20000,
        "other": 10000,
        "school_or_college": 10000,
    },
    (2024, "sms"): {
        "central": 30000,
        "emergency_service": 10000,
        "local": 10000,
        "nhs_central": 30000,
        "nhs_gp": 0,
        "nhs_local": 10000,
        "other": 5000,
        "school_or_college": 5000,
    },
    (2026, "sms"): {
        "central": 20000,
        "emergency_service": 10000,
        "local": 10000,
        "nhs_central": 20000,
        "nhs_gp": 0,
        "nhs_local": 10000,
        "other": 5000,
        "school_or_college": 5000,
    },
}


moment = dt.datetime.fromisoformat


def row_id(*parts: object) -> uuid.UUID:
    """An id that is the same in every database."""
    return uuid.uuid5(uuid.NAMESPACE_OID, "|".join(map(str, parts)))


def letter_rates() -> list[dict[str, object]]:
    """A row for each post class, Crown or not, and number of sheets."""
    rows: list[dict[str, object]] = []
    for line in LETTER_RATES.strip().splitlines():
        start, end, classes, whom, sheets, *rates = line.split()
        for post_class, crown, (more, rate) in itertools.product(
            classes.split(","), {"all": (True, False), "crown": (True,), "other": (False,)}[whom], enumerate(rates)
        ):
            sheet_count = int(sheets) + more
            rows.append(
                {
                    "id": row_id("letter_rates", start, post_class, crown, sheet_count),
                    "start_date": moment(start),
                    "end_date": None if end == "now" else moment(end),
                    "sheet_count": sheet_count,
                    "rate": decimal.Decimal(rate),
                    "crown": crown,
                    "post_class": post_class,
                }
            )
    return rows


def upgrade() -> None:
    op.create_table(
        "rates",
        sa.Column("valid_from", sa.DateTime(), nullable=False),
        sa.Column("rate", sa.Numeric(), nullable=False),
        sa.Column("notification_type", postgresql.ENUM(name="notification_type", create_type=False), nullable=False),
        sa.Column("id", sa.Uuid(), primary_key=True),
    )
    op.create_index("ix_rates_notification_type", "rates", ["notification_type"])
    op.bulk_insert(
        sa.table(
            "rates",
            sa.column("id", sa.Uuid()),
            sa.column("valid_from", sa.DateTime()),
            sa.column("rate", sa.Numeric()),
            sa.column("notification_type", TYPE),
        ),
        [
            {
                "id": row_id("rates", start),
                "valid_from": moment(start),
                "rate": decimal.Decimal(rate),
                "notification_type": "sms",
            }
            for start, rate in RATES.items()
        ],
    )
    op.create_table(
        "letter_rates",
        sa.Column("start_date", sa.DateTime(), nullable=False),
        sa.Column("end_date", sa.DateTime()),
        sa.Column("sheet_count", sa.Integer(), nullable=False),
        sa.Column("rate", sa.Numeric(), nullable=False),
        sa.Column("crown", sa.Boolean(), nullable=False),
        sa.Column("post_class", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), primary_key=True),
    )
    op.bulk_insert(
        sa.table(
            "letter_rates",
            sa.column("id", sa.Uuid()),
            sa.column("start_date", sa.DateTime()),
            sa.column("end_date", sa.DateTime()),
            sa.column("sheet_count", sa.Integer()),
            sa.column("rate", sa.Numeric()),
            sa.column("crown", sa.Boolean()),
            sa.column("post_class", sa.String()),
        ),
        letter_rates(),
    )
    op.create_table(
        "annual_billing",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("financial_year_start", sa.Integer(), nullable=False),
        sa.Column("free_sms_fragment_limit", sa.Integer(), nullable=False),
        sa.Column("high_volume_service_last_year", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("has_custom_allowance", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("service_id", "financial_year_start", name="uix_service_id_financial_year_start"),
    )
    op.create_index("ix_annual_billing_service_id", "annual_billing", ["service_id"])
    op.create_table(
        "default_annual_allowance",
        sa.Column("valid_from_financial_year_start", sa.Integer(), nullable=False),
        sa.Column("organisation_type", sa.String(255), sa.ForeignKey("organisation_types.name")),
        sa.Column("allowance", sa.Integer(), nullable=False),
        sa.Column("notification_type", postgresql.ENUM(name="notification_type", create_type=False), nullable=False),
        sa.Column("id", sa.Uuid(), primary_key=True),
    )
    op.create_index("ix_annual_allowance_notification_type", "default_annual_allowance", ["notification_type"])
    op.create_index(
        "ix_annual_allowance_valid_from_financial_year_start",
        "default_annual_allowance",
        ["valid_from_financial_year_start"],
    )
    op.bulk_insert(
        sa.table(
            "default_annual_allowance",
            sa.column("id", sa.Uuid()),
            sa.column("valid_from_financial_year_start", sa.Integer()),
            sa.column("organisation_type", sa.String()),
            sa.column("allowance", sa.Integer()),
            sa.column("notification_type", TYPE),
        ),
        [
            {
                "id": row_id("default_annual_allowance", year, channel, sector),
                "valid_from_financial_year_start": year,
                "organisation_type": sector,
                "allowance": allowance,
                "notification_type": channel,
            }
            for (year, channel), sectors in ALLOWANCES.items()
            for sector, allowance in sectors.items()
        ],
    )


def downgrade() -> None:
    op.drop_table("default_annual_allowance")
    op.drop_table("annual_billing")
    op.drop_table("letter_rates")
    op.drop_table("rates")
