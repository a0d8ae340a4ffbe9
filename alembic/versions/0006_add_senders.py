"""Add senders of messages."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "inbound_numbers",
        sa.Column("number", sa.String(11), nullable=False, unique=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id")),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_inbound_numbers_service_id", "inbound_numbers", ["service_id"], unique=True)
    op.create_table(
        "service_sms_senders",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("sms_sender", sa.String(11), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("inbound_number_id", sa.Uuid(), sa.ForeignKey("inbound_numbers.id")),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index(
        "ix_service_sms_senders_inbound_number_id", "service_sms_senders", ["inbound_number_id"], unique=True
    )
    op.create_index("ix_service_sms_senders_service_id", "service_sms_senders", ["service_id"])
    op.create_table(
        "service_email_reply_to",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("email_address", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_service_email_reply_to_service_id", "service_email_reply_to", ["service_id"])
    op.create_table(
        "service_letter_contacts",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("contact_block", sa.Text(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_service_letter_contacts_service_id", "service_letter_contacts", ["service_id"])


def downgrade() -> None:
    op.drop_table("service_letter_contacts")
    op.drop_table("service_email_reply_to")
    op.drop_table("service_sms_senders")
    op.drop_table("inbound_numbers")
