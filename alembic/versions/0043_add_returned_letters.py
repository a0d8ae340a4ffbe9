"""Add returned letters."""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.create_table(
        "returned_letters",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("reported_at", sa.Date(), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False, unique=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
    )
    op.create_index("ix_returned_letters_service_id", "returned_letters", ["service_id"])


def downgrade() -> None:
    op.drop_table("returned_letters")
