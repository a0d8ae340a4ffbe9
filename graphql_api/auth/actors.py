"""Actors: authenticated callers and their permissions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Self

from graphql_api.enums import KeyType, ServicePermission
from graphql_api.errors import Forbidden, NotFound, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

PLATFORM_ADMIN = "PLATFORM_ADMIN"
MEMBERSHIP_ONLY_PERMISSIONS = frozenset(
    {
        ServicePermission.SEND_TEXTS,
        ServicePermission.SEND_EMAILS,
        ServicePermission.SEND_LETTERS,
        ServicePermission.MANAGE_API_KEYS,
    }
)
"""Permissions that a platform admin has only as a member of the service."""

API_KEY_PERMISSIONS = frozenset(
    {
        ServicePermission.VIEW_ACTIVITY,
        ServicePermission.SEND_TEXTS,
        ServicePermission.SEND_EMAILS,
        ServicePermission.SEND_LETTERS,
    }
)
"""Permissions of an API key in its own service."""


class ActorKind(Enum):
    """Kinds of actor; each has its own visibility (see `visibility`)."""

    ANONYMOUS = "anonymous"
    PERSON = "person"
    ADMIN = "admin"
    KEY = "key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of a request, as of the time of authentication.

    `permissions` maps the services of which the caller is a member (a key: its own) to the permissions there;
    `organisation_ids` are the organisations of which they are a member.
    """

    kind: ActorKind
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    key_type: KeyType | None = None
    session_id: UUID | None = None
    permissions: Mapping[UUID, frozenset[ServicePermission]] = field(default_factory=dict)
    organisation_ids: frozenset[UUID] = frozenset()
    messages_per_minute: int = field(default=0, compare=False)
    """The sending rate limit of a key's service; its rate limit in points is at least as high."""
    client_address: str = field(default="", compare=False)
    """The address of an anonymous client, by which it is rate limited."""

    @classmethod
    def anonymous(cls, client_address: str = "") -> Self:
        """A caller without credentials: sees nothing, may sign in and register."""
        return cls(ActorKind.ANONYMOUS, client_address=client_address)

    @classmethod
    def system(cls) -> Self:
        """The platform itself, such as the worker: sees everything, has all permissions."""
        return cls(ActorKind.SYSTEM)

    @property
    def signed_in(self) -> bool:
        """Whether the caller is authenticated."""
        return self.kind is not ActorKind.ANONYMOUS

    @property
    def platform_wide(self) -> bool:
        """Whether every service is visible: a platform admin, or the platform itself."""
        return self.kind in {ActorKind.ADMIN, ActorKind.SYSTEM}

    @property
    def identity(self) -> tuple[UUID | None, UUID | None]:
        """The id of the key or person, and of the session."""
        return self.api_key_id or self.user_id, self.session_id

    @property
    def key_service_id(self) -> UUID | None:
        """The service of an API key; None for a person."""
        return next(iter(self.permissions)) if self.kind is ActorKind.KEY else None

    def service_ids(self, permission: ServicePermission | None = None) -> list[UUID]:
        """Ids of the caller's services, or of those in which they have the permission."""
        if permission is None:
            return list(self.permissions)
        return [service_id for service_id, granted in self.permissions.items() if permission in granted]

    def has_permission(self, permission: ServicePermission, service_id: UUID) -> bool:
        """Whether the caller has the permission in the service."""
        if self.kind is ActorKind.SYSTEM:
            return True
        if self.kind is ActorKind.ADMIN and permission not in MEMBERSHIP_ONLY_PERMISSIONS:
            return True
        return permission in self.permissions.get(service_id, ())

    def require(self, permission: ServicePermission, service_id: UUID, *path: str) -> None:
        """Raise `Unauthenticated`, `NotFound` (the caller does not see the service) or `Forbidden` without permission.

        Members of an organisation get `Forbidden`: the domain has checked before that they see the service.
        """
        if not self.signed_in:
            raise Unauthenticated
        if self.has_permission(permission, service_id):
            return
        if self.platform_wide or service_id in self.permissions or self.organisation_ids:
            raise Forbidden(permission.name)
        raise NotFound(service_id, *path)

    def require_platform_admin(self) -> None:
        """Raise `Unauthenticated` or `Forbidden` unless the caller is a platform admin or the platform itself."""
        if not self.signed_in:
            raise Unauthenticated
        if not self.platform_wide:
            raise Forbidden(PLATFORM_ADMIN)

    def require_person(self) -> UUID:
        """Return the id of a person; raises `Unauthenticated` or `Forbidden` for other callers."""
        if self.user_id is None or self.kind is ActorKind.KEY:
            if self.signed_in:
                raise Forbidden("PERSON", "An API key may not do this: sign in as a person.")
            raise Unauthenticated
        return self.user_id
