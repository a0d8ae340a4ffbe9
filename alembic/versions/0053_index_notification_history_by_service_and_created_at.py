"""Index messages past their retention by service and time of creation."""

from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # The build waits for older transactions without blocking writers, so without a timeout.
        op.execute("SET lock_timeout = 0")
        # An interrupted build leaves an invalid index.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_notification_history_service_id_created_at_id")
        op.create_index(
            "ix_notification_history_service_id_created_at_id",
            "notification_history",
            ["service_id", "created_at", "id"],
            postgresql_concurrently=True,
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_notification_history_service_id_created_at_id")
        op.execute("RESET lock_timeout")
