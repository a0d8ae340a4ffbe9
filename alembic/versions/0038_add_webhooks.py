"""Add webhooks."""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.create_table(
        "service_callback_type",
        sa.Column("name", sa.String(), primary_key=True),
    )
    op.bulk_insert(
        sa.table("service_callback_type", sa.column("name")),
        [{"name": name} for name in ["complaint", "delivery_status", "inbound_sms", "returned_letter"]],
    )
    op.create_table(
        "service_callback_api",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("bearer_token", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("updated_by_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "callback_type",
            sa.String(),
            sa.ForeignKey("service_callback_type.name", name="service_callback_api_type_fk"),
        ),
        sa.UniqueConstraint("service_id", "callback_type", name="uix_service_callback_type"),
    )
    op.create_index("ix_service_callback_api_service_id", "service_callback_api", ["service_id"])
    op.create_index("ix_service_callback_api_updated_by_id", "service_callback_api", ["updated_by_id"])
    op.create_table(
        "service_callback_api_history",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("bearer_token", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("updated_by_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("callback_type", sa.String()),
    )
    op.create_index("ix_service_callback_api_history_service_id", "service_callback_api_history", ["service_id"])
    op.create_index("ix_service_callback_api_history_updated_by_id", "service_callback_api_history", ["updated_by_id"])


def downgrade() -> None:
    op.drop_table("service_callback_api_history")
    op.drop_table("service_callback_api")
    op.drop_table("service_callback_type")
