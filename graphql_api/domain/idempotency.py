"""Idempotency keys: a repeated call returns the stored result of the first, and writes nothing."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from graphql_api import models
from graphql_api.content.values import is_storable
from graphql_api.database.sqlstates import sqlstate
from graphql_api.enums import UserErrorCode
from graphql_api.errors import IdempotencyConflict, Invalid, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor

KEY_LIFETIME = timedelta(hours=24)
MAX_KEY_CHARACTERS = 255
LOCK_NOT_AVAILABLE_SQLSTATE = "55P03"


@dataclass(frozen=True, slots=True)
class IdempotentCall:
    """One call of a mutation, with an idempotency key or without one.

        call = await idempotency.begin(tx, actor, "createTemplate", key, arguments)
        if call.stored_result is not None:
            return await visibility.find_visible(tx, actor, models.Template, UUID(call.stored_result["template_id"]))
        ...
        await call.store_result(tx, {"template_id": str(template.id)})

    `stored_result` is the result of the first call; None if this is the first.
    """

    caller: str = ""
    key: str | None = None
    stored_result: dict[str, Any] | None = None

    async def store_result(self, tx: AsyncSession, result: dict[str, Any]) -> None:
        """Store the result (JSON) for repetitions of the call; nothing without a key."""
        if self.key is not None:
            row = await tx.get_one(models.IdempotencyKey, (self.caller, self.key))
            row.result = result
            await tx.flush()


async def begin(
    tx: AsyncSession, actor: Actor, mutation: str, key: str | None, arguments: Mapping[str, Any]
) -> IdempotentCall:
    """Claim a key in this transaction, or load the result of its first call; without a key nothing is done.

    A rollback releases the key. While another transaction has claimed it, this one waits, up to the lock timeout.
    Raises `IdempotencyConflict` when the key was used with other arguments, or the wait has timed out.
    """
    if key is None:
        return IdempotentCall()
    check_key(key)
    caller, fingerprint, now = caller_identity(actor), compute_fingerprint(mutation, arguments), models.utcnow()
    row = {"caller": caller, "key": key, "mutation": mutation, "fingerprint": fingerprint, "created_at": now}
    claim = insert(models.IdempotencyKey).values(row | {"result": None})
    try:
        claimed = await tx.execute(
            claim.on_conflict_do_update(
                index_elements=["caller", "key"],
                set_={name: claim.excluded[name] for name in ("mutation", "fingerprint", "created_at", "result")},
                where=models.IdempotencyKey.created_at < now - KEY_LIFETIME,
            ).returning(models.IdempotencyKey.key)
        )
    except DBAPIError as error:
        if sqlstate(error) != LOCK_NOT_AVAILABLE_SQLSTATE:
            raise
        raise _in_progress_error(now) from error
    if claimed.first():
        return IdempotentCall(caller, key)
    return IdempotentCall(caller, key, await _load_result(tx, caller, key, fingerprint))


async def find_call(
    tx: AsyncSession, actor: Actor, mutation: str, key: str | None, arguments: Mapping[str, Any]
) -> IdempotentCall:
    """Load the result of the first call with a key without claiming it; for long work before the writes."""
    if key is None:
        return IdempotentCall()
    check_key(key)
    caller = caller_identity(actor)
    return IdempotentCall(caller, key, await _load_result(tx, caller, key, compute_fingerprint(mutation, arguments)))


async def delete_expired(tx: AsyncSession) -> int:
    """Delete expired keys; returns how many."""
    statement = delete(models.IdempotencyKey).where(models.IdempotencyKey.created_at < models.utcnow() - KEY_LIFETIME)
    return len((await tx.execute(statement.returning(models.IdempotencyKey.key))).all())


def check_key(key: str) -> None:
    """Raise `Invalid` for a key that cannot be stored."""
    if not key:
        raise Invalid("An idempotency key cannot be empty.", "idempotency_key", code=UserErrorCode.REQUIRED)
    if len(key) > MAX_KEY_CHARACTERS:
        message = f"An idempotency key can have at most {MAX_KEY_CHARACTERS} characters."
        raise Invalid(message, "idempotency_key", code=UserErrorCode.TOO_LONG)
    if not is_storable(key):
        raise Invalid("The idempotency key has characters that cannot be stored.", "idempotency_key")


def caller_identity(actor: Actor) -> str:
    """The owner of keys, as text: a user or an API key. Raises `Unauthenticated`."""
    if actor.api_key_id is not None:
        return f"key:{actor.api_key_id}"
    if actor.user_id is not None:
        return f"user:{actor.user_id}"
    raise Unauthenticated


def compute_fingerprint(mutation: str, arguments: Mapping[str, Any]) -> str:
    """SHA-256 of a call, in hex; the order of the arguments does not matter."""
    canonical = json.dumps([mutation, arguments], default=_json_default, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _json_default(value: Any) -> Any:
    """Bytes as their hash, sets sorted, any other value as its text."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def _in_progress_error(first_call_at: datetime) -> IdempotencyConflict:
    message = "The first call with this idempotency key is still running: try again in a moment."
    return IdempotencyConflict(message, UserErrorCode.IDEMPOTENCY_KEY_IN_PROGRESS, first_call_at)


async def _load_result(tx: AsyncSession, caller: str, key: str, fingerprint: str) -> dict[str, Any] | None:
    """The result of a key's first call; None if there is none. Raises `IdempotencyConflict`."""
    row = models.IdempotencyKey
    stored = (
        await tx.execute(
            select(row.fingerprint, row.result, row.created_at).where(
                row.caller == caller, row.key == key, row.created_at >= models.utcnow() - KEY_LIFETIME
            )
        )
    ).first()
    if stored is None:
        return None
    if stored.fingerprint != fingerprint:
        message = "This idempotency key was used with other arguments: use a new one."
        raise IdempotencyConflict(message, UserErrorCode.IDEMPOTENCY_KEY_REUSED, stored.created_at)
    if stored.result is None:
        raise _in_progress_error(stored.created_at)
    result: dict[str, Any] = stored.result
    return result
