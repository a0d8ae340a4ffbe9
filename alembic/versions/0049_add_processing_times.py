"""Add processing times of messages by day."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.create_table(
        "ft_processing_time",
        sa.Column("bst_date", sa.Date(), primary_key=True),
        sa.Column("messages_total", sa.Integer(), nullable=False),
        sa.Column("messages_within_10_secs", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
    )
    op.create_index("ix_ft_processing_time_bst_date", "ft_processing_time", ["bst_date"])


def downgrade() -> None:
    op.drop_table("ft_processing_time")
