"""Add requests for reports."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.execute("CREATE TYPE report_request_report_type AS ENUM ('notifications')")
    op.execute(
        "CREATE TYPE report_request_status_type AS ENUM ('pending', 'in progress', 'stored', 'failed', 'deleted')"
    )
    op.create_table(
        "report_requests",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("report_type", postgresql.ENUM(name="report_request_report_type", create_type=False), nullable=False),
        sa.Column("status", postgresql.ENUM(name="report_request_status_type", create_type=False), nullable=False),
        sa.Column("parameter", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
    )
    op.execute(
        "CREATE STATISTICS st_dep_report_requests_service_id_user_id (dependencies)"
        " ON user_id, service_id FROM report_requests"
    )


def downgrade() -> None:
    op.drop_table("report_requests")
    op.execute("DROP TYPE report_request_status_type")
    op.execute("DROP TYPE report_request_report_type")
