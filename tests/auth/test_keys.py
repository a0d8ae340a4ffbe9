"""API keys as tokens, whole or signing, and what is wrong with the ones that are refused."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

import pytest
from sqlalchemy import select

from graphql_api import models
from graphql_api.auth import authentication
from graphql_api.auth.actors import OF_A_KEY, Actor, Kind
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.enums import KeyType
from tests.auth.conftest import SECRET, change
from tests.builders import Builders
from tests.conftest import Statements
from tests.jwt_builders import Door, jwt

# What one of Notify's databases holds, signed with the keys that its developers use.
NOTIFY_KEYS = Signer((b"dev-notify-secret-key",), b"dev-notify-salt")


class Keyed(NamedTuple):
    """A service that has a key with a known secret."""

    service: models.Service
    key: models.ApiKey


@pytest.fixture
async def keyed(make: Builders) -> Keyed:
    """A live service with a live key among others."""
    service = await make.service()
    await make.api_key(service)
    key = await make.api_key(service, secret=SECRET)
    await make.api_key(service, KeyType.TEST)
    return Keyed(service, key)


async def test_without_a_token_nobody_asks(door: Door) -> None:
    assert await door(None) == Actor.anonymous()


async def test_a_token_signed_with_a_key_speaks_for_its_service(door: Door, keyed: Keyed) -> None:
    actor = await door(jwt(str(keyed.service.id), SECRET))

    assert actor == Actor(
        Kind.KEY, api_key_id=keyed.key.id, key_type=KeyType.LIVE, permissions={keyed.service.id: OF_A_KEY}
    )


@pytest.mark.parametrize("name", ["", "my_key", "a-b-c", "dotted.name.here", "d6aa2c68-a2d9-4437-ab19-3ae8eb202553"])
async def test_the_whole_key_is_a_token(door: Door, keyed: Keyed, name: str) -> None:
    whole = f"{keyed.service.id}-{SECRET}"

    actor = await door(f"{name}-{whole}" if name else whole)

    assert (actor.api_key_id, actor.key_service_id) == (keyed.key.id, keyed.service.id)


@pytest.mark.parametrize("kind", KeyType)
async def test_a_key_keeps_its_type(door: Door, make: Builders, kind: KeyType) -> None:
    service = await make.service()
    await make.api_key(service, kind, secret=SECRET)

    assert (await door(jwt(str(service.id), SECRET))).key_type is kind


async def test_a_key_costs_one_statement(door: Door, keyed: Keyed, statements: Statements) -> None:
    with statements(1):
        await door(jwt(str(keyed.service.id), SECRET))


async def test_a_key_as_notify_stores_it_is_taken(door: Door, make: Builders, database: Database) -> None:
    service = await make.service()
    stored = "ImY3NTg0NWIxLWNkMjktNDBjNC1hZWI2LTdkZGM0MmI5ODQwZCI.T47Tho2Pwq-aRMja07pXgNNtbGw"
    key = await make.api_key(service)
    await change(database, "UPDATE api_keys SET secret = :stored WHERE id = :id", stored=stored, id=key.id)

    assert (await door(jwt(str(service.id), SECRET), signer=NOTIFY_KEYS)).api_key_id == key.id


async def test_an_archived_service_has_no_keys(door: Door, make: Builders) -> None:
    service = await make.service(active=False)
    await make.api_key(service, secret=SECRET)

    expected = "The service of this API key is archived, so its keys are no longer taken."
    assert await door.refusal(jwt(str(service.id), SECRET)) == expected
    assert await door.refusal(f"key-{service.id}-{SECRET}") == expected


@pytest.mark.parametrize("ended", [timedelta(seconds=-1), timedelta(days=-6), timedelta(days=30)])
async def test_a_key_with_any_expiry_date_is_revoked(door: Door, make: Builders, ended: timedelta) -> None:
    service = await make.service()
    await make.api_key(service, secret=SECRET, expiry_date=models.utcnow() + ended)

    expected = "This API key was revoked: make a new one, and use that."
    assert await door.refusal(jwt(str(service.id), SECRET)) == expected


async def test_a_key_revoked_long_ago_is_forgotten(door: Door, make: Builders) -> None:
    service = await make.service()
    await make.api_key(service, secret=SECRET, expiry_date=models.utcnow() - timedelta(days=8))

    assert await door.refusal(jwt(str(service.id), SECRET)) == authentication.UNKNOWN_KEY


async def test_a_key_ends_when_its_life_does(door: Door, make: Builders) -> None:
    service = await make.service()
    key = await make.api_key(service, secret=SECRET)
    await make.add(models.ApiKeyLifetime(api_key_id=key.id, expires_at=models.utcnow() - timedelta(seconds=1)))

    expected = "This API key has expired: make a new one, and use that."
    assert await door.refusal(jwt(str(service.id), SECRET)) == expected


async def test_a_key_lives_until_its_life_ends(door: Door, make: Builders) -> None:
    service = await make.service()
    key = await make.api_key(service, secret=SECRET)
    await make.add(models.ApiKeyLifetime(api_key_id=key.id, expires_at=models.utcnow() + timedelta(minutes=1)))

    assert (await door(jwt(str(service.id), SECRET))).api_key_id == key.id


async def test_what_is_wrong_with_a_key_is_told_to_its_holder_alone(door: Door, make: Builders) -> None:
    archived = await make.service(active=False)
    await make.api_key(archived, secret=SECRET, expiry_date=models.utcnow())

    assert await door.refusal(jwt(str(archived.id), "another")) == authentication.UNKNOWN_KEY
    assert await door.refusal(jwt(str(uuid4()), SECRET)) == authentication.UNKNOWN_KEY
    assert await door.refusal(f"key-{uuid4()}-{SECRET}") == authentication.UNKNOWN_KEY
    assert await door.refusal(f"key-{archived.id}-{uuid4()}") == authentication.UNKNOWN_KEY


async def test_a_key_of_another_service_is_not_taken(door: Door, make: Builders) -> None:
    other = await make.service()
    await make.api_key(other)

    assert await door.refusal(jwt(str(other.id), SECRET)) == authentication.UNKNOWN_KEY
    assert await door.refusal(f"key-{other.id}-{SECRET}") == authentication.UNKNOWN_KEY


@pytest.mark.parametrize("stored", ["", "nonsense", "e30.AAAA", "IiI"])
async def test_a_secret_that_cannot_be_read_fits_nothing(
    door: Door, make: Builders, stored: str, database: Database
) -> None:
    service = await make.service()
    key = await make.api_key(service)
    await change(database, "UPDATE api_keys SET secret = :stored WHERE id = :id", stored=stored, id=key.id)

    assert await door.refusal(jwt(str(service.id), "")) == authentication.UNKNOWN_KEY
    assert await door.refusal(jwt(str(service.id), "None")) == authentication.UNKNOWN_KEY


async def test_a_person_cannot_be_named_beside_a_key(door: Door, make: Builders, keyed: Keyed) -> None:
    admin = await make.user(platform_admin=True)

    actor = await door(jwt(str(keyed.service.id), SECRET), str(admin.id))

    assert (actor.kind, actor.user_id) == (Kind.KEY, None)


async def test_a_token_with_an_id_of_its_own_works_once(door: Door, keyed: Keyed, database: Database) -> None:
    token = jwt(str(keyed.service.id), SECRET, jti="once")

    assert (await door(token)).api_key_id == keyed.key.id
    assert await door.refusal(token) == "The token was used before (`jti`): make one for each request."
    assert await door.refusal(jwt(str(keyed.service.id), SECRET, jti="once", iat=int(time.time()) - 1)) == (
        "The token was used before (`jti`): make one for each request."
    )
    assert (await door(jwt(str(keyed.service.id), SECRET, jti="again"))).api_key_id == keyed.key.id
    async with database.reading() as connection:
        kept = await connection.scalars(
            select(models.IdempotencyKey.caller).where(models.IdempotencyKey.caller.startswith("token:"))
        )
        assert kept.all() == [f"token:{keyed.service.id}"] * 2


async def test_a_token_of_a_stranger_uses_up_nothing(door: Door, keyed: Keyed) -> None:
    await door.refusal(jwt(str(keyed.service.id), "another", jti="mine"))

    assert (await door(jwt(str(keyed.service.id), SECRET, jti="mine"))).api_key_id == keyed.key.id
