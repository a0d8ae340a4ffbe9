"""Add measurements of the system by minute, and counts of rows by night."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "health_snapshots",
        sa.Column("taken_at", sa.DateTime(), primary_key=True),
        sa.Column("database_ok", sa.Boolean(), nullable=False),
        sa.Column("connections_in_use", sa.Integer(), nullable=False),
        sa.Column("connections_total", sa.Integer(), nullable=False),
        sa.Column("latency_ms", sa.Double()),
        sa.Column("queues", JSONB(), nullable=False),
        sa.Column("providers", JSONB(), nullable=False),
        sa.Column("cpu_fraction", sa.Double()),
        sa.Column("memory_bytes", sa.BigInteger()),
    )
    op.create_table(
        "table_count_snapshots",
        sa.Column("table_name", sa.Text(), primary_key=True),
        sa.Column("taken_at", sa.DateTime(), primary_key=True),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("table_count_snapshots")
    op.drop_table("health_snapshots")
