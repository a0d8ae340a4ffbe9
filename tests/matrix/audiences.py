"""The audiences of `policy.txt`: predicates of a caller and a row, independent of the server's implementation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from graphql_api.enums import ServicePermission

PERMISSIONS = frozenset(permission.name for permission in ServicePermission)
SEND_PERMISSIONS = {"sms": "SEND_TEXTS", "email": "SEND_EMAILS", "letter": "SEND_LETTERS"}


@dataclass(frozen=True)
class Role:
    """A kind of caller, with its memberships."""

    name: str
    kind: str
    """anonymous, person, admin or key."""
    user: UUID | None = None
    key: UUID | None = None
    key_type: str | None = None
    services: dict[UUID, frozenset[str]] = field(default_factory=dict)
    """Names of permissions by service; a key's own service has none."""
    organisations: frozenset[UUID] = frozenset()

    @property
    def is_person(self) -> bool:
        """Whether it is a person, admins included."""
        return self.kind in {"person", "admin"}

    def has_permission(self, permission: str, service: UUID | None) -> bool:
        """Whether a person has a permission as a member."""
        return self.is_person and service is not None and permission in self.services.get(service, ())


@dataclass(frozen=True)
class Facts:
    """The facts of a row that audiences depend on."""

    kind: str
    id: UUID | None = None
    service: UUID | None = None
    organisation: UUID | None = None
    user: UUID | None = None
    channel: str | None = None
    key_type: str | None = None
    redacted: bool = False
    opened_to: frozenset[UUID] | None = None
    """Users who can open the folder of a template; None outside folders."""


@dataclass
class Memberships:
    """Memberships, for audiences of people."""

    services_by_user: dict[UUID, set[UUID]]
    """Services by person."""
    organisations_by_user: dict[UUID, set[UUID]]
    """Organisations by person."""
    organisation_by_service: dict[UUID, UUID | None]
    """The organisation of each service."""

    def can_see_service(self, role: Role, service: UUID) -> bool:
        """Whether a person is a member of a service or of its organisation."""
        return service in role.services or self.organisation_by_service.get(service) in role.organisations


AudiencePredicate = Callable[[Role, Facts, Memberships], bool]


def _belongs_to_its_services(role: Role, row: Facts, ties: Memberships) -> bool:
    return role.is_person and any(ties.organisation_by_service.get(service) == row.id for service in role.services)


def _sees_a_service_of_theirs(role: Role, row: Facts, ties: Memberships) -> bool:
    of_theirs = ties.services_by_user.get(row.id, set()) if row.id else set()
    return role.is_person and any(ties.can_see_service(role, service) for service in of_theirs)


def _manages_user(role: Role, row: Facts, ties: Memberships) -> bool:
    of_theirs = ties.services_by_user.get(row.id, set()) if row.id else set()
    return any(role.has_permission("MANAGE_USERS", service) for service in of_theirs)


def _is_key_of_service(role: Role, row: Facts) -> bool:
    return role.kind == "key" and row.service in role.services


AUDIENCES: dict[str, AudiencePredicate] = {
    "anybody": lambda _role, _row, _ties: True,
    "everyone": lambda _role, _row, _ties: True,
    "anybody signed in": lambda role, _row, _ties: role.kind != "anonymous",
    "people": lambda role, _row, _ties: role.is_person,
    "platform admins": lambda role, _row, _ties: role.kind == "admin",
    "oneself": lambda role, row, _ties: role.is_person and role.user == (row.user or row.id),
    "itself": lambda role, row, _ties: role.kind == "key" and role.key == row.id,
    "members": lambda role, row, _ties: role.is_person and row.service in role.services,
    "members where its folder is open to them": lambda role, row, _ties: (
        role.is_person and row.service in role.services and (row.opened_to is None or role.user in row.opened_to)
    ),
    "people of its organisation": lambda role, row, ties: (
        role.is_person
        and row.service is not None
        and ties.organisation_by_service.get(row.service) in role.organisations
    ),
    "people of the organisation": lambda role, row, _ties: role.is_person and row.organisation in role.organisations,
    "people of its services": _belongs_to_its_services,
    "people who see a service of theirs": _sees_a_service_of_theirs,
    "people of an organisation of theirs": lambda role, row, ties: (
        role.is_person
        and row.id is not None
        and bool(ties.organisations_by_user.get(row.id, set()) & role.organisations)
    ),
    "managers of theirs": _manages_user,
    "its keys": lambda role, row, _ties: _is_key_of_service(role, row),
    "its keys of its type": lambda role, row, _ties: _is_key_of_service(role, row) and role.key_type == row.key_type,
    "SEND": lambda role, row, _ties: any(
        role.has_permission(permission, row.service) for permission in SEND_PERMISSIONS.values()
    ),
    "senders of its channel": lambda role, row, _ties: (
        role.has_permission(SEND_PERMISSIONS[row.channel or "sms"], row.service)
        or (_is_key_of_service(role, row) and row.kind in {"Query", "Mutation"})
    ),
    "those who see its service": lambda role, row, ties: (
        role.kind == "admin"
        or _is_key_of_service(role, row)
        or (role.is_person and row.service is not None and ties.can_see_service(role, row.service))
    ),
    "unless redacted": lambda _role, row, _ties: not row.redacted,
}


def is_in_audience(audience: Iterable[str], role: Role, row: Facts, memberships: Memberships) -> bool:
    """Whether the caller is in any of the audiences."""
    return any(
        role.has_permission(word, row.service) if word in PERMISSIONS else AUDIENCES[word](role, row, memberships)
        for word in audience
    )


def undefined_words(*rules: Iterable[str]) -> set[str]:
    """Audiences that are used and not defined."""
    return {word for rule in rules for word in rule} - set(AUDIENCES) - set(PERMISSIONS)


def facts_from_row(kind: str, row: Any) -> Facts:
    """The facts of a row of the tables, by its columns' names."""
    values = {name: value for name, value in row._mapping.items() if name in Facts.__dataclass_fields__}  # noqa: SLF001
    if "opened_to" in values and values["opened_to"] is not None:
        values["opened_to"] = frozenset(values["opened_to"])
    return Facts(kind, **values)
