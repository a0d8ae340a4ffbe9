"""Members of services and their permissions."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from graphql_api.models.base import Created, Identified, Model
from graphql_api.models.types import permission_types

if TYPE_CHECKING:
    from graphql_api.models.services import Service
    from graphql_api.models.users import User


class ServiceMembership(Model):
    """A user's membership of a service. The table has a unique constraint, but no primary key."""

    __tablename__ = "user_to_service"
    __table_args__ = (
        UniqueConstraint("user_id", "service_id", name="uix_user_to_service"),
        Index("ix_user_to_service_service_id_user_id", "service_id", "user_id"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    service_id: Mapped[UUID] = mapped_column(ForeignKey("services.id"))

    __mapper_args__ = {"primary_key": [user_id, service_id]}  # noqa: RUF012 - read once by the mapper

    user: Mapped[User] = relationship(back_populates="service_memberships", lazy="raise")
    service: Mapped[Service] = relationship(back_populates="memberships", lazy="raise")
    permissions: Mapped[list[ServiceMemberPermission]] = relationship(
        primaryjoin="""and_(
            ServiceMembership.user_id == foreign(ServiceMemberPermission.user_id),
            ServiceMembership.service_id == foreign(ServiceMemberPermission.service_id),
        )""",
        viewonly=True,
        lazy="raise",
    )
    folder_permissions: Mapped[list[FolderPermission]] = relationship(back_populates="membership", lazy="raise")


class ServiceMemberPermission(Identified, Created, Model):
    """A permission of a user in a service."""

    __tablename__ = "permissions"
    __table_args__ = (UniqueConstraint("service_id", "user_id", "permission", name="uix_service_user_permission"),)

    # Null only in old rows, for every service; they are ignored.
    service_id: Mapped[UUID | None] = mapped_column(ForeignKey("services.id"), index=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    permission: Mapped[str] = mapped_column(permission_types)

    service: Mapped[Service | None] = relationship(back_populates="member_permissions", lazy="raise")
    user: Mapped[User] = relationship(back_populates="service_permissions", lazy="raise")


class FolderPermission(Model):
    """A template folder that a member of a service can see."""

    __tablename__ = "user_folder_permissions"
    __table_args__ = (
        ForeignKeyConstraint(["user_id", "service_id"], ["user_to_service.user_id", "user_to_service.service_id"]),
        ForeignKeyConstraint(
            ["template_folder_id", "service_id"], ["template_folder.id", "template_folder.service_id"]
        ),
    )

    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    template_folder_id: Mapped[UUID] = mapped_column(ForeignKey("template_folder.id"), primary_key=True)
    service_id: Mapped[UUID] = mapped_column(primary_key=True)

    membership: Mapped[ServiceMembership] = relationship(
        back_populates="folder_permissions", foreign_keys=[user_id, service_id], lazy="raise"
    )
