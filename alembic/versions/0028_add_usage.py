"""Add usage of limits."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "daily_usage",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.CheckConstraint("count >= 0", name="ck_daily_usage_count"),
        sa.CheckConstraint("kind IN ('email', 'sms', 'letter', 'international_sms')", name="ck_daily_usage_kind"),
    )
    op.create_table(
        "rate_buckets",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), primary_key=True),
        sa.Column("key_type", sa.String(255), sa.ForeignKey("key_types.name"), primary_key=True),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("refilled_at", sa.DateTime(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("rate_buckets")
    op.drop_table("daily_usage")
