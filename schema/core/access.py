"""Who may read a field: signed-in callers, and those with the permissions that the field declares."""

from typing import Any

from graphql_api.auth.actors import Actor
from graphql_api.errors import Forbidden, Unauthenticated
from schema.core.fields import BatchedField, ConnectionField


def require_signed_in(actor: Actor) -> None:
    """Raise `Unauthenticated` for an anonymous caller."""
    if not actor.signed_in:
        raise Unauthenticated


def require_field_access(declared: ConnectionField | BatchedField, actor: Actor, service_id: Any) -> None:
    """Raise `Unauthenticated` or `Forbidden` for an actor who may not read a field of an object of a service."""
    require_signed_in(actor)
    if isinstance(declared, ConnectionField):
        if declared.admins_only:
            actor.require_platform_admin()
        if declared.people_only and actor.api_key_id is not None:
            raise Forbidden("PERSON", "An API key may not read people: sign in as a person.")
    if declared.permissions and not (
        actor.platform_wide or any(actor.has_permission(permission, service_id) for permission in declared.permissions)
    ):
        raise Forbidden(declared.permissions[0].name)
