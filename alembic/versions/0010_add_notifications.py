"""Add messages, within and after their retention period."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


# Extended statistics of columns that depend on each other: name, columns, table.
STATISTICS = """
st_dep_notifications_job_id_template_id_notification_type job_id,template_id,notification_type notifications
st_dep_notifications_ntfcn_type_doc_dl notification_type,document_download_count notifications
st_dep_notifications_ntfcn_type_intnl notification_type,international notifications
st_dep_notifications_ntfcn_type_phone_prefix notification_type,phone_prefix notifications
st_dep_notifications_ntfcn_type_postage notification_type,postage notifications
st_dep_notifications_ntfcn_type_sent_by sent_by,notification_type notifications
st_dep_notifications_phone_prefix_intnl international,phone_prefix notifications
st_dep_notifications_sent_by_postage sent_by,postage notifications
st_dep_notifications_service_id_api_key_id service_id,api_key_id notifications
st_dep_notifications_service_id_cby_id service_id,created_by_id notifications
st_dep_notifications_service_id_job_id job_id,service_id notifications
st_dep_notifications_service_id_template_id service_id,template_id notifications
st_mcv_notifications_notification_type_status notification_type,notification_status notifications
st_mcv_notifications_service_id_key_type service_id,key_type notifications
st_mcv_notifications_service_id_notification_type service_id,notification_type notifications
st_dep_notification_history_job_id_tpt_id_ntfcn_type job_id,template_id,notification_type notification_history
st_dep_notification_history_ntfcn_type_doc_dl notification_type,document_download_count notification_history
st_dep_notification_history_ntfcn_type_intnl notification_type,international notification_history
st_dep_notification_history_ntfcn_type_phone_prefix notification_type,phone_prefix notification_history
st_dep_notification_history_ntfcn_type_postage notification_type,postage notification_history
st_dep_notification_history_ntfcn_type_sent_by notification_type,sent_by notification_history
st_dep_notification_history_phone_prefix_intnl international,phone_prefix notification_history
st_dep_notification_history_sent_by_postage sent_by,postage notification_history
st_dep_notification_history_service_id_api_key_id service_id,api_key_id notification_history
st_dep_notification_history_service_id_cby_id service_id,created_by_id notification_history
st_dep_notification_history_service_id_job_id job_id,service_id notification_history
st_dep_notification_history_service_id_tpt_id service_id,template_id notification_history
st_mcv_notification_history_ntfcn_type_status notification_type,notification_status notification_history
st_mcv_notification_history_service_id_key_type service_id,key_type notification_history
st_mcv_notification_history_service_id_ntfcn_type service_id,notification_type notification_history
"""


def upgrade() -> None:
    # Other programs may use it, so it stays after a downgrade.
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table(
        "notification_status_types",
        sa.Column("name", sa.String(), primary_key=True),
    )
    op.bulk_insert(
        sa.table("notification_status_types", sa.column("name")),
        [
            {"name": name}
            for name in [
                "cancelled",
                "created",
                "delivered",
                "failed",
                "pending",
                "pending-virus-check",
                "permanent-failure",
                "returned-letter",
                "sending",
                "sent",
                "technical-failure",
                "temporary-failure",
                "validation-failed",
                "virus-scan-failed",
            ]
        ],
    )
    op.create_table(
        "notifications",
        sa.Column("to", sa.String(), nullable=False),
        sa.Column("normalised_to", sa.String()),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id")),
        sa.Column("template_id", sa.Uuid()),
        sa.Column("job_id", sa.Uuid(), sa.ForeignKey("jobs.id")),
        sa.Column("api_key_id", sa.Uuid(), sa.ForeignKey("api_keys.id")),
        sa.Column("created_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("key_type", sa.String(255), sa.ForeignKey("key_types.name"), nullable=False),
        sa.Column(
            "notification_status",
            sa.Text(),
            sa.ForeignKey("notification_status_types.name", name="fk_notifications_notification_status"),
            nullable=False,
        ),
        sa.Column("client_reference", sa.String()),
        sa.Column("_personalisation", sa.String()),
        sa.Column("reply_to_text", sa.String()),
        sa.Column("unsubscribe_link", sa.String()),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("job_row_number", sa.Integer()),
        sa.Column("notification_type", postgresql.ENUM(name="notification_type", create_type=False), nullable=False),
        sa.Column("sent_at", sa.DateTime()),
        sa.Column("sent_by", sa.String()),
        sa.Column("billable_units", sa.Integer(), nullable=False),
        sa.Column("international", sa.Boolean()),
        sa.Column("phone_prefix", sa.String()),
        sa.Column("rate_multiplier", sa.Numeric()),
        sa.Column("postage", sa.String()),
        sa.Column("document_download_count", sa.Integer()),
        sa.Column("reference", sa.String()),
        sa.ForeignKeyConstraint(
            ["template_id", "template_version"],
            ["templates_history.id", "templates_history.version"],
            name="notifications_templates_history_fkey",
        ),
        sa.UniqueConstraint("job_id", "job_row_number", name="uq_notifications_job_row_number"),
        sa.CheckConstraint("notification_status IS NOT NULL", name="ck_notifications_notification_status_not_null"),
        sa.CheckConstraint(
            "notification_type = 'email' OR unsubscribe_link IS NULL",
            name="ck_unsubscribe_link_is_null_if_notification_not_an_email",
        ),
    )
    op.create_index("ix_notifications_client_reference", "notifications", ["client_reference"])
    op.create_index(
        "ix_notifications_client_reference_trgm",
        "notifications",
        ["client_reference"],
        postgresql_using="gin",
        postgresql_ops={"client_reference": "gin_trgm_ops"},
    )
    op.create_index("ix_notifications_created_at", "notifications", ["created_at"])
    op.create_index("ix_notifications_id_status", "notifications", ["id", "notification_status"], unique=True)
    op.create_index("ix_notifications_job_id", "notifications", ["job_id"])
    op.create_index(
        "ix_notifications_nondelivered_service_id_composite",
        "notifications",
        ["service_id", "notification_type", "created_at"],
        postgresql_where=sa.text("notification_status <> 'delivered'"),
    )
    op.create_index(
        "ix_notifications_normalised_to_trgm",
        "notifications",
        ["normalised_to"],
        postgresql_using="gin",
        postgresql_ops={"normalised_to": "gin_trgm_ops"},
    )
    op.create_index(
        "ix_notifications_notification_type_composite",
        "notifications",
        ["notification_type", "notification_status", "created_at"],
    )
    op.create_index("ix_notifications_reference", "notifications", ["reference"])
    op.create_index("ix_notifications_service_created_at", "notifications", ["service_id", "created_at"])
    op.create_index(
        "ix_notifications_service_id_ntype_created_at",
        "notifications",
        ["service_id", "notification_type", "created_at"],
    )
    op.create_index("ix_notifications_template_id", "notifications", ["template_id"])
    op.create_table(
        "notification_history",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id")),
        sa.Column("template_id", sa.Uuid()),
        sa.Column("job_id", sa.Uuid(), sa.ForeignKey("jobs.id")),
        sa.Column("api_key_id", sa.Uuid(), sa.ForeignKey("api_keys.id")),
        sa.Column("created_by_id", sa.Uuid()),
        sa.Column("key_type", sa.String(), sa.ForeignKey("key_types.name"), nullable=False),
        sa.Column(
            "notification_status",
            sa.Text(),
            sa.ForeignKey("notification_status_types.name", name="fk_notification_history_notification_status"),
        ),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("job_row_number", sa.Integer()),
        sa.Column("notification_type", postgresql.ENUM(name="notification_type", create_type=False), nullable=False),
        sa.Column("sent_at", sa.DateTime()),
        sa.Column("sent_by", sa.String()),
        sa.Column("billable_units", sa.Integer(), nullable=False),
        sa.Column("client_reference", sa.String()),
        sa.Column("international", sa.Boolean()),
        sa.Column("phone_prefix", sa.String()),
        sa.Column("rate_multiplier", sa.Numeric()),
        sa.Column("postage", sa.String()),
        sa.Column("document_download_count", sa.Integer()),
        sa.Column("reference", sa.String()),
        sa.ForeignKeyConstraint(
            ["template_id", "template_version"],
            ["templates_history.id", "templates_history.version"],
            name="notification_history_templates_history_fkey",
        ),
    )
    op.create_index("ix_notification_history_created_at", "notification_history", ["created_at"])
    op.create_index("ix_notification_history_job_id", "notification_history", ["job_id"])
    op.create_index("ix_notification_history_reference", "notification_history", ["reference"])
    op.create_index("ix_notification_history_service_id", "notification_history", ["service_id"])
    op.create_index(
        "ix_notification_history_service_id_composite",
        "notification_history",
        ["service_id", "key_type", "notification_type", "created_at"],
    )
    for line in STATISTICS.strip().splitlines():
        name, columns, table = line.split()
        kind = "mcv" if name.startswith("st_mcv") else "dependencies"
        op.execute(f"CREATE STATISTICS {name} ({kind}) ON {columns} FROM {table}")


def downgrade() -> None:
    op.drop_table("notification_history")
    op.drop_table("notifications")
    op.drop_table("notification_status_types")
