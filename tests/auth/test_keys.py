"""API keys as bearer tokens, whole or as the secret of a JWT, and why they are refused."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import NamedTuple
from uuid import uuid4

import pytest
from sqlalchemy import select

from graphql_api import models
from graphql_api.auth import authentication
from graphql_api.auth.actors import API_KEY_PERMISSIONS, Actor, ActorKind
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.enums import KeyType
from tests.auth.conftest import API_KEY_SECRET, execute_sql
from tests.builders import Builders
from tests.conftest import Statements
from tests.jwt_builders import Authenticator, jwt

# The development keys with which Notify signs the stored secret below.
NOTIFY_KEYS = Signer((b"dev-notify-secret-key",), b"dev-notify-salt")


class ServiceWithKey(NamedTuple):
    """A service with a key whose secret is known."""

    service: models.Service
    key: models.ApiKey


@pytest.fixture
async def service_with_key(make: Builders) -> ServiceWithKey:
    """A live service with a live key, beside other keys."""
    service = await make.service()
    await make.api_key(service)
    key = await make.api_key(service, secret=API_KEY_SECRET)
    await make.api_key(service, KeyType.TEST)
    return ServiceWithKey(service, key)


async def test_without_a_token_the_actor_is_anonymous(authenticator: Authenticator) -> None:
    assert await authenticator(None) == Actor.anonymous()


async def test_a_token_signed_with_a_key_is_an_actor_of_its_service(
    authenticator: Authenticator, service_with_key: ServiceWithKey
) -> None:
    actor = await authenticator(jwt(str(service_with_key.service.id), API_KEY_SECRET))

    assert actor == Actor(
        ActorKind.KEY,
        api_key_id=service_with_key.key.id,
        key_type=KeyType.LIVE,
        permissions={service_with_key.service.id: API_KEY_PERMISSIONS},
    )


@pytest.mark.parametrize("name", ["", "my_key", "a-b-c", "dotted.name.here", "d6aa2c68-a2d9-4437-ab19-3ae8eb202553"])
async def test_the_whole_key_is_a_token(
    authenticator: Authenticator, service_with_key: ServiceWithKey, name: str
) -> None:
    whole = f"{service_with_key.service.id}-{API_KEY_SECRET}"

    actor = await authenticator(f"{name}-{whole}" if name else whole)

    assert (actor.api_key_id, actor.key_service_id) == (service_with_key.key.id, service_with_key.service.id)


@pytest.mark.parametrize("kind", KeyType)
async def test_a_key_keeps_its_type(authenticator: Authenticator, make: Builders, kind: KeyType) -> None:
    service = await make.service()
    await make.api_key(service, kind, secret=API_KEY_SECRET)

    assert (await authenticator(jwt(str(service.id), API_KEY_SECRET))).key_type is kind


async def test_a_key_costs_one_statement(
    authenticator: Authenticator, service_with_key: ServiceWithKey, statements: Statements
) -> None:
    with statements(1):
        await authenticator(jwt(str(service_with_key.service.id), API_KEY_SECRET))


async def test_a_key_as_notify_stores_it_is_accepted(
    authenticator: Authenticator, make: Builders, database: Database
) -> None:
    service = await make.service()
    stored = "ImY3NTg0NWIxLWNkMjktNDBjNC1hZWI2LTdkZGM0MmI5ODQwZCI.T47Tho2Pwq-aRMja07pXgNNtbGw"
    key = await make.api_key(service)
    await execute_sql(database, "UPDATE api_keys SET secret = :stored WHERE id = :id", stored=stored, id=key.id)

    assert (await authenticator(jwt(str(service.id), API_KEY_SECRET), signer=NOTIFY_KEYS)).api_key_id == key.id


async def test_keys_of_an_archived_service_are_refused(authenticator: Authenticator, make: Builders) -> None:
    service = await make.service(active=False)
    await make.api_key(service, secret=API_KEY_SECRET)

    expected = "The service of this API key is archived, so its keys are no longer accepted."
    assert await authenticator.rejection_message(jwt(str(service.id), API_KEY_SECRET)) == expected
    assert await authenticator.rejection_message(f"key-{service.id}-{API_KEY_SECRET}") == expected


@pytest.mark.parametrize("ended", [timedelta(seconds=-1), timedelta(days=-6), timedelta(days=30)])
async def test_a_key_with_any_expiry_date_is_revoked(
    authenticator: Authenticator, make: Builders, ended: timedelta
) -> None:
    service = await make.service()
    await make.api_key(service, secret=API_KEY_SECRET, expiry_date=models.utcnow() + ended)

    expected = "This API key was revoked: make a new one, and use that."
    assert await authenticator.rejection_message(jwt(str(service.id), API_KEY_SECRET)) == expected


async def test_a_key_revoked_long_ago_is_unknown(authenticator: Authenticator, make: Builders) -> None:
    service = await make.service()
    await make.api_key(service, secret=API_KEY_SECRET, expiry_date=models.utcnow() - timedelta(days=8))

    assert (
        await authenticator.rejection_message(jwt(str(service.id), API_KEY_SECRET))
        == authentication.UNKNOWN_KEY_MESSAGE
    )


async def test_an_expired_key_is_refused(authenticator: Authenticator, make: Builders) -> None:
    service = await make.service()
    key = await make.api_key(service, secret=API_KEY_SECRET)
    await make.add(models.ApiKeyLifetime(api_key_id=key.id, expires_at=models.utcnow() - timedelta(seconds=1)))

    expected = "This API key has expired: make a new one, and use that."
    assert await authenticator.rejection_message(jwt(str(service.id), API_KEY_SECRET)) == expected


async def test_a_key_is_valid_until_it_expires(authenticator: Authenticator, make: Builders) -> None:
    service = await make.service()
    key = await make.api_key(service, secret=API_KEY_SECRET)
    await make.add(models.ApiKeyLifetime(api_key_id=key.id, expires_at=models.utcnow() + timedelta(minutes=1)))

    assert (await authenticator(jwt(str(service.id), API_KEY_SECRET))).api_key_id == key.id


async def test_the_reason_is_given_only_to_the_holder_of_the_secret(
    authenticator: Authenticator, make: Builders
) -> None:
    archived = await make.service(active=False)
    await make.api_key(archived, secret=API_KEY_SECRET, expiry_date=models.utcnow())

    assert await authenticator.rejection_message(jwt(str(archived.id), "another")) == authentication.UNKNOWN_KEY_MESSAGE
    assert (
        await authenticator.rejection_message(jwt(str(uuid4()), API_KEY_SECRET)) == authentication.UNKNOWN_KEY_MESSAGE
    )
    assert (
        await authenticator.rejection_message(f"key-{uuid4()}-{API_KEY_SECRET}") == authentication.UNKNOWN_KEY_MESSAGE
    )
    assert await authenticator.rejection_message(f"key-{archived.id}-{uuid4()}") == authentication.UNKNOWN_KEY_MESSAGE


async def test_a_key_of_another_service_is_refused(authenticator: Authenticator, make: Builders) -> None:
    other = await make.service()
    await make.api_key(other)

    assert (
        await authenticator.rejection_message(jwt(str(other.id), API_KEY_SECRET)) == authentication.UNKNOWN_KEY_MESSAGE
    )
    assert (
        await authenticator.rejection_message(f"key-{other.id}-{API_KEY_SECRET}") == authentication.UNKNOWN_KEY_MESSAGE
    )


@pytest.mark.parametrize("stored", ["", "nonsense", "e30.AAAA", "IiI"])
async def test_a_stored_secret_that_cannot_be_read_matches_nothing(
    authenticator: Authenticator, make: Builders, stored: str, database: Database
) -> None:
    service = await make.service()
    key = await make.api_key(service)
    await execute_sql(database, "UPDATE api_keys SET secret = :stored WHERE id = :id", stored=stored, id=key.id)

    assert await authenticator.rejection_message(jwt(str(service.id), "")) == authentication.UNKNOWN_KEY_MESSAGE
    assert await authenticator.rejection_message(jwt(str(service.id), "None")) == authentication.UNKNOWN_KEY_MESSAGE


async def test_the_acting_user_is_ignored_with_an_api_key(
    authenticator: Authenticator, make: Builders, service_with_key: ServiceWithKey
) -> None:
    admin = await make.user(platform_admin=True)

    actor = await authenticator(jwt(str(service_with_key.service.id), API_KEY_SECRET), str(admin.id))

    assert (actor.kind, actor.user_id) == (ActorKind.KEY, None)


async def test_a_token_with_a_jti_is_accepted_once(
    authenticator: Authenticator, service_with_key: ServiceWithKey, database: Database
) -> None:
    token = jwt(str(service_with_key.service.id), API_KEY_SECRET, jti="once")

    assert (await authenticator(token)).api_key_id == service_with_key.key.id
    assert (
        await authenticator.rejection_message(token) == "The token was used before (`jti`): make one for each request."
    )
    assert await authenticator.rejection_message(
        jwt(str(service_with_key.service.id), API_KEY_SECRET, jti="once", iat=int(time.time()) - 1)
    ) == ("The token was used before (`jti`): make one for each request.")
    assert (
        await authenticator(jwt(str(service_with_key.service.id), API_KEY_SECRET, jti="again"))
    ).api_key_id == service_with_key.key.id
    async with database.read_connection() as connection:
        callers = await connection.scalars(
            select(models.IdempotencyKey.caller).where(models.IdempotencyKey.caller.startswith("token:"))
        )
        assert callers.all() == [f"token:{service_with_key.service.id}"] * 2


async def test_a_token_with_a_wrong_signature_claims_no_jti(
    authenticator: Authenticator, service_with_key: ServiceWithKey
) -> None:
    await authenticator.rejection_message(jwt(str(service_with_key.service.id), "another", jti="mine"))

    assert (
        await authenticator(jwt(str(service_with_key.service.id), API_KEY_SECRET, jti="mine"))
    ).api_key_id == service_with_key.key.id
