"""Index jobs by service and scheduled time."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # The build waits for older transactions without blocking writers, so without a timeout.
        op.execute("SET lock_timeout = 0")
        # An interrupted build leaves an invalid index.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_service_id_scheduled_for_id")
        op.create_index(
            "ix_jobs_service_id_scheduled_for_id",
            "jobs",
            ["service_id", "scheduled_for", "id"],
            postgresql_concurrently=True,
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_service_id_scheduled_for_id")
        op.execute("RESET lock_timeout")
