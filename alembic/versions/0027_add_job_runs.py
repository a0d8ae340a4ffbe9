"""Add progress of jobs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_runs",
        sa.Column("job_id", sa.Uuid(), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("api_key_id", sa.Uuid(), sa.ForeignKey("api_keys.id")),
        sa.Column("error_policy", sa.Text(), nullable=False, server_default="all_or_nothing"),
        sa.Column("reply_to_text", sa.Text()),
        sa.Column("next_row", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("fence", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("lease_owner", sa.Uuid()),
        sa.Column("lease_until", sa.DateTime()),
        sa.Column(
            "bad_rows", postgresql.ARRAY(sa.Integer()), nullable=False, server_default=sa.text("'{}'::integer[]")
        ),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint("error_policy IN ('all_or_nothing', 'skip_bad_rows')", name="ck_job_runs_error_policy"),
        sa.CheckConstraint("next_row >= 0", name="ck_job_runs_next_row"),
    )
    op.create_index("ix_job_runs_api_key_id", "job_runs", ["api_key_id"])


def downgrade() -> None:
    op.drop_table("job_runs")
