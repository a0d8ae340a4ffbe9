"""Bearer tokens to actors: of an API key, of an internal client that acts for a person, or of a session."""

from __future__ import annotations

import contextlib
import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from sqlalchemy import Text, Uuid, and_, any_, bindparam, case, cast, func, or_, select, true, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError

from graphql_api import models
from graphql_api.auth import jwts, tokens
from graphql_api.auth.actors import API_KEY_PERMISSIONS, Actor, ActorKind
from graphql_api.auth.crypto import BadSignature
from graphql_api.enums import KeyType, ServicePermission
from graphql_api.errors import Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    from graphql_api.auth.crypto import Signer
    from graphql_api.database.database import Database
    from graphql_api.settings import Settings

ADMIN_IDLE_TIMEOUT = timedelta(minutes=30)
"""The longest time without use of a platform admin's session."""
LAST_USED_INTERVAL = timedelta(minutes=1)
"""The precision of a session's last use."""
REVOKED_KEY_RETENTION = timedelta(days=7)
"""The time for which a revoked key is refused as revoked; later it is unknown."""

UNKNOWN_KEY_MESSAGE = (
    "The API key is unknown: check the service id and the secret, and that the key was made on this platform."
)
UNKNOWN_USER_MESSAGE = "X-Notify-User-Id is not the id of an active user."
_ARCHIVED, _EXPIRED, _REVOKED, _ENDED, _IDLE = "archived", "expired", "revoked", "ended", "idle"
KEY_FAULT_MESSAGES = {
    _ARCHIVED: "The service of this API key is archived, so its keys are no longer accepted.",
    _EXPIRED: "This API key has expired: make a new one, and use that.",
    _REVOKED: "This API key was revoked: make a new one, and use that.",
}
SESSION_FAULT_MESSAGES = {
    _ENDED: "This session has ended: sign in again.",
    _EXPIRED: "This session has expired: sign in again.",
    _IDLE: f"This session ended after {ADMIN_IDLE_TIMEOUT // timedelta(minutes=1)} minutes without use: sign in again.",
}
_UUID_CHARACTERS, _KEY_CHARACTERS = 36, 73
# Notify has more permissions than `ServicePermission`: a dictionary, since to call the enum takes ten times as long.
_PERMISSIONS_BY_VALUE = {permission.value: permission for permission in ServicePermission}


class CredentialStore(Protocol):
    """The writes of authentication, which `domain.credentials` implements."""

    async def claim_token_id(self, tx: AsyncSession, issuer: str, token_id: str, /) -> bool:
        """Record the `jti` of an issuer's token; False when it is recorded already."""

    async def record_session_use(self, tx: AsyncSession, session_id: UUID, /) -> None:
        """Record that a session was used just now, without waiting for a lock."""


async def authenticate(
    token: str | None,
    acting_user: str | None,
    *,
    database: Database,
    store: CredentialStore,
    settings: Settings,
    signer: Signer,
    client_address: str = "",
) -> Actor:
    """The actor of a bearer token; without a token, an anonymous actor at `client_address`.

    `acting_user` is the header `X-Notify-User-Id`: the id of the person for whom an internal client acts. It has no
    meaning with another kind of token. Raises `Unauthenticated`, whose message says what is wrong with the token.
    """
    if token is None:
        return Actor.anonymous(client_address)
    if not token:
        raise Unauthenticated("The header must be `Authorization: Bearer` and a token.")
    if len(token) > jwts.MAX_TOKEN_CHARACTERS:
        raise Unauthenticated(
            f"A token has at most {jwts.MAX_TOKEN_CHARACTERS} characters: this is not a token of this API."
        )
    if token.startswith(tokens.SESSION_TOKEN_PREFIX):
        return await _authenticate_session_token(token, database, store, signer)
    api_key = _parse_full_api_key(token)
    if api_key:
        service_id, secret = api_key
        return await _authenticate_api_key(
            service_id, lambda candidate: _constant_time_equal(candidate, secret), database, signer
        )
    jwt = jwts.parse(token)
    if jwt.issuer in settings.internal_client_api_keys:
        secrets = [secret.get_secret_value() for secret in settings.internal_client_api_keys[jwt.issuer]]
        actor = await _authenticate_internal_client(jwt, secrets, acting_user, database)
    else:
        issuer = _parse_canonical_uuid(jwt.issuer)
        if issuer is None:
            raise Unauthenticated(UNKNOWN_KEY_MESSAGE)
        actor = await _authenticate_api_key(issuer, jwt.is_signed_by, database, signer)
    if jwt.id is not None:
        async with database.transaction() as tx:
            if not await store.claim_token_id(tx, jwt.issuer, jwt.id):
                raise Unauthenticated("The token was used before (`jti`): make one for each request.")
    return actor


async def person_actor(database: Database, user_id: UUID) -> Actor | None:
    """The actor of an active user, without a session; None when there is no active user with this id."""
    row = await _fetch_person(database, user_id, None)
    return None if row is None else _actor_from_row(row)


async def reauthenticate(
    actor: Actor, *, database: Database, store: CredentialStore, counts_as_use: bool = True
) -> Actor:
    """The actor of an open connection with its present permissions; raises `Unauthenticated` when access has ended.

    With `counts_as_use` False, for a check that no request caused, the session's last use is not updated.
    """
    if actor.api_key_id is not None and actor.key_service_id is not None:
        for key in await _fetch_keys(actor.key_service_id, database):
            if key.id == actor.api_key_id:
                return _api_key_actor(key, actor.key_service_id)
        raise Unauthenticated(UNKNOWN_KEY_MESSAGE)
    if actor.user_id is None:
        return actor
    if actor.session_id is not None:
        return await _session_actor(actor.user_id, actor.session_id, database, store, counts_as_use=counts_as_use)
    person = await person_actor(database, actor.user_id)
    if person is None:
        raise Unauthenticated(UNKNOWN_USER_MESSAGE)
    return person


async def find_ended_identities(actors: Iterable[Actor], *, database: Database) -> set[tuple[UUID | None, UUID | None]]:
    """Identities of the actors that are no longer valid, in one statement for all."""
    actors = [actor for actor in actors if actor.signed_in]
    ids = {
        "keys": [actor.api_key_id for actor in actors if actor.api_key_id],
        "users": [actor.user_id for actor in actors if actor.user_id and not actor.api_key_id],
        "sessions": [actor.session_id for actor in actors if actor.session_id],
    }
    rows = await _fetch_rows(database, _SELECT_VALID_IDENTITIES, ids) if actors else ()
    valid = {(row.caller_id, row.session_id) for row in rows}
    return {actor.identity for actor in actors} - valid


async def _authenticate_session_token(token: str, database: Database, store: CredentialStore, signer: Signer) -> Actor:
    try:
        user_id, session_id = tokens.parse_session_token(signer, token)
    except tokens.InvalidToken as error:
        raise Unauthenticated("The session's token is broken: sign in again.") from error
    return await _session_actor(user_id, session_id, database, store)


async def _session_actor(
    user_id: UUID, session_id: UUID, database: Database, store: CredentialStore, *, counts_as_use: bool = True
) -> Actor:
    row = await _fetch_person(database, user_id, session_id)
    if row is None or row.session_fault is not None:
        raise Unauthenticated(SESSION_FAULT_MESSAGES[_ENDED if row is None else row.session_fault])
    if counts_as_use and models.utcnow() - row.last_used_at >= LAST_USED_INTERVAL:
        # The session is valid all the same when the database cannot take the write now.
        with contextlib.suppress(Unavailable, DBAPIError):
            async with database.transaction() as tx:
                await store.record_session_use(tx, session_id)
    return _actor_from_row(row)


async def _authenticate_internal_client(
    jwt: jwts.Jwt, secrets: Sequence[str], acting_user: str | None, database: Database
) -> Actor:
    if not any([jwt.is_signed_by(secret) for secret in secrets if secret]):  # noqa: C419 - all are compared, against timing attacks
        raise Unauthenticated("The token was not signed with a secret of its issuer.")
    if acting_user is None:
        raise Unauthenticated("Send the id of the user for whom you act in the header X-Notify-User-Id.")
    user_id = _parse_canonical_uuid(acting_user.strip())
    actor = None if user_id is None else await person_actor(database, user_id)
    if actor is None:
        raise Unauthenticated(UNKNOWN_USER_MESSAGE)
    return actor


async def _authenticate_api_key(
    service_id: UUID, verify_secret: Callable[[str], bool], database: Database, signer: Signer
) -> Actor:
    rows = await _fetch_keys(service_id, database)
    secrets = [(row, _unsign_secret(row.secret, signer)) for row in rows]
    # All are compared, against timing attacks.
    matches = [row for row, secret in secrets if secret is not None and verify_secret(secret)]
    if not matches:
        raise Unauthenticated(UNKNOWN_KEY_MESSAGE)
    return _api_key_actor(matches[0], service_id)


def _api_key_actor(key: Any, service_id: UUID) -> Actor:
    if key.fault is not None:
        raise Unauthenticated(KEY_FAULT_MESSAGES[key.fault])
    return Actor(
        ActorKind.KEY,
        api_key_id=key.id,
        key_type=KeyType(key.key_type),
        permissions={service_id: API_KEY_PERMISSIONS},
        messages_per_minute=key.rate_limit,
    )


def _unsign_secret(signed: str, signer: Signer) -> str | None:
    """A key's secret; None when its signature is invalid, or when it is empty, which is no secret."""
    try:
        secret = signer.unsign(signed)
    except (BadSignature, ValueError):
        return None
    return secret if isinstance(secret, str) and secret else None


def _parse_full_api_key(token: str) -> tuple[UUID, str] | None:
    """The service id and the secret of a key sent whole: name, service id and secret, joined by hyphens.

    It is read from its end; the name is ignored.
    """
    service_id = _parse_canonical_uuid(token[-_KEY_CHARACTERS : -_UUID_CHARACTERS - 1])
    secret = _parse_canonical_uuid(token[-_UUID_CHARACTERS:])
    hyphens = token[-_UUID_CHARACTERS - 1 : -_UUID_CHARACTERS] == "-" and token[
        -_KEY_CHARACTERS - 1 : -_KEY_CHARACTERS
    ] in {"", "-"}
    return (service_id, token[-_UUID_CHARACTERS:]) if service_id and secret and hyphens else None


def _constant_time_equal(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def _parse_canonical_uuid(text: str) -> UUID | None:
    """The UUID of a canonical text, in upper or lower case; None for any other text."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None


async def _fetch_keys(service_id: UUID, database: Database) -> Sequence[Any]:
    return await _fetch_rows(database, _SELECT_KEYS, {"service_id": service_id})


async def _fetch_person(database: Database, user_id: UUID, session_id: UUID | None) -> Any:
    ids = {"user_id": user_id, "session_id": session_id}
    return next(iter(await _fetch_rows(database, _SELECT_PERSON, ids)), None)


async def _fetch_rows(database: Database, statement: Any, values: Mapping[str, Any]) -> Sequence[Any]:
    now = models.utcnow()
    times = {"now": now, "idle_since": now - ADMIN_IDLE_TIMEOUT, "revoked_since": now - REVOKED_KEY_RETENTION}

    async def find(connection: AsyncConnection) -> Sequence[Any]:
        return (await connection.execute(statement, {**times, **values})).all()

    return await database.read(find)


def _actor_from_row(row: Any) -> Actor:
    return Actor(
        ActorKind.ADMIN if row.platform_admin else ActorKind.PERSON,
        user_id=row.id,
        session_id=row.session_id,
        permissions={
            UUID(service_id): frozenset(_PERMISSIONS_BY_VALUE[name] for name in names if name in _PERMISSIONS_BY_VALUE)
            for service_id, names in (row.permissions or {}).items()
        },
        organisation_ids=frozenset(row.organisation_ids or ()),
    )


def _timestamp(name: str) -> Any:
    return bindparam(name, type_=models.Session.expires_at.type)


_KEY_FAULT = case(
    (models.Service.active.is_(False), _ARCHIVED),
    (
        models.ApiKeyLifetime.expires_at <= func.coalesce(models.ApiKeyLifetime.revoked_at, _timestamp("now")),
        _EXPIRED,
    ),
    (or_(models.ApiKey.expiry_date.is_not(None), models.ApiKeyLifetime.revoked_at.is_not(None)), _REVOKED),
)
"""Why a key is not valid, a key of `KEY_FAULT_MESSAGES`; null for a valid one."""

_SESSION_FAULT = case(
    ((models.User.current_session_id == models.Session.id).is_not(true()), _ENDED),
    (models.Session.expires_at <= _timestamp("now"), _EXPIRED),
    (models.User.platform_admin & (models.Session.last_used_at < _timestamp("idle_since")), _IDLE),
)
"""Why a session is not valid, a key of `SESSION_FAULT_MESSAGES`; null for a valid one."""


def _keys_statement() -> Any:
    """The keys of a service, those revoked lately too."""
    key, lifetime = models.ApiKey, models.ApiKeyLifetime
    return (
        select(models.Service.rate_limit, key.id, key.key_type, key.secret, _KEY_FAULT.label("fault"))
        .join_from(models.Service, key, key.service_id == models.Service.id)
        .outerjoin(lifetime, lifetime.api_key_id == key.id)
        .where(
            models.Service.id == bindparam("service_id"),
            or_(key.expiry_date.is_(None), key.expiry_date > _timestamp("revoked_since")),
        )
    )


def _person_statement() -> Any:
    """A user, the session, the permissions in each active service, and the active organisations."""
    user, session, member, granted = (
        models.User,
        models.Session,
        models.ServiceMembership,
        models.ServiceMemberPermission,
    )
    user_id: Any = bindparam("user_id", type_=user.id.type)
    permissions = func.coalesce(
        func.array_agg(cast(granted.permission, Text)).filter(granted.id.is_not(None)), cast([], ARRAY(Text))
    )
    services = (
        select(member.service_id, permissions.label("permissions"))
        .join(models.Service, models.Service.id == member.service_id)
        .outerjoin(granted, and_(granted.user_id == member.user_id, granted.service_id == member.service_id))
        .where(member.user_id == user_id, models.Service.active)
        .group_by(member.service_id)
        .subquery()
    )
    organisations = (
        select(func.array_agg(models.OrganisationMembership.organisation_id))
        .join(models.Organisation, models.Organisation.id == models.OrganisationMembership.organisation_id)
        .where(models.OrganisationMembership.user_id == user_id, models.Organisation.active)
    )
    return (
        select(
            user.id,
            user.platform_admin,
            session.id.label("session_id"),
            session.last_used_at,
            _SESSION_FAULT.label("session_fault"),
            select(func.json_object_agg(services.c.service_id, services.c.permissions))
            .scalar_subquery()
            .label("permissions"),
            organisations.scalar_subquery().label("organisation_ids"),
        )
        .outerjoin(
            session,
            and_(session.user_id == user.id, session.id == bindparam("session_id", type_=session.id.type)),
        )
        .where(user.id == user_id, user.state == "active")
    )


def _valid_identities_statement() -> Any:
    """Identities, among some keys, sessions, and users without a session, that are still valid."""
    key, lifetime, user, session = models.ApiKey, models.ApiKeyLifetime, models.User, models.Session

    def any_of(name: str) -> Any:
        return any_(bindparam(name, type_=ARRAY(Uuid())))

    keys = (
        select(key.id.label("caller_id"), cast(None, Uuid()).label("session_id"))
        .join(models.Service, models.Service.id == key.service_id)
        .outerjoin(lifetime, lifetime.api_key_id == key.id)
        .where(key.id == any_of("keys"), _KEY_FAULT.is_(None))
    )
    people = select(user.id, cast(None, Uuid())).where(user.id == any_of("users"), user.state == "active")
    sessions = (
        select(user.id, session.id)
        .join(session, session.user_id == user.id)
        .where(
            user.id == any_of("users"),
            session.id == any_of("sessions"),
            user.state == "active",
            _SESSION_FAULT.is_(None),
        )
    )
    return union_all(keys, people, sessions)


_SELECT_KEYS, _SELECT_PERSON, _SELECT_VALID_IDENTITIES = (
    _keys_statement(),
    _person_statement(),
    _valid_identities_statement(),
)
