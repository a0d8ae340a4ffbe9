"""API keys: credentials of programs that act for a service; their plaintext is returned once."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from sqlalchemy import select

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.content import names
from graphql_api.domain import checks, conflicting_rows, notify_compatibility, versions
from graphql_api.domain.service_states import LIVE, TRIAL, require_active
from graphql_api.enums import KeyType, ServicePermission, UserErrorCode
from graphql_api.errors import AlreadyExists, IllegalState, Invalid, raise_problems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.auth.crypto import Signer

SHOWN_SECRET_CHARACTERS = 8
"""Length of a secret's prefix that is shown."""


class NewApiKey(NamedTuple):
    """An API key and its plaintext, `<name>-<service id>-<secret>`."""

    api_key: models.ApiKey
    plaintext: str


async def create(
    tx: AsyncSession,
    actor: Actor,
    *,
    signer: Signer,
    service_id: UUID,
    name: str,
    type: KeyType,  # noqa: A002 - the contract's word
    expires_at: datetime | None = None,
) -> NewApiKey:
    """Create an API key; its secret is stored signed. `expires_at` is naive UTC."""
    # Locked, so that it is not archived meanwhile.
    service = await visibility.find_visible(tx, actor, models.Service, service_id, "service_id", lock=True)
    actor.require(ServicePermission.MANAGE_API_KEYS, service.id, "service_id")
    user_id = actor.require_person()
    require_active(service)
    raise_problems([*_validate(service, name, type, expires_at), *await _name_conflicts(tx, actor, service_id, name)])
    secret = str(uuid4())
    key = models.ApiKey(
        service_id=service_id,
        name=name.strip(),
        secret=signer.sign(secret),
        key_type=type,
        created_by_id=user_id,
        expiry_date=None,
    )
    tx.add_all([key, key.snapshot()])
    await tx.flush()
    if expires_at is not None:
        tx.add(models.ApiKeyLifetime(api_key_id=key.id, expires_at=expires_at))
        await tx.flush()
    return NewApiKey(key, f"{names.api_key_prefix(key.name)}-{service_id}-{secret}")


async def revoke(tx: AsyncSession, actor: Actor, *, api_key_id: UUID) -> models.ApiKey:
    """Revoke a key; a second call changes nothing."""
    key = await visibility.find_visible(tx, actor, models.ApiKey, api_key_id, "api_key_id", lock=True)
    if not actor.platform_wide:
        actor.require(ServicePermission.MANAGE_API_KEYS, key.service_id, "api_key_id")
    if key.expiry_date is None:
        lifetime = await tx.get(models.ApiKeyLifetime, key.id)
        expire(tx, actor, key, lifetime, for_notify=await notify_compatibility.is_enabled(tx))
        await tx.flush()
    return key


async def revoke_expired(tx: AsyncSession, actor: Actor, *, limit: int = 1_000) -> int:
    """Revoke expired keys beside Notify, which does not read expiry dates and would accept them.

    At most `limit` at a time; returns how many.
    """
    actor.require_platform_admin()
    if not await notify_compatibility.is_enabled(tx):
        return 0
    key, lifetime = models.ApiKey, models.ApiKeyLifetime
    rows = await tx.execute(
        select(key, lifetime)
        .join(lifetime, lifetime.api_key_id == key.id)
        .where(key.expiry_date.is_(None), lifetime.expires_at <= models.utcnow())
        .limit(limit)
        .with_for_update(of=key, key_share=True, skip_locked=True)
    )
    expired = rows.all()
    for api_key, key_lifetime in expired:
        expire(tx, actor, api_key, key_lifetime, for_notify=True)
    await tx.flush()
    return len(expired)


def expire(
    tx: AsyncSession, actor: Actor, key: models.ApiKey, lifetime: models.ApiKeyLifetime | None, *, for_notify: bool
) -> None:
    """Revoke a key now, as its last version.

    The history row names the caller. `for_notify` writes the caller to the key itself too, as Notify does; its creator
    is then in the first version.
    """
    now = models.utcnow()
    key.expiry_date = now
    history = versions.increment(key, now)
    history.created_by_id = actor.user_id or key.created_by_id
    if for_notify:
        key.created_by_id = history.created_by_id
    tx.add(history)
    if lifetime is None:
        lifetime = models.ApiKeyLifetime(api_key_id=key.id)
        tx.add(lifetime)
    lifetime.revoked_at = now
    lifetime.revoked_by_id = actor.user_id


def shown_prefix(signed_secret: str) -> str:
    """The first eight characters of a stored secret, to distinguish keys; the signature is not verified."""
    payload = signed_secret.rpartition(".")[0]
    raw = base64.urlsafe_b64decode(payload.lstrip(".") + "=" * (-len(payload.lstrip(".")) % 4))
    secret: str = json.loads(zlib.decompress(raw) if payload.startswith(".") else raw)
    return secret[:SHOWN_SECRET_CHARACTERS]


def _validate(
    service: models.Service, name: str, key_type: KeyType, expires_at: datetime | None
) -> Iterator[Invalid | IllegalState]:
    yield from checks.required_name(name, "name")
    if key_type is KeyType.LIVE and service.restricted:
        yield IllegalState(
            "A service in trial cannot have a live key: make a team or a test key.",
            "type",
            current=TRIAL,
            allowed=[LIVE],
            code=UserErrorCode.SERVICE_IN_TRIAL_MODE,
        )
    if expires_at is not None and expires_at <= models.utcnow():
        yield Invalid("The expiry must be in the future.", "expires_at", code=UserErrorCode.OUT_OF_RANGE)


async def _name_conflicts(tx: AsyncSession, actor: Actor, service_id: UUID, name: str) -> list[AlreadyExists]:
    row = models.ApiKey
    return await conflicting_rows.name_conflicts(
        tx,
        actor,
        row,
        name,
        row.service_id == service_id,
        row.name == name.strip(),
        row.expiry_date.is_(None),
        message="A live API key of this service has this name.",
    )
