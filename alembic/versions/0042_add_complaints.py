"""Add complaints about emails."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.create_table(
        "complaints",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("ses_feedback_id", sa.Text()),
        sa.Column("complaint_type", sa.Text()),
        sa.Column("complaint_date", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_complaints_notification_id", "complaints", ["notification_id"])
    op.create_index("ix_complaints_service_id", "complaints", ["service_id"])


def downgrade() -> None:
    op.drop_table("complaints")
