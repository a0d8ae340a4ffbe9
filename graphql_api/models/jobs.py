"""Jobs: a template sent to a list of recipients, and its progress."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text, false, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Dated, Identified, Model

if TYPE_CHECKING:
    from graphql_api.models.api_keys import ApiKey
    from graphql_api.models.contact_lists import ContactList
    from graphql_api.models.notifications import Notification
    from graphql_api.models.services import Service
    from graphql_api.models.templates import Template, TemplateHistory
    from graphql_api.models.users import User


class Job(Identified, Dated, Model):
    """A template sent to every row of a list."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_service_id_created_at_id", "service_id", "created_at", "id"),
        Index(
            "ix_jobs_unarchived_service_id_created_at_id",
            "service_id",
            "created_at",
            "id",
            postgresql_where=text("archived IS FALSE"),
        ),
        Index("ix_jobs_service_id_scheduled_for_id", "service_id", "scheduled_for", "id"),
        Index("ix_jobs_service_id_processing_started_id", "service_id", "processing_started", "id"),
        Index("ix_jobs_template_id_created_at_id", "template_id", "created_at", "id"),
    )

    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"), index=True)
    template_id: Mapped[UUID | None] = mapped_column(ForeignKey("templates.id"), index=True)
    template_version: Mapped[int]
    original_file_name: Mapped[str]
    contact_list_id: Mapped[UUID | None] = mapped_column(ForeignKey("service_contact_list.id"), index=True)
    created_by_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"), index=True)
    job_status: Mapped[str] = mapped_column(String(255), ForeignKey("job_status.name"), index=True, default="pending")
    # Number of rows of the list.
    notification_count: Mapped[int]
    # These three are always 0: statuses are counted from the messages.
    notifications_sent: Mapped[int] = mapped_column(default=0)
    notifications_delivered: Mapped[int] = mapped_column(default=0)
    notifications_failed: Mapped[int] = mapped_column(default=0)
    scheduled_for: Mapped[datetime | None] = mapped_column(index=True)
    processing_started: Mapped[datetime | None]
    processing_finished: Mapped[datetime | None]
    archived: Mapped[bool] = mapped_column(default=False, server_default=false())

    service: Mapped[Service] = relationship(back_populates="jobs", lazy="raise")
    template: Mapped[Template | None] = relationship(back_populates="jobs", lazy="raise")
    template_as_sent: Mapped[TemplateHistory | None] = relationship(
        primaryjoin="""and_(
            foreign(Job.template_id) == TemplateHistory.id, foreign(Job.template_version) == TemplateHistory.version
        )""",
        viewonly=True,
        lazy="raise",
    )
    created_by: Mapped[User | None] = relationship(lazy="raise")
    contact_list: Mapped[ContactList | None] = relationship(back_populates="jobs", lazy="raise")
    notifications: Mapped[list[Notification]] = relationship(back_populates="job", lazy="raise")
    run: Mapped[JobRun | None] = relationship(back_populates="job", lazy="raise")


class JobRun(Created, Model):
    """Progress of a job that this server runs, and what the worker needs for it."""

    __tablename__ = "job_runs"
    __table_args__ = (
        CheckConstraint("error_policy IN ('all_or_nothing', 'skip_bad_rows')", name="ck_job_runs_error_policy"),
        CheckConstraint("next_row >= 0", name="ck_job_runs_next_row"),
    )

    job_id: Mapped[UUID] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    # The API key that created the job; null for a user.
    api_key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"), index=True)
    error_policy: Mapped[str] = mapped_column(Text, default="all_or_nothing", server_default="all_or_nothing")
    # The sender, reply-to address or contact block of every message, resolved when the job was created.
    reply_to_text: Mapped[str | None] = mapped_column(Text)
    # The first row without a message; updated in the transaction that inserts the messages.
    next_row: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    # Fencing token: increases each time a worker takes the job; a worker with a lower one must stop.
    fence: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    lease_owner: Mapped[UUID | None]
    # By the clock of the database.
    lease_until: Mapped[datetime | None]
    # Numbers of rows without a message, from 0.
    bad_rows: Mapped[list[int]] = mapped_column(ARRAY(Integer), default=list, server_default=text("'{}'::integer[]"))

    job: Mapped[Job] = relationship(back_populates="run", lazy="raise")
    api_key: Mapped[ApiKey | None] = relationship(lazy="raise")
