"""Add received text messages."""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.create_table(
        "inbound_sms",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("notify_number", sa.String(), nullable=False),
        sa.Column("user_number", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("provider_date", sa.DateTime()),
        sa.Column("provider_reference", sa.String()),
        sa.Column("provider", sa.String(), nullable=False),
    )
    op.create_index("ix_inbound_sms_service_id", "inbound_sms", ["service_id"])
    op.create_index("ix_inbound_sms_user_number", "inbound_sms", ["user_number"])
    op.execute(
        "CREATE STATISTICS st_dep_inb_sms_service_id_ntfy_num_provider (dependencies)"
        " ON service_id, notify_number, provider FROM inbound_sms"
    )
    op.create_table(
        "inbound_sms_history",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id")),
        sa.Column("notify_number", sa.String(), nullable=False),
        sa.Column("provider_date", sa.DateTime()),
        sa.Column("provider_reference", sa.String()),
        sa.Column("provider", sa.String(), nullable=False),
    )
    op.create_index("ix_inbound_sms_history_service_id", "inbound_sms_history", ["service_id"])
    op.execute(
        "CREATE STATISTICS st_dep_inb_sms_hist_service_id_ntfy_num_provider (dependencies)"
        " ON service_id, notify_number, provider FROM inbound_sms_history"
    )


def downgrade() -> None:
    op.drop_table("inbound_sms_history")
    op.drop_table("inbound_sms")
