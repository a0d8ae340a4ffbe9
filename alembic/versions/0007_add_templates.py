"""Add templates, their versions and their folders."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


# Extended statistics of columns that depend on each other: name, columns, table.
STATISTICS = """
st_dep_templates_service_id_ctd_by_id service_id,created_by_id templates
st_dep_templates_service_id_let_att_id service_id,letter_attachment_id templates
st_dep_templates_service_id_sv_let_cct_id service_id,service_letter_contact_id templates
st_dep_templates_tpt_type_has_unsub_lnk template_type,has_unsubscribe_link templates
st_dep_templates_tpt_type_letter_lang template_type,letter_languages templates
st_dep_templates_tpt_type_postage template_type,postage templates
st_dep_templates_history_service_id_ctd_by_id service_id,created_by_id templates_history
st_dep_templates_history_service_id_let_att_id service_id,letter_attachment_id templates_history
st_dep_templates_history_service_id_sv_let_cct_id service_id,service_letter_contact_id templates_history
st_dep_templates_history_tpt_type_has_unsub_lnk template_type,has_unsubscribe_link templates_history
st_dep_templates_history_tpt_type_letter_lang template_type,letter_languages templates_history
st_dep_templates_history_tpt_type_postage template_type,postage templates_history
st_dep_template_folder_service_id_parent_id service_id,parent_id template_folder
"""


def upgrade() -> None:
    op.execute("CREATE TYPE template_type AS ENUM ('sms', 'email', 'letter', 'broadcast')")
    op.execute("CREATE TYPE letter_language_options AS ENUM ('english', 'welsh_then_english')")
    op.create_table(
        "letter_attachment",
        sa.Column("created_by_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("archived_at", sa.DateTime()),
        sa.Column("archived_by_id", sa.Uuid(), sa.ForeignKey("users.id")),
        sa.Column("original_filename", sa.String(), nullable=False),
        sa.Column("page_count", sa.SmallInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("created_at", sa.DateTime(), nullable=False),
    )
    op.create_table(
        "templates",
        sa.Column(
            "created_by_id", sa.Uuid(), sa.ForeignKey("users.id", name="fk_templates_created_by_id"), nullable=False
        ),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("template_type", postgresql.ENUM(name="template_type", create_type=False), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("has_unsubscribe_link", sa.Boolean(), nullable=False),
        sa.Column("postage", sa.String()),
        sa.Column("service_letter_contact_id", sa.Uuid(), sa.ForeignKey("service_letter_contacts.id")),
        sa.Column("letter_attachment_id", sa.Uuid(), sa.ForeignKey("letter_attachment.id")),
        sa.Column("letter_languages", postgresql.ENUM(name="letter_language_options", create_type=False)),
        sa.Column("letter_welsh_subject", sa.Text()),
        sa.Column("letter_welsh_content", sa.Text()),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "CASE WHEN template_type = 'letter' THEN letter_languages IS NOT NULL ELSE letter_languages IS NULL END",
            name="chk_templates_letter_languages",
        ),
        sa.CheckConstraint(
            "template_type = 'letter' OR letter_attachment_id IS NULL", name="ck_templates_letter_attachments"
        ),
        sa.CheckConstraint(
            "template_type = 'email' OR has_unsubscribe_link IS FALSE",
            name="ck_templates_non_email_has_unsubscribe_false",
        ),
    )
    op.create_index("ix_templates_created_by_id", "templates", ["created_by_id"])
    op.create_index("ix_templates_service_id", "templates", ["service_id"])
    op.create_table(
        "templates_history",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("template_type", postgresql.ENUM(name="template_type", create_type=False), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_by_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("has_unsubscribe_link", sa.Boolean(), nullable=False),
        sa.Column("postage", sa.String()),
        sa.Column("service_letter_contact_id", sa.Uuid(), sa.ForeignKey("service_letter_contacts.id")),
        sa.Column("letter_attachment_id", sa.Uuid(), sa.ForeignKey("letter_attachment.id")),
        sa.Column("letter_languages", postgresql.ENUM(name="letter_language_options", create_type=False)),
        sa.Column("letter_welsh_subject", sa.Text()),
        sa.Column("letter_welsh_content", sa.Text()),
        sa.Column("updated_at", sa.DateTime()),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.CheckConstraint(
            "CASE WHEN template_type = 'letter' THEN letter_languages IS NOT NULL ELSE letter_languages IS NULL END",
            name="chk_templates_history_letter_languages",
        ),
        sa.CheckConstraint(
            "template_type = 'letter' OR letter_attachment_id IS NULL", name="ck_templates_history_letter_attachments"
        ),
        sa.CheckConstraint(
            "template_type = 'email' OR has_unsubscribe_link IS FALSE",
            name="ck_templates_history_non_email_has_unsubscribe_false",
        ),
    )
    op.create_index("ix_templates_history_created_by_id", "templates_history", ["created_by_id"])
    op.create_index("ix_templates_history_service_id", "templates_history", ["service_id"])
    op.create_table(
        "template_redacted",
        sa.Column("template_id", sa.Uuid(), sa.ForeignKey("templates.id"), primary_key=True),
        sa.Column("redact_personalisation", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.DateTime(), nullable=False),
        sa.Column("updated_by_id", sa.Uuid(), sa.ForeignKey("users.id"), nullable=False),
    )
    op.create_index("ix_template_redacted_updated_by_id", "template_redacted", ["updated_by_id"])
    op.create_table(
        "template_folder",
        sa.Column("service_id", sa.Uuid(), sa.ForeignKey("services.id"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), sa.ForeignKey("template_folder.id")),
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.UniqueConstraint("id", "service_id", name="ix_id_service_id"),
    )
    op.create_table(
        "template_folder_map",
        sa.Column("template_id", sa.Uuid(), sa.ForeignKey("templates.id"), primary_key=True),
        sa.Column("template_folder_id", sa.Uuid(), sa.ForeignKey("template_folder.id"), nullable=False),
    )
    op.create_table(
        "user_folder_permissions",
        sa.Column("user_id", sa.Uuid(), primary_key=True),
        sa.Column("template_folder_id", sa.Uuid(), sa.ForeignKey("template_folder.id"), primary_key=True),
        sa.Column("service_id", sa.Uuid(), primary_key=True),
        sa.ForeignKeyConstraint(
            ["template_folder_id", "service_id"], ["template_folder.id", "template_folder.service_id"]
        ),
        sa.ForeignKeyConstraint(["user_id", "service_id"], ["user_to_service.user_id", "user_to_service.service_id"]),
    )
    for line in STATISTICS.strip().splitlines():
        name, columns, table = line.split()
        kind = "mcv" if name.startswith("st_mcv") else "dependencies"
        op.execute(f"CREATE STATISTICS {name} ({kind}) ON {columns} FROM {table}")


def downgrade() -> None:
    op.drop_table("user_folder_permissions")
    op.drop_table("template_folder_map")
    op.drop_table("template_folder")
    op.drop_table("template_redacted")
    op.drop_table("templates_history")
    op.drop_table("templates")
    op.drop_table("letter_attachment")
    op.execute("DROP TYPE letter_language_options")
    op.execute("DROP TYPE template_type")
