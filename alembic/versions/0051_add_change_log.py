"""Add the log of administrative changes, to which rows are only added."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "change_log",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("occurred_at", sa.DateTime(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid()),
        sa.Column("organisation_id", sa.Uuid()),
        sa.Column("before", JSONB()),
        sa.Column("after", JSONB()),
        sa.Column("actor_user_id", sa.Uuid()),
        sa.Column("actor_api_key_id", sa.Uuid()),
        sa.Column("request_id", sa.Text()),
        sa.CheckConstraint("operation IN ('insert', 'update', 'delete')", name="ck_change_log_operation"),
    )
    op.create_index("ix_change_log_occurred_at_id", "change_log", ["occurred_at", "id"])
    op.create_index("ix_change_log_row_id_occurred_at_id", "change_log", ["row_id", "occurred_at", "id"])
    for owner in ("service_id", "organisation_id"):
        op.create_index(
            f"ix_change_log_{owner}_occurred_at_id",
            "change_log",
            [owner, "occurred_at", "id"],
            postgresql_where=sa.text(f"{owner} IS NOT NULL"),
        )
    op.execute(
        """
        CREATE FUNCTION keep_change_log() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'change_log is only ever added to' USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER keep_change_log BEFORE UPDATE OR DELETE OR TRUNCATE ON change_log
        FOR EACH STATEMENT EXECUTE FUNCTION keep_change_log()
        """
    )


def downgrade() -> None:
    # Tables that Notify created may still have triggers.
    op.execute("DROP FUNCTION IF EXISTS log_change() CASCADE")
    op.drop_table("change_log")
    op.execute("DROP FUNCTION keep_change_log()")
