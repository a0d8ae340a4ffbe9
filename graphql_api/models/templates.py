"""Templates with ((placeholders)), their versions, folders and files."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Dated, HistoryOf, Identified, Model, Versioned, utcnow
from graphql_api.models.types import letter_language_options, template_type

if TYPE_CHECKING:
    from graphql_api.models.jobs import Job
    from graphql_api.models.notifications import Notification
    from graphql_api.models.senders import LetterContact
    from graphql_api.models.services import Service
    from graphql_api.models.users import User


class TemplateColumns(Dated):
    """Columns of a template and of its history."""

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    template_type: Mapped[str] = mapped_column(template_type)
    subject: Mapped[str | None] = mapped_column(Text)
    content: Mapped[str] = mapped_column(Text)
    # The author of this version; the author of the template is that of its first version.
    created_by_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    archived: Mapped[bool] = mapped_column(default=False)
    hidden: Mapped[bool] = mapped_column(default=False)
    has_unsubscribe_link: Mapped[bool] = mapped_column(default=False)
    postage: Mapped[str | None]
    service_letter_contact_id: Mapped[UUID | None] = mapped_column(ForeignKey("service_letter_contacts.id"))
    letter_attachment_id: Mapped[UUID | None] = mapped_column(ForeignKey("letter_attachment.id"))
    letter_languages: Mapped[str | None] = mapped_column(letter_language_options)
    letter_welsh_subject: Mapped[str | None] = mapped_column(Text)
    letter_welsh_content: Mapped[str | None] = mapped_column(Text)


def _channel_check_constraints(table: str) -> tuple[CheckConstraint, ...]:
    return (
        CheckConstraint(
            "CASE WHEN template_type = 'letter' THEN letter_languages IS NOT NULL ELSE letter_languages IS NULL END",
            name=f"chk_{table}_letter_languages",
        ),
        CheckConstraint(
            "template_type = 'letter' OR letter_attachment_id IS NULL", name=f"ck_{table}_letter_attachments"
        ),
        CheckConstraint(
            "template_type = 'email' OR has_unsubscribe_link IS FALSE",
            name=f"ck_{table}_non_email_has_unsubscribe_false",
        ),
    )


class TemplateHistory(HistoryOf, TemplateColumns, Model):
    """A version of a template, the current one included. Messages and jobs refer to it."""

    __tablename__ = "templates_history"
    __table_args__ = _channel_check_constraints(__tablename__)

    service: Mapped[Service] = relationship(lazy="raise")
    created_by: Mapped[User] = relationship(lazy="raise")
    template: Mapped[Template] = relationship(
        primaryjoin="foreign(TemplateHistory.id) == Template.id", back_populates="versions", viewonly=True, lazy="raise"
    )


class Template(Identified, Versioned, TemplateColumns, Model):
    """A message with ((placeholders)), written by a service."""

    __tablename__ = "templates"
    __table_args__ = (
        *_channel_check_constraints(__tablename__),
        Index("ix_templates_service_id_name_template_type_id", "service_id", "name", "template_type", "id"),
        Index("ix_templates_service_id_created_at_id", "service_id", "created_at", "id"),
        Index("ix_templates_service_id_updated_at_id", "service_id", "updated_at", "id"),
    )

    created_by_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", name="fk_templates_created_by_id"), index=True)

    service: Mapped[Service] = relationship(back_populates="templates", lazy="raise")
    created_by: Mapped[User] = relationship(lazy="raise")
    letter_contact: Mapped[LetterContact | None] = relationship(lazy="raise")
    letter_attachment: Mapped[LetterAttachment | None] = relationship(lazy="raise")
    redaction: Mapped[TemplateRedaction | None] = relationship(back_populates="template", lazy="raise")
    folder_entry: Mapped[TemplateFolderEntry | None] = relationship(back_populates="template", lazy="raise")
    email_files: Mapped[list[TemplateEmailFile]] = relationship(back_populates="template", lazy="raise")
    jobs: Mapped[list[Job]] = relationship(back_populates="template", lazy="raise")
    versions: Mapped[list[TemplateHistory]] = relationship(
        primaryjoin="Template.id == foreign(TemplateHistory.id)",
        order_by="TemplateHistory.version",
        back_populates="template",
        viewonly=True,
        lazy="raise",
    )
    notifications: Mapped[list[Notification]] = relationship(
        primaryjoin="Template.id == foreign(Notification.template_id)",
        back_populates="template",
        viewonly=True,
        lazy="raise",
    )

    def snapshot(self) -> TemplateHistory:
        """The history row of the current version, to be added with it."""
        return self._copy_to(TemplateHistory)


class TemplateRedaction(Model):
    """Whether the personalisation of a template's messages is hidden once sent.

    A few old templates have no such row.
    """

    __tablename__ = "template_redacted"

    template_id: Mapped[UUID] = mapped_column(ForeignKey("templates.id"), primary_key=True)
    redact_personalisation: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[datetime] = mapped_column(default=utcnow, onupdate=utcnow)
    updated_by_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)

    template: Mapped[Template] = relationship(back_populates="redaction", lazy="raise")
    updated_by: Mapped[User] = relationship(lazy="raise")


class TemplateFolder(Identified, Model):
    """A folder of templates, in a service or in another folder."""

    __tablename__ = "template_folder"
    __table_args__ = (UniqueConstraint("id", "service_id", name="ix_id_service_id"),)

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"))
    name: Mapped[str]
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("template_folder.id"))

    service: Mapped[Service] = relationship(back_populates="template_folders", lazy="raise")
    parent: Mapped[TemplateFolder | None] = relationship(
        back_populates="children", remote_side="TemplateFolder.id", lazy="raise"
    )
    children: Mapped[list[TemplateFolder]] = relationship(back_populates="parent", lazy="raise")
    entries: Mapped[list[TemplateFolderEntry]] = relationship(back_populates="folder", lazy="raise")


class TemplateFolderEntry(Model):
    """The folder of a template; a template without a row is at the top level."""

    __tablename__ = "template_folder_map"

    template_id: Mapped[UUID] = mapped_column(ForeignKey("templates.id"), primary_key=True)
    template_folder_id: Mapped[UUID] = mapped_column(ForeignKey("template_folder.id"))

    template: Mapped[Template] = relationship(back_populates="folder_entry", lazy="raise")
    folder: Mapped[TemplateFolder] = relationship(back_populates="entries", lazy="raise")


class TemplateEmailFileColumns(Dated):
    """Columns of a file and of its history."""

    template_id: Mapped[UUID] = mapped_column(ForeignKey("templates.id"), index=True)
    template_version: Mapped[int] = mapped_column(index=True)
    filename: Mapped[str] = mapped_column(Text)
    link_text: Mapped[str | None] = mapped_column(Text)
    # Weeks for which it can be downloaded.
    retention_period: Mapped[int]
    # Whether the recipient must enter their address first.
    validate_users_email: Mapped[bool]
    created_by_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    archived_at: Mapped[datetime | None]
    archived_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    # Whether the template does not link to it yet.
    pending: Mapped[bool | None] = mapped_column(default=False, server_default=false())


class TemplateEmailFileHistory(HistoryOf, TemplateEmailFileColumns, Model):
    """A version of a file, the current one included."""

    __tablename__ = "template_email_files_history"


class TemplateEmailFile(Identified, Versioned, TemplateEmailFileColumns, Model):
    """A file that an email template links to."""

    __tablename__ = "template_email_files"

    template: Mapped[Template] = relationship(back_populates="email_files", lazy="raise")
    created_by: Mapped[User] = relationship(foreign_keys="TemplateEmailFile.created_by_id", lazy="raise")
    archived_by: Mapped[User | None] = relationship(foreign_keys="TemplateEmailFile.archived_by_id", lazy="raise")

    def snapshot(self) -> TemplateEmailFileHistory:
        """The history row of the current version, to be added with it."""
        return self._copy_to(TemplateEmailFileHistory)


class LetterAttachment(Identified, Created, Model):
    """Pages that are sent with every letter of a template."""

    __tablename__ = "letter_attachment"

    created_by_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    archived_at: Mapped[datetime | None]
    archived_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    original_filename: Mapped[str]
    page_count: Mapped[int] = mapped_column(SmallInteger)
