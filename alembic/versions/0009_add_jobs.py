"""Add jobs and contact lists."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


# Extended statistics of columns that depend on each other: name, columns, table.
STATISTICS = """
st_dep_jobs_service_id_contact_list_id service_id,contact_list_id jobs
st_dep_jobs_service_id_created_by_id service_id,created_by_id jobs
st_dep_jobs_service_id_template_id service_id,template_id jobs
"""


def upgrade() -> None:
    op.create_table(
        "job_status",
        sa.Column("name", sa.String(255), primary_key=True),
    )
    op.bulk_insert(
        sa.table("job_status", sa.column("name")),
        [
            {"name": name}
            for name in [
                "cancelled",
                "error",
                "finished",
                "finished all notifications created",
                "in progress",
                "pending",
                "ready to send",
                "scheduled",
                "sending limits exceeded",
                "sent to dvla",
            ]
        ],
    )
    op.create_table(
        "service_contact_list",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("original_file_name", sa.String(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("template_type", postgresql.ENUM(name="template_type", create_type=False), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("archived", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_service_contact_list_created_by_id", "service_contact_list", ["created_by_id"])
    op.create_index("ix_service_contact_list_service_id", "service_contact_list", ["service_id"])
    op.create_table(
        "jobs",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("template_id", sa.Uuid(), sa.ForeignKey("templates.id")),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("original_file_name", sa.String(), nullable=False),
        sa.Column("contact_list_id", sa.Uuid(), sa.ForeignKey("service_contact_list.id")),
        sa.Column("created_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("job_status", sa.String(255), sa.ForeignKey("job_status.name"), nullable=False),
        sa.Column("notification_count", sa.Integer(), nullable=False),
        sa.Column("notifications_sent", sa.Integer(), nullable=False),
        sa.Column("notifications_delivered", sa.Integer(), nullable=False),
        sa.Column("notifications_failed", sa.Integer(), nullable=False),
        sa.Column("scheduled_for", sa.DateTime()),
        sa.Column("processing_started", sa.DateTime()),
        sa.Column("processing_finished", sa.DateTime()),
        sa.Column("archived", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_jobs_contact_list_id", "jobs", ["contact_list_id"])
    op.create_index("ix_jobs_created_by_id", "jobs", ["created_by_id"])
    op.create_index("ix_jobs_job_status", "jobs", ["job_status"])
    op.create_index("ix_jobs_scheduled_for", "jobs", ["scheduled_for"])
    op.create_index("ix_jobs_service_id", "jobs", ["service_id"])
    op.create_index("ix_jobs_template_id", "jobs", ["template_id"])
    for line in STATISTICS.strip().splitlines():
        name, columns, table = line.split()
        kind = "mcv" if name.startswith("st_mcv") else "dependencies"
        op.execute(f"CREATE STATISTICS {name} ({kind}) ON {columns} FROM {table}")


def downgrade() -> None:
    op.drop_table("jobs")
    op.drop_table("service_contact_list")
    op.drop_table("job_status")
