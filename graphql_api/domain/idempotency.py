"""Requests repeated with the same key: the first one's answer again, and nothing done twice."""

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
    """One mutation asked for with a key, or without one.

        call = await idempotency.begin(tx, actor, "createTemplate", key, arguments)
        if call.answer is not None:
            return await access.find(tx, actor, models.Template, UUID(call.answer["template_id"]))
        ...
        await call.finish(tx, {"template_id": str(template.id)})

    `answer` is what the first call kept; None when this is the first.
    """

    caller: str = ""
    key: str | None = None
    stored_result: dict[str, Any] | None = None

    async def store_result(self, tx: AsyncSession, result: dict[str, Any]) -> None:
        """Keep the answer (JSON), for whoever repeats the call; it is there once the transaction commits."""
        if self.key is not None:
            row = await tx.get_one(models.IdempotencyKey, (self.caller, self.key))
            row.result = result
            await tx.flush()


async def begin(
    tx: AsyncSession, actor: Actor, mutation: str, key: str | None, arguments: Mapping[str, Any]
) -> IdempotentCall:
    """Claim a key for this transaction, or find what its first call answered; without a key there is nothing to do.

    A rollback gives the key back, so that a refusal keeps nothing. While another transaction holds the key, this one
    waits for it, as long as the database lets it wait for a lock. Raises `IdempotencyConflict` when the key came with
    other arguments, or when the wait is over.
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
    """Find what the first call with a key answered, without claiming the key: before long work that ends in writes."""
    if key is None:
        return IdempotentCall()
    check_key(key)
    caller = caller_identity(actor)
    return IdempotentCall(caller, key, await _load_result(tx, caller, key, compute_fingerprint(mutation, arguments)))


async def delete_expired(tx: AsyncSession) -> int:
    """Delete the keys that no longer count; answers how many."""
    old = delete(models.IdempotencyKey).where(models.IdempotencyKey.created_at < models.utcnow() - KEY_LIFETIME)
    return len((await tx.execute(old.returning(models.IdempotencyKey.key))).all())


def check_key(key: str) -> None:
    """Refuse a key that cannot be kept."""
    if not key:
        raise Invalid("An idempotency key cannot be empty.", "idempotency_key", code=UserErrorCode.REQUIRED)
    if len(key) > MAX_KEY_CHARACTERS:
        message = f"An idempotency key can have at most {MAX_KEY_CHARACTERS} characters."
        raise Invalid(message, "idempotency_key", code=UserErrorCode.TOO_LONG)
    if not is_storable(key):
        raise Invalid("The idempotency key has characters that cannot be stored.", "idempotency_key")


def caller_identity(actor: Actor) -> str:
    """Whose keys they are: each person and each API key has their own."""
    if actor.api_key_id is not None:
        return f"key:{actor.api_key_id}"
    if actor.user_id is not None:
        return f"user:{actor.user_id}"
    raise Unauthenticated


def compute_fingerprint(mutation: str, arguments: Mapping[str, Any]) -> str:
    """A hash of what was asked: equal for equal arguments, in whatever order their names stand."""
    canonical = json.dumps([mutation, arguments], default=_json_default, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _json_default(value: Any) -> Any:
    """What JSON does not know: bytes by their hash, sets in order, anything else as its text."""
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def _in_progress_error(first_call_at: datetime) -> IdempotencyConflict:
    message = "The first call with this idempotency key is still running: try again in a moment."
    return IdempotencyConflict(message, UserErrorCode.IDEMPOTENCY_KEY_IN_PROGRESS, first_call_at)


async def _load_result(tx: AsyncSession, caller: str, key: str, fingerprint: str) -> dict[str, Any] | None:
    """What a key's first call answered; None where there is none. A call of our own transaction has no answer yet."""
    row = models.IdempotencyKey
    found = (
        await tx.execute(
            select(row.fingerprint, row.result, row.created_at).where(
                row.caller == caller, row.key == key, row.created_at >= models.utcnow() - KEY_LIFETIME
            )
        )
    ).first()
    if found is None:
        return None
    if found.fingerprint != fingerprint:
        message = "This idempotency key was used with other arguments: use a new one."
        raise IdempotencyConflict(message, UserErrorCode.IDEMPOTENCY_KEY_REUSED, found.created_at)
    if found.result is None:
        raise _in_progress_error(found.created_at)
    result: dict[str, Any] = found.result
    return result
