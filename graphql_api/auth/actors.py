"""Who is asking, and what they may do."""

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
"""What even a platform admin may do only as a member of the service."""

API_KEY_PERMISSIONS = frozenset(
    {
        ServicePermission.VIEW_ACTIVITY,
        ServicePermission.SEND_TEXTS,
        ServicePermission.SEND_EMAILS,
        ServicePermission.SEND_LETTERS,
    }
)
"""What an API key may do in its own service."""


class ActorKind(Enum):
    """Kinds of caller; each has its own visibility (`access`)."""

    ANONYMOUS = "anonymous"
    PERSON = "person"
    ADMIN = "admin"
    KEY = "key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller of a request, as it was when the request began.

    `permissions` maps each service that the caller belongs to (a key: its own) to what they may do there;
    `organisation_ids` are the organisations they belong to.
    """

    kind: ActorKind
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    key_type: KeyType | None = None
    session_id: UUID | None = None
    permissions: Mapping[UUID, frozenset[ServicePermission]] = field(default_factory=dict)
    organisation_ids: frozenset[UUID] = frozenset()
    messages_per_minute: int = field(default=0, compare=False)
    """Messages a minute that a key's service may send; what its operations may cost is no less."""
    client_address: str = field(default="", compare=False)
    """Where somebody asks from who is nobody, for their operations to be counted together."""

    @classmethod
    def anonymous(cls, client_address: str = "") -> Self:
        """Nobody: sees nothing, may sign in and register."""
        return cls(ActorKind.ANONYMOUS, client_address=client_address)

    @classmethod
    def system(cls) -> Self:
        """The platform itself, as the worker is: sees and may do everything."""
        return cls(ActorKind.SYSTEM)

    @property
    def signed_in(self) -> bool:
        """Whether anybody is asking at all."""
        return self.kind is not ActorKind.ANONYMOUS

    @property
    def platform_wide(self) -> bool:
        """Whether every service is visible: a platform admin, or the platform itself."""
        return self.kind in {ActorKind.ADMIN, ActorKind.SYSTEM}

    @property
    def identity(self) -> tuple[UUID | None, UUID | None]:
        """Who it is, whatever they may do: a key or a person, and the session."""
        return self.api_key_id or self.user_id, self.session_id

    @property
    def key_service_id(self) -> UUID | None:
        """The service of an API key; None for a person."""
        return next(iter(self.permissions)) if self.kind is ActorKind.KEY else None

    def service_ids(self, permission: ServicePermission | None = None) -> list[UUID]:
        """Ids of the services that the caller belongs to, or of those where they have the permission."""
        if permission is None:
            return list(self.permissions)
        return [service_id for service_id, held in self.permissions.items() if permission in held]

    def has_permission(self, permission: ServicePermission, service_id: UUID) -> bool:
        """Whether the caller has the permission in the service."""
        if self.kind is ActorKind.SYSTEM:
            return True
        if self.kind is ActorKind.ADMIN and permission not in MEMBERSHIP_ONLY_PERMISSIONS:
            return True
        return permission in self.permissions.get(service_id, ())

    def require(self, permission: ServicePermission, service_id: UUID, *path: str) -> None:
        """Refuse unless the caller may: signed out, not found (no tie to the service), or forbidden.

        A member of the organisation that owns a service sees the service; the domain has looked it up by then,
        so that it is `Forbidden` that they hear.
        """
        if not self.signed_in:
            raise Unauthenticated
        if self.has_permission(permission, service_id):
            return
        if self.platform_wide or service_id in self.permissions or self.organisation_ids:
            raise Forbidden(permission.name)
        raise NotFound(service_id, *path)

    def require_platform_admin(self) -> None:
        """Refuse everyone but platform admins and the platform itself."""
        if not self.signed_in:
            raise Unauthenticated
        if not self.platform_wide:
            raise Forbidden(PLATFORM_ADMIN)

    def require_person(self) -> UUID:
        """Refuse everyone but people; answers their id."""
        if self.user_id is None or self.kind is ActorKind.KEY:
            if self.signed_in:
                raise Forbidden("PERSON", "An API key may not do this: sign in as a person.")
            raise Unauthenticated
        return self.user_id
