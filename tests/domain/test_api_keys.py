"""API keys: creation by type, storage of the secret, revocation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import api_keys
from graphql_api.enums import KeyType, ServicePermission, UserErrorCode
from graphql_api.errors import AlreadyExists, DomainError, Forbidden, IllegalState, Invalid, NotFound
from tests.builders import Builders, api_key_actor, platform_admin, stranger, user_actor

PERMISSION = ServicePermission.MANAGE_API_KEYS


class Keys:
    """Creates and revokes keys as the schema does."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self.database = database
        self.signer = signer

    async def create(self, actor: Actor, service: models.Service, **values: Any) -> api_keys.NewApiKey:
        arguments = {"name": "Ours", "type": KeyType.TEAM} | values
        async with self.database.transaction() as tx:
            return await api_keys.create(tx, actor, signer=self.signer, service_id=service.id, **arguments)

    async def revoke(self, actor: Actor, row: models.ApiKey) -> models.ApiKey:
        async with self.database.transaction() as tx:
            return await api_keys.revoke(tx, actor, api_key_id=row.id)

    async def rows(self, *columns: Any) -> list[Any]:
        async with self.database.transaction() as tx:
            return list(await tx.execute(select(*columns).order_by(*columns)))


@pytest.fixture
def keys(database: Database, signer: Signer) -> Keys:
    return Keys(database, signer)


async def test_the_plaintext_ends_with_the_service_id_and_the_secret(
    keys: Keys, make: Builders, signer: Signer
) -> None:
    service = await make.service()
    new_key = await keys.create(user_actor(await make.member(service), service), service, name=" Café  Key no. 1 ")

    secret = signer.unsign(new_key.api_key.secret)
    assert new_key.plaintext == f"cafe_key_no_1-{service.id}-{secret}"
    assert (new_key.plaintext[-36:], new_key.plaintext[-73:-37]) == (secret, str(service.id))
    assert new_key.api_key.name == "Café  Key no. 1"
    assert api_keys.shown_prefix(new_key.api_key.secret) == secret[:8]


async def test_a_new_key_has_a_first_version(keys: Keys, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service)
    new_key = await keys.create(user_actor(user, service), service)

    row = models.ApiKeyHistory
    assert await keys.rows(row.id, row.version, row.created_by_id, row.expiry_date) == [
        (new_key.api_key.id, 1, user.id, None)
    ]
    assert await keys.rows(models.ApiKeyLifetime.api_key_id) == []


async def test_a_key_with_a_future_expiry_is_live(keys: Keys, make: Builders) -> None:
    service = await make.service()
    end = models.utcnow() + timedelta(days=30)
    new_key = await keys.create(user_actor(await make.member(service), service), service, expires_at=end)

    lifetime = models.ApiKeyLifetime
    assert new_key.api_key.expiry_date is None
    assert await keys.rows(lifetime.api_key_id, lifetime.expires_at, lifetime.revoked_at) == [
        (new_key.api_key.id, end, None)
    ]


async def test_a_past_expiry_and_a_blank_name_are_reported_together(keys: Keys, make: Builders) -> None:
    service = await make.service()
    with pytest.raises(DomainError) as raised:
        await keys.create(
            user_actor(await make.member(service), service), service, name=" ", expires_at=models.utcnow()
        )

    assert [(problem.code, problem.path) for problem in raised.value.problems] == [  # type: ignore[attr-defined]
        (UserErrorCode.REQUIRED, ("name",)),
        (UserErrorCode.OUT_OF_RANGE, ("expires_at",)),
    ]
    assert await keys.rows(models.ApiKey.id) == []


async def test_a_service_in_trial_cannot_have_live_keys(keys: Keys, make: Builders) -> None:
    service = await make.service(restricted=True)
    actor = user_actor(await make.member(service), service)

    with pytest.raises(IllegalState) as raised:
        await keys.create(actor, service, type=KeyType.LIVE)
    assert (raised.value.code, raised.value.path, raised.value.current_state, raised.value.allowed_states) == (
        UserErrorCode.SERVICE_IN_TRIAL_MODE,
        ("type",),
        "TRIAL",
        ["LIVE"],
    )
    for kind in (KeyType.TEAM, KeyType.TEST):
        assert (await keys.create(actor, service, name=kind, type=kind)).api_key.key_type == kind


async def test_a_name_is_unique_until_its_key_is_revoked(keys: Keys, make: Builders) -> None:
    service, other = await make.service(), await make.service()
    actor = user_actor(await make.member(service), service)
    new_key = await keys.create(actor, service)
    await keys.create(user_actor(await make.member(other), other), other)

    with pytest.raises(AlreadyExists) as raised:
        await keys.create(actor, service, name="Ours ")
    assert raised.value.path == ("name",)
    assert isinstance(raised.value.existing, models.ApiKey)
    assert raised.value.existing.id == new_key.api_key.id

    await keys.revoke(actor, new_key.api_key)
    assert (await keys.create(actor, service)).api_key.name == "Ours"


async def test_concurrent_calls_cannot_use_one_name(make: Builders) -> None:
    """The constraint applies when both calls have checked before either writes."""
    service = await make.service()
    await make.api_key(service, name="Ours")

    with pytest.raises(AlreadyExists) as raised:
        await make.api_key(service, name="Ours")

    assert raised.value.path == ("name",)


async def test_an_archived_service_cannot_have_new_keys(keys: Keys, make: Builders) -> None:
    service = await make.service(active=False)
    with pytest.raises(IllegalState) as raised:
        await keys.create(user_actor(await make.member(service), service), service)

    assert raised.value.code is UserErrorCode.SERVICE_ARCHIVED


async def test_creating_a_key_needs_a_member_with_the_permission(keys: Keys, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service)
    for actor in (
        user_actor(user, service, permissions=set(ServicePermission) - {PERMISSION}),
        platform_admin(await make.user()),
        api_key_actor(await make.api_key(service)),
    ):
        with pytest.raises(Forbidden):
            await keys.create(actor, service)
    with pytest.raises(NotFound) as raised:
        await keys.create(stranger(), service)

    assert raised.value.path == ("service_id",)
    assert len(await keys.rows(models.ApiKey.id)) == 1


async def test_revoking_sets_the_expiry_and_keeps_the_creator(keys: Keys, make: Builders) -> None:
    service = await make.service()
    maker, stopper = await make.member(service), await make.member(service)
    new_key = await keys.create(user_actor(maker, service), service)

    revoked = await keys.revoke(user_actor(stopper, service), new_key.api_key)

    assert (revoked.version, revoked.created_by_id, revoked.updated_at) == (2, maker.id, revoked.expiry_date)
    assert revoked.expiry_date is not None
    row, lifetime = models.ApiKeyHistory, models.ApiKeyLifetime
    assert await keys.rows(row.version, row.expiry_date, row.created_by_id) == [
        (1, None, maker.id),
        (2, revoked.expiry_date, stopper.id),
    ]
    assert await keys.rows(lifetime.revoked_at, lifetime.revoked_by_id) == [(revoked.expiry_date, stopper.id)]


async def test_revoking_twice_changes_nothing(keys: Keys, make: Builders) -> None:
    service = await make.service()
    actor = user_actor(await make.member(service), service)
    new_key = await keys.create(actor, service, expires_at=models.utcnow() + timedelta(days=1))
    first = await keys.revoke(actor, new_key.api_key)
    second = await keys.revoke(user_actor(await make.member(service), service), new_key.api_key)

    assert (second.version, second.expiry_date) == (2, first.expiry_date)
    assert await keys.rows(models.ApiKeyLifetime.revoked_by_id) == [(actor.user_id,)]


async def test_platform_admins_can_revoke_a_key_and_others_cannot(keys: Keys, make: Builders) -> None:
    service = await make.service()
    new_key = await make.api_key(service)
    user = await make.member(service)
    with pytest.raises(NotFound) as raised:
        await keys.revoke(user_actor(user, service, permissions=set(ServicePermission) - {PERMISSION}), new_key)
    assert raised.value.path == ("api_key_id",)
    with pytest.raises(Forbidden):
        await keys.revoke(api_key_actor(new_key), new_key)

    assert (await keys.revoke(platform_admin(await make.user()), new_key)).expiry_date is not None


async def test_a_secret_is_random_and_stored_signed(keys: Keys, make: Builders) -> None:
    service = await make.service()
    actor = user_actor(await make.member(service), service)
    first = await keys.create(actor, service, name="One")
    second = await keys.create(actor, service, name="Two")

    assert first.plaintext[-36:] != second.plaintext[-36:]
    assert first.plaintext[-36:] not in first.api_key.secret


def test_a_prefix_is_read_whichever_key_signed_the_secret(signer: Signer) -> None:
    other = Signer((b"unknown",), b"salt")
    assert api_keys.shown_prefix(other.sign("f75845b1-cd29-40c4-aeb6-7ddc42b9840d")) == "f75845b1"
    assert api_keys.shown_prefix(signer.sign("a" * 200)) == "aaaaaaaa"


async def test_a_name_cannot_be_longer_than_its_column(keys: Keys, make: Builders) -> None:
    service = await make.service()
    with pytest.raises(Invalid) as raised:
        await keys.create(user_actor(await make.member(service), service), service, name="x" * 256)

    assert (raised.value.code, raised.value.path) == (UserErrorCode.TOO_LONG, ("name",))
