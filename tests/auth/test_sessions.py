"""Sessions as tokens: whose they are, what they may, and when they end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_api import models
from graphql_api.auth import authentication, tokens
from graphql_api.auth.actors import Actor, Kind
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.enums import ServicePermission
from tests.auth.conftest import change
from tests.builders import Builders
from tests.conftest import Statements
from tests.jwt_builders import Door


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

    assert await door.refusal(tokens.of_session(signer, admin.id, session_id)) == authentication.UNKNOWN_SESSION


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

    assert await door.refusal(token) == authentication.UNKNOWN_SESSION


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
