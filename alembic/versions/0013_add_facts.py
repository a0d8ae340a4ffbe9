"""Add counts of messages by day."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


# Extended statistics of columns that depend on each other: name, columns, table.
STATISTICS = """
st_dep_ft_notification_status_job_id_template_id_ntfcn_type template_id,job_id,notification_type ft_notification_status
st_dep_ft_notification_status_service_id_job_id service_id,job_id ft_notification_status
st_dep_ft_notification_status_service_id_template_id template_id,service_id ft_notification_status
st_dep_ft_billing_ntfcn_type_intnl notification_type,international ft_billing
st_dep_ft_billing_ntfcn_type_postage notification_type,postage ft_billing
st_dep_ft_billing_ntfcn_type_provider notification_type,provider ft_billing
st_dep_ft_billing_ntfcn_type_template_id template_id,notification_type ft_billing
st_dep_ft_billing_provider_postage provider,postage ft_billing
st_dep_ft_billing_service_id_template_id template_id,service_id ft_billing
"""


def upgrade() -> None:
    op.create_table(
        "ft_notification_status",
        sa.Column("bst_date", sa.Date(), primary_key=True),
        sa.Column("template_id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), primary_key=True),
        sa.Column("job_id", sa.Uuid(), primary_key=True),
        sa.Column("notification_type", sa.Text(), primary_key=True),
        sa.Column("key_type", sa.Text(), primary_key=True),
        sa.Column("notification_status", sa.Text(), primary_key=True),
        sa.Column("notification_count", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_ft_notification_status_bst_date", "ft_notification_status", ["bst_date"])
    op.create_index("ix_ft_notification_status_job_id", "ft_notification_status", ["job_id"])
    op.create_index("ix_ft_notification_status_service_id", "ft_notification_status", ["service_id"])
    op.create_index("ix_ft_notification_status_template_id", "ft_notification_status", ["template_id"])
    op.create_index(
        "ix_ft_notification_status_template_id_bst_date", "ft_notification_status", ["template_id", "bst_date"]
    )
    op.create_table(
        "ft_billing",
        sa.Column("bst_date", sa.Date(), primary_key=True),
        sa.Column("template_id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), primary_key=True),
        sa.Column("notification_type", sa.Text(), primary_key=True),
        sa.Column("provider", sa.Text(), primary_key=True),
        sa.Column("rate_multiplier", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("international", sa.Boolean(), primary_key=True),
        sa.Column("rate", sa.Numeric(), primary_key=True),
        sa.Column("postage", sa.String(), primary_key=True),
        sa.Column("billable_units", sa.Integer()),
        sa.Column("notifications_sent", sa.Integer()),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_ft_billing_bst_date", "ft_billing", ["bst_date"])
    op.create_index("ix_ft_billing_service_id", "ft_billing", ["service_id"])
    op.create_index("ix_ft_billing_template_id", "ft_billing", ["template_id"])
    for line in STATISTICS.strip().splitlines():
        name, columns, table = line.split()
        kind = "mcv" if name.startswith("st_mcv") else "dependencies"
        op.execute(f"CREATE STATISTICS {name} ({kind}) ON {columns} FROM {table}")


def downgrade() -> None:
    op.drop_table("ft_billing")
    op.drop_table("ft_notification_status")
