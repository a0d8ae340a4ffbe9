"""Add members of services and their permissions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


# Extended statistics of columns that depend on each other: name, columns, table.
STATISTICS = """
st_dep_permissions_service_id_user_id service_id,user_id permissions
st_dep_inv_users_user_id_service_id user_id,service_id invited_users
"""


def upgrade() -> None:
    op.execute(
        "CREATE TYPE permission_types AS ENUM ('manage_users', 'manage_templates', 'manage_settings', "
        "'send_texts', 'send_emails', 'send_letters', 'manage_api_keys', 'platform_admin', 'view_activity', "
        "'create_broadcasts', 'approve_broadcasts', 'cancel_broadcasts', 'reject_broadcasts')"
    )
    op.execute("CREATE TYPE invited_users_status_types AS ENUM ('pending', 'accepted', 'cancelled')")
    op.create_table(
        "user_to_service",
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.UniqueConstraint("user_id", "service_id", name="uix_user_to_service"),
    )
    op.create_table(
        "permissions",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id")),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("permission", postgresql.ENUM(name="permission_types", create_type=False), nullable=False),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.UniqueConstraint("service_id", "user_id", "permission", name="uix_service_user_permission"),
    )
    op.create_index("ix_permissions_service_id", "permissions", ["service_id"])
    op.create_index("ix_permissions_user_id", "permissions", ["user_id"])
    op.create_table(
        "invited_users",
        sa.Column("email_address", sa.String(255), nullable=False),
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id")),
        sa.Column("status", postgresql.ENUM(name="invited_users_status_types", create_type=False), nullable=False),
        sa.Column("permissions", sa.String(), nullable=False),
        sa.Column("auth_type", sa.String(), sa.ForeignKey("auth_type.name"), nullable=False, server_default="sms_auth"),
        sa.Column("folder_permissions", postgresql.JSONB(), nullable=False),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_invited_users_auth_type", "invited_users", ["auth_type"])
    op.create_index("ix_invited_users_service_id", "invited_users", ["service_id"])
    op.create_index("ix_invited_users_user_id", "invited_users", ["user_id"])
    for line in STATISTICS.strip().splitlines():
        name, columns, table = line.split()
        kind = "mcv" if name.startswith("st_mcv") else "dependencies"
        op.execute(f"CREATE STATISTICS {name} ({kind}) ON {columns} FROM {table}")


def downgrade() -> None:
    op.drop_table("invited_users")
    op.drop_table("permissions")
    op.drop_table("user_to_service")
    op.execute("DROP TYPE invited_users_status_types")
    op.execute("DROP TYPE permission_types")
