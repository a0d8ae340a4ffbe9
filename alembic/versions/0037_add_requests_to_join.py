"""Add requests to join a service."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.execute("CREATE TYPE service_join_requests_status_type AS ENUM ('pending', 'approved', 'rejected', 'cancelled')")
    op.create_table(
        "service_join_requests",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("requester_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False, server_default=sa.text("now()")),
        sa.Column(
            "status",
            postgresql.ENUM(name="service_join_requests_status_type", create_type=False),
            nullable=False,
            server_default="pending",
        ),
        sa.Column("status_changed_at", sa.DateTime()),
        sa.Column("status_changed_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("reason", sa.Text()),
    )
    op.create_table(
        "service_join_request_contacted_users",
        sa.Column(
            "service_join_request_id",
            sa.Uuid(),
            sa.ForeignKey(
                "service_join_requests.id", name="service_join_request_contacted_use_service_join_request_id_fkey"
            ),
            primary_key=True,
        ),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), primary_key=True),
    )


def downgrade() -> None:
    op.drop_table("service_join_request_contacted_users")
    op.drop_table("service_join_requests")
    op.execute("DROP TYPE service_join_requests_status_type")
