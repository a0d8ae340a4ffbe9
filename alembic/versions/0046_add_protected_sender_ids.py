"""Add protected sender names."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.create_table(
        "protected_sender_ids",
        sa.Column("sender_id", sa.String(255), primary_key=True),
    )


def downgrade() -> None:
    op.drop_table("protected_sender_ids")
