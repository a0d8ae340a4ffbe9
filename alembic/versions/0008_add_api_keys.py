"""Add API keys and their history."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


# Extended statistics of columns that depend on each other: name, columns, table.
STATISTICS = """
st_dep_api_keys_service_id_created_by_id service_id,created_by_id api_keys
"""


def upgrade() -> None:
    op.create_table(
        "key_types",
        sa.Column("name", sa.String(255), primary_key=True),
    )
    op.bulk_insert(sa.table("key_types", sa.column("name")), [{"name": name} for name in ["normal", "team", "test"]])
    op.create_table(
        "api_keys",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("secret", sa.String(255), nullable=False, unique=True),
        sa.Column("key_type", sa.String(255), sa.ForeignKey("key_types.name"), nullable=False),
        sa.Column(
            "created_by_id", sa.Uuid(), sa.ForeignKey("users.id", name="fk_api_keys_created_by_id"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("expiry_date", sa.DateTime()),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_api_keys_created_by_id", "api_keys", ["created_by_id"])
    op.create_index("ix_api_keys_service_id", "api_keys", ["service_id"])
    op.create_index(
        "uix_service_to_key_name",
        "api_keys",
        ["service_id", "name"],
        unique=True,
        postgresql_where=sa.text("expiry_date IS NULL"),
    )
    op.create_table(
        "api_keys_history",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("service_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("secret", sa.String(255), nullable=False),
        sa.Column("key_type", sa.String(255), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), nullable=False),
        sa.Column("expiry_date", sa.DateTime()),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_api_keys_history_service_id", "api_keys_history", ["service_id"])
    for line in STATISTICS.strip().splitlines():
        name, columns, table = line.split()
        kind = "mcv" if name.startswith("st_mcv") else "dependencies"
        op.execute(f"CREATE STATISTICS {name} ({kind}) ON {columns} FROM {table}")


def downgrade() -> None:
    op.drop_table("api_keys_history")
    op.drop_table("api_keys")
    op.drop_table("key_types")
