"""Add despatches of letters and their costs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.execute("CREATE TYPE letter_despatch_cost_threshold AS ENUM ('sorted', 'unsorted')")
    op.create_table(
        "notifications_letter_despatch",
        sa.Column("notification_id", sa.Uuid(), primary_key=True),
        sa.Column("despatched_on", sa.Date()),
        sa.Column(
            "cost_threshold", postgresql.ENUM(name="letter_despatch_cost_threshold", create_type=False), nullable=False
        ),
    )
    op.create_index(
        "ix_notifications_letter_despatch_despatched_on", "notifications_letter_despatch", ["despatched_on"]
    )
    op.create_table(
        "ft_billing_letter_despatch",
        sa.Column("bst_date", sa.Date(), nullable=False),
        sa.Column("postage", sa.String(), nullable=False),
        sa.Column(
            "cost_threshold", postgresql.ENUM(name="letter_despatch_cost_threshold", create_type=False), nullable=False
        ),
        sa.Column("rate", sa.Numeric(), nullable=False),
        sa.Column("billable_units", sa.Integer(), nullable=False),
        sa.Column("notifications_sent", sa.Integer()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.PrimaryKeyConstraint("bst_date", "postage", "rate", "billable_units", "cost_threshold"),
    )


def downgrade() -> None:
    op.drop_table("ft_billing_letter_despatch")
    op.drop_table("notifications_letter_despatch")
    op.execute("DROP TYPE letter_despatch_cost_threshold")
