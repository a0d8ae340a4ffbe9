"""Idempotency keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_api import models
from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.database.database import Database
from graphql_api.domain import idempotency
from graphql_api.enums import UserErrorCode
from graphql_api.errors import IdempotencyConflict, Invalid, Unauthenticated
from tests.builders import stranger
from tests.waiting import until_one_waits_for_a_lock

ARGUMENTS = {"name": "a", "content": {"b": [1, None, "x"]}}


async def call(
    database: Database, actor: Actor, key: str | None, arguments: dict[str, Any] = ARGUMENTS, answer: str = "first"
) -> dict[str, Any] | None:
    """Run one mutation; returns its result, or that of the first call."""
    async with database.transaction() as tx:
        idempotent_call = await idempotency.begin(tx, actor, "createTemplate", key, arguments)
        if idempotent_call.stored_result is not None:
            return idempotent_call.stored_result
        await idempotent_call.store_result(tx, {"id": answer})
        return None


async def refused_call(database: Database, actor: Actor, key: str, claimed: asyncio.Event | None = None) -> None:
    """Run a mutation that raises after it has claimed its key."""
    async with database.transaction() as tx:
        await idempotency.begin(tx, actor, "createTemplate", key, ARGUMENTS)
        if claimed is not None:
            claimed.set()
            await until_one_waits_for_a_lock(database.primary)
        raise Invalid("No.")


@pytest.fixture
async def committed(engine: AsyncEngine) -> AsyncIterator[Database]:
    """A database that commits, for concurrent calls; the keys are deleted afterwards."""
    database = Database(engine)
    yield database
    async with database.transaction() as tx:
        await tx.execute(delete(models.IdempotencyKey))


async def test_a_repeated_call_returns_the_stored_result(database: Database) -> None:
    actor = stranger()

    assert await call(database, actor, "k") is None
    assert await call(database, actor, "k", answer="second") == {"id": "first"}
    assert await call(database, actor, "k", {"content": {"b": [1, None, "x"]}, "name": "a"}) == {"id": "first"}


async def test_without_a_key_nothing_is_stored(database: Database) -> None:
    actor = stranger()

    assert await call(database, actor, None) is None
    assert await call(database, actor, None) is None
    async with database.read_connection() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM idempotency_keys"))).scalar() == 0


async def test_keys_of_different_callers_are_independent(database: Database) -> None:
    key = Actor(ActorKind.KEY, api_key_id=uuid4())

    assert await call(database, stranger(), "k") is None
    assert await call(database, stranger(), "k") is None
    assert await call(database, key, "k") is None
    with pytest.raises(Unauthenticated):
        await call(database, Actor.anonymous(), "k")


@pytest.mark.parametrize("arguments", [{"name": "b"}, {"name": "a", "content": {"b": [1, None, "X"]}}, {}])
async def test_a_key_cannot_be_used_with_other_arguments(database: Database, arguments: dict[str, Any]) -> None:
    actor, before = stranger(), models.utcnow()
    await call(database, actor, "k")

    with pytest.raises(IdempotencyConflict) as raised:
        await call(database, actor, "k", arguments)

    assert raised.value.code is UserErrorCode.IDEMPOTENCY_KEY_REUSED
    assert before <= raised.value.first_used_at <= models.utcnow()


async def test_a_key_cannot_be_used_with_another_mutation(database: Database) -> None:
    actor = stranger()
    await call(database, actor, "k")

    with pytest.raises(IdempotencyConflict):
        async with database.transaction() as tx:
            await idempotency.begin(tx, actor, "createJob", "k", ARGUMENTS)


async def test_an_error_stores_nothing(database: Database) -> None:
    actor = stranger()

    with pytest.raises(Invalid):
        await refused_call(database, actor, "k")

    assert await call(database, actor, "k", {"other": 1}) is None


async def test_a_key_expires_after_a_day(database: Database) -> None:
    actor = stranger()
    await call(database, actor, "old")
    await call(database, actor, "new")
    async with database.transaction() as tx:
        await tx.execute(
            update(models.IdempotencyKey)
            .where(models.IdempotencyKey.key == "old")
            .values(created_at=models.utcnow() - timedelta(hours=24, seconds=1))
        )
        assert (await idempotency.find_call(tx, actor, "createTemplate", "old", ARGUMENTS)).stored_result is None

    assert await call(database, actor, "old", {"other": 1}) is None
    assert await call(database, actor, "new") == {"id": "first"}


async def test_expired_keys_are_deleted(database: Database) -> None:
    await call(database, stranger(), "old")
    async with database.transaction() as tx:
        await tx.execute(update(models.IdempotencyKey).values(created_at=models.utcnow() - timedelta(hours=25)))
    await call(database, stranger(), "new")

    async with database.transaction() as tx:
        assert await idempotency.delete_expired(tx) == 1
        assert await idempotency.delete_expired(tx) == 0


@pytest.mark.parametrize(
    ("key", "code"), [("", "REQUIRED"), ("k" * 256, "TOO_LONG"), ("a\0b", "INVALID"), ("\ud800", "INVALID")]
)
async def test_a_key_must_be_storable(database: Database, key: str, code: str) -> None:
    with pytest.raises(Invalid) as raised:
        await call(database, stranger(), key)
    assert (raised.value.code.name, raised.value.path) == (code, ("idempotency_key",))


async def test_a_second_call_waits_for_the_first(committed: Database) -> None:
    actor = stranger()

    async with committed.transaction() as tx:
        idempotent_call = await idempotency.begin(tx, actor, "createTemplate", "k", ARGUMENTS)
        second = asyncio.create_task(call(committed, actor, "k"))
        await until_one_waits_for_a_lock(committed.primary)
        assert not second.done()
        await idempotent_call.store_result(tx, {"id": "first"})

    assert await second == {"id": "first"}


async def test_a_second_call_runs_when_the_first_has_failed(committed: Database) -> None:
    actor, claimed = stranger(), asyncio.Event()

    first = asyncio.create_task(refused_call(committed, actor, "k", claimed))
    await claimed.wait()
    second = asyncio.create_task(call(committed, actor, "k"))

    with pytest.raises(Invalid):
        await first
    assert await second is None


async def test_a_second_call_fails_after_the_lock_timeout(committed: Database) -> None:
    actor = stranger()

    async def impatient() -> None:
        async with committed.transaction() as tx:
            await tx.execute(text("SET LOCAL lock_timeout = '50ms'"))
            await idempotency.begin(tx, actor, "createTemplate", "k", ARGUMENTS)

    async with committed.transaction() as tx:
        await idempotency.begin(tx, actor, "createTemplate", "k", ARGUMENTS)
        with pytest.raises(IdempotencyConflict) as raised:
            await impatient()
        await tx.rollback()

    assert raised.value.code is UserErrorCode.IDEMPOTENCY_KEY_IN_PROGRESS


def test_every_json_value_has_a_fingerprint() -> None:
    values = {"big": 10**19, "bytes": b"x", "id": uuid4(), "set": {"b", "a"}, "at": models.utcnow(), "bad": "\ud800"}

    assert idempotency.compute_fingerprint("m", values) == idempotency.compute_fingerprint(
        "m", dict(reversed(values.items()))
    )
    assert idempotency.compute_fingerprint("m", {"a": 1}) != idempotency.compute_fingerprint("m", {"a": "1"})
