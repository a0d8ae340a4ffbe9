"""Add users and verification codes."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE verify_code_types AS ENUM ('email', 'sms')")
    op.create_table(
        "auth_type",
        sa.Column("name", sa.String(), primary_key=True),
    )
    op.bulk_insert(
        sa.table("auth_type", sa.column("name")),
        [{"name": name} for name in ["email_auth", "sms_auth", "webauthn_auth"]],
    )
    op.create_table(
        "users",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email_address", sa.String(255), nullable=False),
        sa.Column("mobile_number", sa.String()),
        sa.Column("_password", sa.String(), nullable=False),
        sa.Column("password_changed_at", sa.DateTime(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("auth_type", sa.String(), sa.ForeignKey("auth_type.name"), nullable=False, server_default="sms_auth"),
        sa.Column("platform_admin", sa.Boolean(), nullable=False),
        sa.Column("logged_in_at", sa.DateTime()),
        sa.Column("failed_login_count", sa.Integer(), nullable=False),
        sa.Column("current_session_id", sa.Uuid()),
        sa.Column("email_access_validated_at", sa.DateTime(), nullable=False),
        sa.Column("take_part_in_research", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("receives_new_features_email", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "auth_type IN ('email_auth', 'webauthn_auth') OR mobile_number IS NOT NULL",
            name="ck_user_has_mobile_or_other_auth",
        ),
    )
    op.create_index("ix_users_email_address", "users", ["email_address"], unique=True)
    op.create_table(
        "verify_codes",
        sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("_code", sa.String(), nullable=False),
        sa.Column("code_type", postgresql.ENUM(name="verify_code_types", create_type=False), nullable=False),
        sa.Column("expiry_datetime", sa.DateTime(), nullable=False),
        sa.Column("code_used", sa.Boolean()),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_verify_codes_user_id", "verify_codes", ["user_id"])


def downgrade() -> None:
    op.drop_table("verify_codes")
    op.drop_table("users")
    op.drop_table("auth_type")
    op.execute("DROP TYPE verify_code_types")
