"""Add indexes for the orders of pages."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_api_keys_service_id_created_at_id", "api_keys", ["service_id", "created_at", "id"])
    op.create_index("ix_organisation_created_at_id", "organisation", ["created_at", "id"])
    op.create_index(
        "ix_service_contact_list_service_id_created_at_id", "service_contact_list", ["service_id", "created_at", "id"]
    )
    op.create_index("ix_services_created_at_id", "services", ["created_at", "id"])
    op.create_index("ix_services_go_live_at_id", "services", ["go_live_at", "id"])
    op.create_index("ix_services_organisation_id_created_at_id", "services", ["organisation_id", "created_at", "id"])
    op.create_index("ix_services_organisation_id_go_live_at_id", "services", ["organisation_id", "go_live_at", "id"])
    op.create_index("ix_services_organisation_id_name", "services", ["organisation_id", "name"])
    op.create_index("ix_templates_service_id_created_at_id", "templates", ["service_id", "created_at", "id"])
    op.create_index(
        "ix_templates_service_id_name_template_type_id", "templates", ["service_id", "name", "template_type", "id"]
    )
    op.create_index("ix_templates_service_id_updated_at_id", "templates", ["service_id", "updated_at", "id"])
    op.create_index("ix_user_to_service_service_id_user_id", "user_to_service", ["service_id", "user_id"])
    op.create_index("ix_users_created_at_id", "users", ["created_at", "id"])
    op.create_index("ix_users_name_id", "users", ["name", "id"])


def downgrade() -> None:
    op.drop_index("ix_users_name_id", "users")
    op.drop_index("ix_users_created_at_id", "users")
    op.drop_index("ix_user_to_service_service_id_user_id", "user_to_service")
    op.drop_index("ix_templates_service_id_updated_at_id", "templates")
    op.drop_index("ix_templates_service_id_name_template_type_id", "templates")
    op.drop_index("ix_templates_service_id_created_at_id", "templates")
    op.drop_index("ix_services_organisation_id_name", "services")
    op.drop_index("ix_services_organisation_id_go_live_at_id", "services")
    op.drop_index("ix_services_organisation_id_created_at_id", "services")
    op.drop_index("ix_services_go_live_at_id", "services")
    op.drop_index("ix_services_created_at_id", "services")
    op.drop_index("ix_service_contact_list_service_id_created_at_id", "service_contact_list")
    op.drop_index("ix_organisation_created_at_id", "organisation")
    op.drop_index("ix_api_keys_service_id_created_at_id", "api_keys")
