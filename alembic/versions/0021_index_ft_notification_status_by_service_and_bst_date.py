"""Index status counts by service and day."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # The build waits for older transactions without blocking writers, so without a timeout.
        op.execute("SET lock_timeout = 0")
        # An interrupted build leaves an invalid index.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_ft_notification_status_service_id_bst_date")
        op.create_index(
            "ix_ft_notification_status_service_id_bst_date",
            "ft_notification_status",
            ["service_id", "bst_date"],
            postgresql_concurrently=True,
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_ft_notification_status_service_id_bst_date")
        op.execute("RESET lock_timeout")
