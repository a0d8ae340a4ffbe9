"""Index messages by job and time of creation."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # The build waits for older transactions without blocking writers, so without a timeout.
        op.execute("SET lock_timeout = 0")
        # An interrupted build leaves an invalid index.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_notifications_job_id_created_at_id")
        op.create_index(
            "ix_notifications_job_id_created_at_id",
            "notifications",
            ["job_id", "created_at", "id"],
            postgresql_concurrently=True,
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_notifications_job_id_created_at_id")
        op.execute("RESET lock_timeout")
