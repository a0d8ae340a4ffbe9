"""Add organisations, their members and their brands."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Whether organisations of the type are Crown bodies; None: varies.
CROWN = {
    "central": None,
    "emergency_service": False,
    "local": False,
    "nhs": None,
    "nhs_central": True,
    "nhs_gp": False,
    "nhs_local": False,
    "nhs_notify": False,
    "other": None,
    "school_or_college": False,
}


def upgrade() -> None:
    op.execute("CREATE TYPE organisation_permission_types AS ENUM ('can_ask_to_join_a_service')")
    op.execute("CREATE TYPE organisation_user_permission_types AS ENUM ('can_make_services_live')")
    op.create_table(
        "organisation_types",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("is_crown", sa.Boolean()),
    )
    op.bulk_insert(
        sa.table("organisation_types", sa.column("name"), sa.column("is_crown", sa.Boolean())),
        [{"name": name, "is_crown": crown} for name, crown in CROWN.items()],
    )
    op.create_table(
        "organisation",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("crown", sa.Boolean()),
        sa.Column("organisation_type", sa.String(255), sa.ForeignKey("organisation_types.name")),
        sa.Column(
            "email_branding_id", sa.Uuid(), sa.ForeignKey("email_branding.id", name="fk_organisation_email_branding_id")
        ),
        sa.Column(
            "letter_branding_id",
            sa.Uuid(),
            sa.ForeignKey("letter_branding.id", name="fk_organisation_letter_branding_id"),
        ),
        sa.Column("agreement_signed", sa.Boolean()),
        sa.Column("agreement_signed_at", sa.DateTime()),
        sa.Column(
            "agreement_signed_by_id", sa.Uuid(), sa.ForeignKey("users.id", name="fk_organisation_agreement_user_id")
        ),
        sa.Column("agreement_signed_version", sa.Double()),
        sa.Column("agreement_signed_on_behalf_of_name", sa.String(255)),
        sa.Column("agreement_signed_on_behalf_of_email_address", sa.String(255)),
        sa.Column("request_to_go_live_notes", sa.Text()),
        sa.Column("can_approve_own_go_live_requests", sa.Boolean(), nullable=False),
        sa.Column("notes", sa.Text()),
        sa.Column("purchase_order_number", sa.String(255)),
        sa.Column("billing_contact_names", sa.Text()),
        sa.Column("billing_contact_email_addresses", sa.Text()),
        sa.Column("billing_reference", sa.String(255)),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_organisation_name", "organisation", ["name"], unique=True)
    op.create_table(
        "domain",
        sa.Column("domain", sa.String(255), primary_key=True),
        sa.Column("organisation_id", sa.Uuid(), sa.ForeignKey("organisation.id"), nullable=False),
    )
    op.create_table(
        "user_to_organisation",
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("organisation_id", sa.Uuid(), sa.ForeignKey("organisation.id")),
        sa.UniqueConstraint("user_id", "organisation_id", name="uix_user_to_organisation"),
    )
    op.create_table(
        "organisation_permissions",
        sa.Column("organisation_id", sa.Uuid(), sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column(
            "permission", postgresql.ENUM(name="organisation_permission_types", create_type=False), nullable=False
        ),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("organisation_id", "permission", name="uix_organisation_permission"),
    )
    op.create_table(
        "organisation_user_permissions",
        sa.Column("organisation_id", sa.Uuid(), sa.ForeignKey("organisation.id")),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("permission", postgresql.ENUM(name="organisation_user_permission_types", create_type=False)),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("organisation_id", "user_id", "permission", name="uix_organisation_user_permission"),
    )
    op.create_index(
        "ix_organisation_user_permissions_organisation_id", "organisation_user_permissions", ["organisation_id"]
    )
    op.create_index("ix_organisation_user_permissions_permission", "organisation_user_permissions", ["permission"])
    op.create_index("ix_organisation_user_permissions_user_id", "organisation_user_permissions", ["user_id"])
    op.create_table(
        "email_branding_to_organisation",
        sa.Column("organisation_id", sa.Uuid(), sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("email_branding_id", sa.Uuid(), sa.ForeignKey("email_branding.id"), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "email_branding_id", name="uix_email_branding_to_organisation"),
    )
    op.create_table(
        "letter_branding_to_organisation",
        sa.Column("organisation_id", sa.Uuid(), sa.ForeignKey("organisation.id"), primary_key=True),
        sa.Column("letter_branding_id", sa.Uuid(), sa.ForeignKey("letter_branding.id"), primary_key=True),
    )


def downgrade() -> None:
    op.drop_table("letter_branding_to_organisation")
    op.drop_table("email_branding_to_organisation")
    op.drop_table("organisation_user_permissions")
    op.drop_table("organisation_permissions")
    op.drop_table("user_to_organisation")
    op.drop_table("domain")
    op.drop_table("organisation")
    op.drop_table("organisation_types")
    op.execute("DROP TYPE organisation_user_permission_types")
    op.execute("DROP TYPE organisation_permission_types")
