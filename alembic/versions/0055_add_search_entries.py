"""Add a materialised view for search: names, subjects and addresses in lower case, as of its last refresh.

The view reads through a function, so that the owner of a table can still change its columns.
"""

from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE FUNCTION read_search_entries() RETURNS TABLE (kind text, row_id uuid, text text)
        LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
            SELECT 'organisation', id, lower(name) FROM organisation WHERE active
            UNION ALL
            SELECT 'service', id, lower(name) FROM services WHERE active
            UNION ALL
            SELECT 'template', id, lower(concat_ws(E'\\n', name, subject)) FROM templates
            WHERE NOT archived AND NOT hidden
            UNION ALL
            SELECT 'user', id, lower(concat_ws(E'\\n', name, email_address)) FROM users WHERE state <> 'inactive'
        $$
        """
    )
    op.execute("CREATE MATERIALIZED VIEW search_entries AS SELECT kind, row_id, text FROM read_search_entries()")
    op.create_index("ix_search_entries_kind_row_id", "search_entries", ["kind", "row_id"], unique=True)
    op.create_index(
        "ix_search_entries_text_trgm",
        "search_entries",
        ["text"],
        postgresql_using="gin",
        postgresql_ops={"text": "gin_trgm_ops"},
    )


def downgrade() -> None:
    op.execute("DROP MATERIALIZED VIEW search_entries")
    op.execute("DROP FUNCTION read_search_entries()")
