"""Add files of email templates."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.create_table(
        "template_email_files",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("link_text", sa.Text()),
        sa.Column("retention_period", sa.Integer(), nullable=False),
        sa.Column("validate_users_email", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("archived_at", sa.DateTime()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("template_id", sa.Uuid(), sa.ForeignKey("templates.id"), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("archived_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("pending", sa.Boolean(), server_default=sa.text("false")),
    )
    op.create_index("ix_template_email_files_archived_by_id", "template_email_files", ["archived_by_id"])
    op.create_index("ix_template_email_files_created_by_id", "template_email_files", ["created_by_id"])
    op.create_index("ix_template_email_files_template_id", "template_email_files", ["template_id"])
    op.create_index("ix_template_email_files_template_version", "template_email_files", ["template_version"])
    op.create_table(
        "template_email_files_history",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("link_text", sa.Text()),
        sa.Column("retention_period", sa.Integer(), nullable=False),
        sa.Column("validate_users_email", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("archived_at", sa.DateTime()),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("template_id", sa.Uuid(), sa.ForeignKey("templates.id"), nullable=False),
        sa.Column("template_version", sa.Integer(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("archived_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("pending", sa.Boolean(), server_default=sa.text("false")),
    )
    op.create_index(
        "ix_template_email_files_history_archived_by_id", "template_email_files_history", ["archived_by_id"]
    )
    op.create_index("ix_template_email_files_history_created_by_id", "template_email_files_history", ["created_by_id"])
    op.create_index("ix_template_email_files_history_template_id", "template_email_files_history", ["template_id"])
    op.create_index(
        "ix_template_email_files_history_template_version", "template_email_files_history", ["template_version"]
    )


def downgrade() -> None:
    op.drop_table("template_email_files_history")
    op.drop_table("template_email_files")
