"""Index jobs by service and when their processing began."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # It waits for older transactions without blocking anybody, so it may wait as long as it takes.
        op.execute("SET lock_timeout = 0")
        # What a try that was broken off has left is invalid.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_service_id_processing_started_id")
        op.create_index(
            "ix_jobs_service_id_processing_started_id",
            "jobs",
            ["service_id", "processing_started", "id"],
            postgresql_concurrently=True,
        )
        op.execute("RESET lock_timeout")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_service_id_processing_started_id")
        op.execute("RESET lock_timeout")
