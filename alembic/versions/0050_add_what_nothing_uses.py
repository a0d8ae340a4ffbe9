"""Add tables of Notify that are no longer used."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None
of_notify = True


def upgrade() -> None:
    op.execute("CREATE TYPE job_status_types AS ENUM ('pending', 'in progress', 'finished', 'sending limits exceeded')")
    op.execute(
        "CREATE TYPE notify_status_type AS ENUM ('created', 'sending', 'delivered', 'pending', 'failed',"
        " 'technical-failure', 'temporary-failure', 'permanent-failure', 'sent')"
    )
    op.create_table(
        "ft_service_stats",
        sa.Column("bst_date", sa.Date(), primary_key=True),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), primary_key=True),
        sa.Column("template_id", sa.Uuid(), sa.ForeignKey("templates.id"), primary_key=True),
        sa.Column("notification_type", postgresql.ENUM(name="notification_type", create_type=False), primary_key=True),
        sa.Column("notification_status", sa.Text(), sa.ForeignKey("notification_status_types.name"), primary_key=True),
        sa.Column("notification_count", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    )
    op.create_index(
        "ix_ft_service_stats",
        "ft_service_stats",
        ["bst_date", "service_id", "template_id", "notification_type", "notification_status"],
        unique=True,
    )
    op.create_index(
        "ix_ft_service_template_stats",
        "ft_service_stats",
        ["bst_date", "template_id", "notification_type", "notification_status"],
        unique=True,
    )


def downgrade() -> None:
    op.drop_table("ft_service_stats")
    op.execute("DROP TYPE notify_status_type")
    op.execute("DROP TYPE job_status_types")
