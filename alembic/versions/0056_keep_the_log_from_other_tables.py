"""Let nobody else make a trigger of what writes the log of changes: a row of any table would be an entry.

PostgreSQL lets everybody execute a new function; a trigger that is there needs no leave for it.
"""

from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # 0052 does it too by now, but not where it was done before. Where Notify made the tables, an operator makes it.
    op.execute(
        """
        DO $$
        BEGIN
            IF to_regprocedure('log_change()') IS NOT NULL THEN
                REVOKE EXECUTE ON FUNCTION log_change() FROM PUBLIC;
            END IF;
        END
        $$
        """
    )


def downgrade() -> None:
    """Give nothing back: what 0052 makes by now is kept from others too."""
