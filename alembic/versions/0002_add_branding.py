"""Add brands of emails and letters."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "branding_type",
        sa.Column("name", sa.String(255), primary_key=True),
    )
    op.bulk_insert(
        sa.table("branding_type", sa.column("name")), [{"name": name} for name in ["both", "org", "org_banner"]]
    )
    op.create_table(
        "email_branding",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("colour", sa.String(7)),
        sa.Column("logo", sa.String(255)),
        sa.Column("text", sa.String(255)),
        sa.Column("alt_text", sa.String(255)),
        sa.Column("brand_type", sa.String(255), sa.ForeignKey("branding_type.name"), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("created_at", sa.DateTime()),
        sa.Column("created_by", sa.Uuid(), sa.ForeignKey("users.id", name="email_branding_created_by_id_fkey")),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("updated_by", sa.Uuid(), sa.ForeignKey("users.id", name="email_branding_updated_by_id_fkey")),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.UniqueConstraint("name", name="uq_email_branding_name"),
        sa.CheckConstraint(
            "(text IS NOT NULL AND alt_text IS NULL) OR (text IS NULL AND alt_text IS NOT NULL)",
            name="ck_email_branding_one_of_alt_text_or_text_is_null",
        ),
    )
    op.create_index("ix_email_branding_brand_type", "email_branding", ["brand_type"])
    op.create_table(
        "letter_branding",
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("filename", sa.String(255), nullable=False, unique=True),
        sa.Column("created_at", sa.DateTime()),
        sa.Column("created_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("updated_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("id", sa.Uuid(), primary_key=True),
    )


def downgrade() -> None:
    op.drop_table("letter_branding")
    op.drop_table("email_branding")
    op.drop_table("branding_type")
