"""Add daily usage of API keys, and when they were last used."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_key_usage_daily",
        sa.Column("api_key_id", sa.Uuid(), sa.ForeignKey("api_keys.id"), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("requests", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("succeeded", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("failed", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("rate_limited", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("total_ms", sa.Double(), nullable=False, server_default=sa.text("0")),
        sa.Column("notifications", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("units", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("cost", sa.Numeric(), nullable=False, server_default=sa.text("0")),
    )
    op.add_column("api_key_lifetimes", sa.Column("last_used_at", sa.DateTime()))


def downgrade() -> None:
    op.drop_column("api_key_lifetimes", "last_used_at")
    op.drop_table("api_key_usage_daily")
