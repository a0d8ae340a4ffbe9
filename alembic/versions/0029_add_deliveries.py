"""Add deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("notification_id", sa.Uuid(), primary_key=True),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("lease_owner", sa.Uuid()),
        sa.Column("lease_until", sa.DateTime()),
        sa.Column("next_attempt_at", sa.DateTime()),
        sa.Column("last_error", sa.Text()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint("attempts >= 0", name="ck_deliveries_attempts"),
    )
    op.create_index(
        "ix_deliveries_lease_until", "deliveries", ["lease_until"], postgresql_where=sa.text("lease_until IS NOT NULL")
    )
    op.create_index("ix_deliveries_next_attempt_at_created_at", "deliveries", ["next_attempt_at", "created_at"])


def downgrade() -> None:
    op.drop_table("deliveries")
