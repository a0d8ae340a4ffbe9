"""Add services, their history, features and limits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE recipient_type AS ENUM ('mobile', 'email')")
    op.execute("CREATE TYPE notification_type AS ENUM ('email', 'sms', 'letter')")
    op.create_table(
        "service_permission_types",
        sa.Column("name", sa.String(255), primary_key=True),
    )
    op.bulk_insert(
        sa.table("service_permission_types", sa.column("name")),
        [
            {"name": name}
            for name in [
                "edit_folder_permissions",
                "email",
                "email_auth",
                "inbound_sms",
                "international_letters",
                "international_sms",
                "letter",
                "sms",
                "sms_to_uk_landlines",
            ]
        ],
    )
    op.create_table(
        "services",
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("normalised_service_name", sa.String(), nullable=False, unique=True),
        sa.Column(
            "created_by_id", sa.Uuid(), sa.ForeignKey("users.id", name="fk_services_created_by_id"), nullable=False
        ),
        sa.Column("organisation_id", sa.Uuid(), sa.ForeignKey("organisation.id", name="fk_service_organisation")),
        sa.Column("organisation_type", sa.String(255), sa.ForeignKey("organisation_types.name")),
        sa.Column("go_live_user_id", sa.Uuid(), sa.ForeignKey("users.id", name="fk_services_go_live_user")),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("crown", sa.Boolean()),
        sa.Column("count_as_live", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("go_live_at", sa.DateTime()),
        sa.Column("has_active_go_live_request", sa.Boolean(), nullable=False),
        sa.Column("rate_limit", sa.Integer(), nullable=False),
        sa.Column("email_message_limit", sa.BigInteger(), nullable=False),
        sa.Column("sms_message_limit", sa.BigInteger(), nullable=False),
        sa.Column("letter_message_limit", sa.BigInteger(), nullable=False),
        sa.Column(
            "international_sms_message_limit",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("'250000'::bigint"),
        ),
        sa.Column("prefix_sms", sa.Boolean(), nullable=False),
        sa.Column("email_sender_local_part", sa.String(255), nullable=False),
        sa.Column("custom_email_sender_name", sa.String(255)),
        sa.Column("confirmed_email_sender_name", sa.Boolean()),
        sa.Column("confirmed_unique", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("contact_link", sa.String(255)),
        sa.Column("consent_to_research", sa.Boolean()),
        sa.Column("volume_email", sa.Integer()),
        sa.Column("volume_letter", sa.Integer()),
        sa.Column("volume_sms", sa.Integer()),
        sa.Column("notes", sa.Text()),
        sa.Column("purchase_order_number", sa.String(255)),
        sa.Column("billing_contact_names", sa.Text()),
        sa.Column("billing_contact_email_addresses", sa.Text()),
        sa.Column("billing_reference", sa.String(255)),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_services_created_by_id", "services", ["created_by_id"])
    op.create_index("ix_services_organisation_id", "services", ["organisation_id"])
    op.create_table(
        "services_history",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("normalised_service_name", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid()),
        sa.Column("organisation_type", sa.String(255)),
        sa.Column("crown", sa.Boolean()),
        sa.Column("count_as_live", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("go_live_at", sa.DateTime()),
        sa.Column("go_live_user_id", sa.Uuid()),
        sa.Column("has_active_go_live_request", sa.Boolean(), nullable=False),
        sa.Column("rate_limit", sa.Integer(), nullable=False),
        sa.Column("email_message_limit", sa.BigInteger(), nullable=False),
        sa.Column("sms_message_limit", sa.BigInteger(), nullable=False),
        sa.Column("letter_message_limit", sa.BigInteger(), nullable=False),
        sa.Column(
            "international_sms_message_limit",
            sa.BigInteger(),
            nullable=False,
            server_default=sa.text("'250000'::bigint"),
        ),
        sa.Column("prefix_sms", sa.Boolean(), nullable=False),
        sa.Column("email_sender_local_part", sa.String(255), nullable=False),
        sa.Column("custom_email_sender_name", sa.String(255)),
        sa.Column("confirmed_email_sender_name", sa.Boolean()),
        sa.Column("confirmed_unique", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("contact_link", sa.String(255)),
        sa.Column("consent_to_research", sa.Boolean()),
        sa.Column("volume_email", sa.Integer()),
        sa.Column("volume_letter", sa.Integer()),
        sa.Column("volume_sms", sa.Integer()),
        sa.Column("notes", sa.Text()),
        sa.Column("purchase_order_number", sa.String(255)),
        sa.Column("billing_contact_names", sa.Text()),
        sa.Column("billing_contact_email_addresses", sa.Text()),
        sa.Column("billing_reference", sa.String(255)),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "service_permissions",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), primary_key=True),
        sa.Column("permission", sa.String(255), sa.ForeignKey("service_permission_types.name"), primary_key=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_service_permissions_permission", "service_permissions", ["permission"])
    op.create_index("ix_service_permissions_service_id", "service_permissions", ["service_id"])
    op.create_table(
        "service_whitelist",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("recipient_type", postgresql.ENUM(name="recipient_type", create_type=False), nullable=False),
        sa.Column("recipient", sa.String(255), nullable=False),
        sa.Column("created_at", sa.DateTime()),
        sa.Column("id", sa.Uuid(), primary_key=True),
    )
    op.create_index("ix_service_whitelist_service_id", "service_whitelist", ["service_id"])
    op.create_table(
        "service_data_retention",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("notification_type", postgresql.ENUM(name="notification_type", create_type=False), nullable=False),
        sa.Column("days_of_retention", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("service_id", "notification_type", name="uix_service_data_retention"),
    )
    op.create_index("ix_service_data_retention_service_id", "service_data_retention", ["service_id"])
    op.create_table(
        "service_email_branding",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("email_branding_id", sa.Uuid(), sa.ForeignKey("email_branding.id"), nullable=False),
        sa.PrimaryKeyConstraint("service_id", name="uix_service_email_branding_one_per_service"),
    )
    op.create_table(
        "service_letter_branding",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), primary_key=True),
        sa.Column("letter_branding_id", sa.Uuid(), sa.ForeignKey("letter_branding.id"), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("service_letter_branding")
    op.drop_table("service_email_branding")
    op.drop_table("service_data_retention")
    op.drop_table("service_whitelist")
    op.drop_table("service_permissions")
    op.drop_table("services_history")
    op.drop_table("services")
    op.drop_table("service_permission_types")
    op.execute("DROP TYPE notification_type")
    op.execute("DROP TYPE recipient_type")
