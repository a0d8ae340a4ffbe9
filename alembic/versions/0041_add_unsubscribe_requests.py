"""Add requests to unsubscribe from emails."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.create_table(
        "unsubscribe_request_report",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("earliest_timestamp", sa.DateTime(), nullable=False),
        sa.Column("latest_timestamp", sa.DateTime(), nullable=False),
        sa.Column("processed_by_service_at", sa.DateTime()),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "unsubscribe_request",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("email_address", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("unsubscribe_request_report_id", sa.Uuid(), sa.ForeignKey("unsubscribe_request_report.id")),
        sa.ForeignKeyConstraint(
            ["template_id", "template_version"], ["templates_history.id", "templates_history.version"]
        ),
    )
    op.create_index("ix_unsubscribe_request_notification_id", "unsubscribe_request", ["notification_id"])
    op.create_index(
        "ix_unsubscribe_request_unsubscribe_request_report_id", "unsubscribe_request", ["unsubscribe_request_report_id"]
    )
    op.execute(
        "CREATE STATISTICS st_dep_unsub_req_service_id_tpt_id_ntfcn_id (dependencies)"
        " ON notification_id, service_id, template_id FROM unsubscribe_request"
    )
    op.execute(
        "CREATE STATISTICS st_dep_unsub_req_service_id_unsub_req_rpt_id (dependencies)"
        " ON service_id, unsubscribe_request_report_id FROM unsubscribe_request"
    )
    op.create_table(
        "unsubscribe_request_history",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("unsubscribe_request_report_id", sa.Uuid()),
    )
    op.create_index(
        "ix_unsubscribe_request_history_notification_id", "unsubscribe_request_history", ["notification_id"]
    )
    op.execute(
        "CREATE STATISTICS st_dep_unsub_req_history_service_id_tpt_id_ntfcn_id (dependencies)"
        " ON notification_id, service_id, template_id FROM unsubscribe_request_history"
    )
    op.execute(
        "CREATE STATISTICS st_dep_unsub_req_history_service_id_unsub_req_rpt_id (dependencies)"
        " ON service_id, unsubscribe_request_report_id FROM unsubscribe_request_history"
    )


def downgrade() -> None:
    op.drop_table("unsubscribe_request_history")
    op.drop_table("unsubscribe_request")
    op.drop_table("unsubscribe_request_report")
