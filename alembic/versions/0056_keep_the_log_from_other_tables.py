"""Revoke the permission of other roles to create triggers that write the log of changes.

PostgreSQL grants EXECUTE on a new function to PUBLIC; existing triggers do not need it.
"""

from alembic import op

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # 0052 revokes it too, but did not at first. On tables that Notify created, `migrate --log` does.
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
    """Grant nothing: 0052 revokes it too."""
