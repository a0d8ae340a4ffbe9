"""Add the view of messages within and after their retention period."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

COLUMNS = (
    "id",
    "job_id",
    "job_row_number",
    "service_id",
    "template_id",
    "template_version",
    "api_key_id",
    "key_type",
    "billable_units",
    "notification_type",
    "created_at",
    "sent_at",
    "sent_by",
    "updated_at",
    "notification_status",
    "reference",
    "client_reference",
    "international",
    "phone_prefix",
    "rate_multiplier",
    "created_by_id",
    "postage",
    "document_download_count",
)


def upgrade() -> None:
    columns = ", ".join(COLUMNS)
    parts = [f"SELECT {columns} FROM {table}" for table in ("notifications", "notification_history")]
    op.execute(f"CREATE VIEW notifications_all_time_view AS {' UNION ALL '.join(parts)}")


def downgrade() -> None:
    op.execute("DROP VIEW notifications_all_time_view")
