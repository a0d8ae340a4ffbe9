"""Who is asking: every kind of token, and what is wrong with the ones that are refused."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_api import auth, models, tokens
from graphql_api.actors import OF_A_KEY, Actor, Kind
from graphql_api.crypto import Signer
from graphql_api.database import Database
from graphql_api.enums import KeyType, ServicePermission
from graphql_api.settings import Settings
from tests.builders import Builders
from tests.conftest import Statements
from tests.tokens import Door, jwt

SECRET = "f75845b1-cd29-40c4-aeb6-7ddc42b9840d"
ADMIN_SECRET = "test-admin-secret"

# What one of Notify's databases holds, signed with the keys that its developers use.
NOTIFY_KEYS = Signer((b"dev-notify-secret-key",), b"dev-notify-salt")


@pytest.fixture
def door(database: Database, settings: Settings, signer: Signer) -> Door:
    """The door of the test's database."""
    return Door(database, settings, signer)


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


async def change(database: Database, statement: str, **values: Any) -> None:
    """Change rows past the models."""
    async with database.transaction() as tx:
        await tx.execute(text(statement), values)


async def session(
    make: Builders,
    database: Database,
    signer: Signer,
    user: models.User,
    *,
    idle: timedelta = timedelta(),
    **values: Any,
) -> str:
    """The token of a session of somebody who was last here some time ago."""
    now = models.utcnow()
    row = models.Session(
        user_id=user.id, **{"expires_at": now + timedelta(hours=20), "last_used_at": now - idle} | values
    )
    await make.add(row)
    await change(
        database, "UPDATE users SET current_session_id = :session WHERE id = :user", session=row.id, user=user.id
    )
    return tokens.of_session(signer, user.id, row.id)


# --- keys -----------------------------------------------------------------------------------------------------------


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

    assert await door.refusal(jwt(str(service.id), SECRET)) == auth.UNKNOWN_KEY


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

    assert await door.refusal(jwt(str(archived.id), "another")) == auth.UNKNOWN_KEY
    assert await door.refusal(jwt(str(uuid4()), SECRET)) == auth.UNKNOWN_KEY
    assert await door.refusal(f"key-{uuid4()}-{SECRET}") == auth.UNKNOWN_KEY
    assert await door.refusal(f"key-{archived.id}-{uuid4()}") == auth.UNKNOWN_KEY


async def test_a_key_of_another_service_is_not_taken(door: Door, make: Builders) -> None:
    other = await make.service()
    await make.api_key(other)

    assert await door.refusal(jwt(str(other.id), SECRET)) == auth.UNKNOWN_KEY
    assert await door.refusal(f"key-{other.id}-{SECRET}") == auth.UNKNOWN_KEY


@pytest.mark.parametrize("stored", ["", "nonsense", "e30.AAAA", "IiI"])
async def test_a_secret_that_cannot_be_read_fits_nothing(
    door: Door, make: Builders, stored: str, database: Database
) -> None:
    service = await make.service()
    key = await make.api_key(service)
    await change(database, "UPDATE api_keys SET secret = :stored WHERE id = :id", stored=stored, id=key.id)

    assert await door.refusal(jwt(str(service.id), "")) == auth.UNKNOWN_KEY
    assert await door.refusal(jwt(str(service.id), "None")) == auth.UNKNOWN_KEY


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


# --- programs of the platform's own ---------------------------------------------------------------------------------


async def test_a_client_asks_for_a_person(door: Door, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service, {ServicePermission.VIEW_ACTIVITY})

    actor = await door(jwt("notify-admin", ADMIN_SECRET), str(user.id))

    assert actor == Actor(
        Kind.PERSON, user_id=user.id, permissions={service.id: frozenset({ServicePermission.VIEW_ACTIVITY})}
    )


async def test_a_client_must_name_a_person(door: Door) -> None:
    expected = "Name the person for whom you ask by their id, in the header X-Notify-User-Id."
    assert await door.refusal(jwt("notify-admin", ADMIN_SECRET)) == expected


@pytest.mark.parametrize("state", ["pending", "inactive"])
async def test_a_client_can_only_ask_for_people_who_can_sign_in(door: Door, make: Builders, state: str) -> None:
    user = await make.user(state=state)

    expected = "X-Notify-User-Id is not the id of anybody who can sign in."
    assert await door.refusal(jwt("notify-admin", ADMIN_SECRET), str(user.id)) == expected


@pytest.mark.parametrize("named", ["", "nobody", str(uuid4()), "\0", "{401dff98-70ed-4ee1-b5a0-30fcaa91e97c}"])
async def test_a_client_must_name_somebody(door: Door, named: str) -> None:
    expected = "X-Notify-User-Id is not the id of anybody who can sign in."
    assert await door.refusal(jwt("notify-admin", ADMIN_SECRET), named) == expected


async def test_a_client_signs_with_its_own_secret(door: Door, make: Builders) -> None:
    user = await make.user()

    expected = "The token was not signed with a secret of its issuer."
    assert await door.refusal(jwt("notify-admin", SECRET), str(user.id)) == expected
    assert await door.refusal(jwt("notify-admin", ""), str(user.id)) == expected
    assert await door.refusal(jwt("another-client", ADMIN_SECRET), str(user.id)) == auth.UNKNOWN_KEY


async def test_every_secret_of_a_client_is_taken(door: Door, make: Builders, settings: Settings) -> None:
    user = await make.user()
    rotating = Settings.model_validate(
        settings.model_dump()
        | {"internal_client_api_keys": {"notify-admin": ["", "the-new-secret-", "the-old-secret-"]}}
    )

    for secret in ("the-new-secret-", "the-old-secret-"):
        assert (await door(jwt("notify-admin", secret), str(user.id), settings=rotating)).user_id == user.id


# --- sessions -------------------------------------------------------------------------------------------------------


async def test_a_session_is_a_person_with_permissions_in_each_active_service(
    door: Door, make: Builders, signer: Signer, statements: Statements, database: Database
) -> None:
    user = await make.user()
    first, second, archived = await make.service(), await make.service(), await make.service(active=False)
    organisation, closed = await make.organisation(), await make.organisation(active=False)
    await make.member(first, {ServicePermission.SEND_TEXTS, ServicePermission.MANAGE_USERS}, user)
    await make.member(second, (), user)
    await make.member(archived, user=user)
    await make.member(first)
    await make.add(
        models.OrganisationMembership(user_id=user.id, organisation_id=organisation.id),
        models.OrganisationMembership(user_id=user.id, organisation_id=closed.id),
        models.ServiceMemberPermission(user_id=user.id, service_id=second.id, permission="create_broadcasts"),
    )
    token = await session(make, database, signer, user)

    with statements(1):
        actor = await door(token)

    assert actor == Actor(
        Kind.PERSON,
        user_id=user.id,
        session_id=tokens.session_of(signer, token)[1],
        permissions={
            first.id: frozenset({ServicePermission.SEND_TEXTS, ServicePermission.MANAGE_USERS}),
            second.id: frozenset(),
        },
        organisation_ids=frozenset({organisation.id}),
    )


async def test_a_permission_without_membership_is_worth_nothing(
    door: Door, make: Builders, signer: Signer, database: Database
) -> None:
    user, service = await make.user(), await make.service()
    await make.add(
        models.ServiceMemberPermission(user_id=user.id, service_id=service.id, permission="manage_users"),
        models.ServiceMemberPermission(user_id=user.id, service_id=None, permission="platform_admin"),
    )

    actor = await door(await session(make, database, signer, user))

    assert (actor.kind, actor.permissions) == (Kind.PERSON, {})


async def test_a_platform_admin_keeps_what_needs_membership(
    door: Door, make: Builders, signer: Signer, database: Database
) -> None:
    admin, service = await make.user(platform_admin=True), await make.service()
    await make.member(service, {ServicePermission.SEND_TEXTS}, admin)

    actor = await door(await session(make, database, signer, admin))

    assert actor.kind is Kind.ADMIN
    assert actor.permissions == {service.id: frozenset({ServicePermission.SEND_TEXTS})}
    assert actor.may(ServicePermission.SEND_TEXTS, service.id)
    assert not actor.may(ServicePermission.SEND_EMAILS, service.id)


async def test_signing_in_elsewhere_ends_a_session(
    door: Door, make: Builders, signer: Signer, database: Database
) -> None:
    user = await make.user()
    old = await session(make, database, signer, user)
    new = await session(make, database, signer, user)

    assert await door.refusal(old) == "This session has ended: sign in again."
    assert (await door(new)).user_id == user.id


async def test_a_session_of_which_nothing_is_kept_has_ended(
    door: Door, make: Builders, signer: Signer, database: Database
) -> None:
    user = await make.user()
    await session(make, database, signer, user)

    forged = tokens.of_session(signer, user.id, uuid4())
    assert await door.refusal(forged) == "This session has ended: sign in again."


async def test_a_session_belongs_to_one_person(door: Door, make: Builders, signer: Signer, database: Database) -> None:
    user, admin = await make.user(), await make.user(platform_admin=True)
    session_id = tokens.session_of(signer, await session(make, database, signer, user))[1]
    await change(
        database, "UPDATE users SET current_session_id = :session WHERE id = :user", session=session_id, user=admin.id
    )

    assert await door.refusal(tokens.of_session(signer, admin.id, session_id)) == auth.UNKNOWN_SESSION


async def test_a_session_ends_after_twenty_hours(
    door: Door, make: Builders, signer: Signer, database: Database
) -> None:
    token = await session(make, database, signer, await make.user(), expires_at=models.utcnow())

    assert await door.refusal(token) == "This session has expired: sign in again."


@pytest.mark.parametrize("state", ["pending", "inactive"])
async def test_only_active_people_have_sessions(
    door: Door, make: Builders, signer: Signer, state: str, database: Database
) -> None:
    token = await session(make, database, signer, await make.user(state=state))

    assert await door.refusal(token) == auth.UNKNOWN_SESSION


async def test_a_platform_admin_must_come_back_within_half_an_hour(
    door: Door, make: Builders, signer: Signer, database: Database
) -> None:
    gone = await session(
        make, database, signer, await make.user(platform_admin=True), idle=timedelta(minutes=30, seconds=1)
    )
    back = await session(make, database, signer, await make.user(platform_admin=True), idle=timedelta(minutes=29))
    anybody = await session(make, database, signer, await make.user(), idle=timedelta(hours=10))

    assert await door.refusal(gone) == "This session ended after 30 minutes without use: sign in again."
    assert (await door(back)).kind is Kind.ADMIN
    assert (await door(anybody)).kind is Kind.PERSON


async def test_the_last_use_is_kept_by_the_minute(
    door: Door, make: Builders, signer: Signer, statements: Statements, database: Database
) -> None:
    token = await session(make, database, signer, await make.user(), idle=timedelta(seconds=61))
    with statements(2):
        await door(token)
    with statements(1):
        await door(token)

    async with database.reading() as connection:
        last = await connection.scalar(
            select(models.Session.last_used_at).where(models.Session.id == tokens.session_of(signer, token)[1])
        )
    assert last is not None
    assert models.utcnow() - last < timedelta(seconds=10)


async def test_nobody_waits_for_the_last_use_to_be_kept(engine: AsyncEngine, door: Door, signer: Signer) -> None:
    several = Database(engine)
    user = models.User(name="Ada", email_address="ada@waiting.gov.uk", mobile_number="1", password="!", state="active")
    row = models.Session(user_id=user.id, expires_at=models.utcnow() + timedelta(hours=1))
    row.last_used_at = models.utcnow() - timedelta(minutes=5)
    user.current_session_id = row.id
    async with several.transaction() as tx:
        tx.add(user)
        await tx.flush()
        tx.add(row)
    try:
        async with several.transaction() as other:
            await other.execute(select(models.Session).where(models.Session.id == row.id).with_for_update())
            async with asyncio.timeout(5):
                actor = await door(tokens.of_session(signer, user.id, row.id), database=several)
        assert actor.user_id == user.id
    finally:
        await change(several, "DELETE FROM sessions WHERE user_id = :id", id=user.id)
        await change(several, "DELETE FROM users WHERE id = :id", id=user.id)


async def test_a_session_signed_with_an_older_key_is_taken(
    door: Door, make: Builders, signer: Signer, database: Database
) -> None:
    user = await make.user()
    token = await session(make, database, Signer((b"older-secret-key",), signer.salt), user)

    assert (await door(token)).user_id == user.id
    assert (
        await door.refusal(token, signer=Signer((b"another",), b"")) == "The session's token is broken: sign in again."
    )


async def test_a_challenge_is_no_session(door: Door, make: Builders, signer: Signer, database: Database) -> None:
    user = await make.user()
    await session(make, database, signer, user)
    challenge = tokens.sign(signer, "challenge", [user.id.hex, "SMS"])

    assert await door.refusal(challenge) == "The token cannot be decoded."
    assert await door.refusal(tokens.SESSION + challenge) == "The session's token is broken: sign in again."
