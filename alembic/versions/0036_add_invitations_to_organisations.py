"""Add invitations to organisations."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.create_table(
        "invite_status_type",
        sa.Column("name", sa.String(), primary_key=True),
    )
    op.bulk_insert(
        sa.table("invite_status_type", sa.column("name")),
        [{"name": name} for name in ["accepted", "cancelled", "pending"]],
    )
    op.create_table(
        "invited_organisation_users",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("email_address", sa.String(255), nullable=False),
        sa.Column("invited_by_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("status", sa.String(), sa.ForeignKey("invite_status_type.name"), nullable=False),
        sa.Column("permissions", sa.String(), nullable=False),
    )
    op.execute(
        "CREATE STATISTICS st_dep_inv_org_users_inv_by_id_org_id (dependencies)"
        " ON invited_by_id, organisation_id FROM invited_organisation_users"
    )


def downgrade() -> None:
    op.drop_table("invited_organisation_users")
    op.drop_table("invite_status_type")
