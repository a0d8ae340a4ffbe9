"""Add providers."""

import uuid

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None
of_notify = True

# Id, name, identifier, channel, priority, whether international.
PROVIDERS = (
    ("da7a4d7a-a220-46a3-8a1f-3548eeb49146", "AWS SES", "ses", "email", 10, False),
    ("af4c563c-944f-40a1-8941-d60b16780d90", "DVLA", "dvla", "letter", 50, False),
    ("078aef43-72a6-470a-95b0-2ffd4b6d01ab", "MMG", "mmg", "sms", 10, True),
    ("263fc829-441d-40af-b8be-26b4702d982a", "Firetext", "firetext", "sms", 20, False),
)


def upgrade() -> None:
    op.create_table(
        "provider_details",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("identifier", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("notification_type", postgresql.ENUM(name="notification_type", create_type=False), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("supports_international", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("reason", sa.String()),
    )
    op.create_index("ix_provider_details_created_by_id", "provider_details", ["created_by_id"])
    op.create_table(
        "provider_details_history",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("identifier", sa.String(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("notification_type", postgresql.ENUM(name="notification_type", create_type=False), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("supports_international", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("reason", sa.String()),
    )
    op.create_index("ix_provider_details_history_created_by_id", "provider_details_history", ["created_by_id"])
    for table in ("provider_details", "provider_details_history"):
        op.bulk_insert(
            sa.table(
                table,
                sa.column("id", sa.Uuid()),
                sa.column("display_name"),
                sa.column("identifier"),
                sa.column("notification_type", postgresql.ENUM(name="notification_type", create_type=False)),
                sa.column("priority", sa.Integer()),
                sa.column("active", sa.Boolean()),
                sa.column("version", sa.Integer()),
                sa.column("supports_international", sa.Boolean()),
            ),
            [
                {
                    "id": uuid.UUID(provider),
                    "display_name": name,
                    "identifier": identifier,
                    "notification_type": channel,
                    "priority": priority,
                    "active": True,
                    "version": 1,
                    "supports_international": abroad,
                }
                for provider, name, identifier, channel, priority, abroad in PROVIDERS
            ],
        )


def downgrade() -> None:
    op.drop_table("provider_details_history")
    op.drop_table("provider_details")
