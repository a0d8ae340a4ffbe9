"""Session tokens: their actors, their permissions, and when they end."""

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
from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.enums import ServicePermission
from tests.auth.conftest import execute_sql
from tests.builders import Builders
from tests.conftest import Statements
from tests.jwt_builders import Authenticator
from tests.waiting import WAIT_TIMEOUT_SECONDS


async def create_session_token(
    make: Builders,
    database: Database,
    signer: Signer,
    user: models.User,
    *,
    idle_for: timedelta = timedelta(),
    **values: Any,
) -> str:
    """The token of a session that was last used `idle_for` ago."""
    now = models.utcnow()
    row = models.Session(
        user_id=user.id, **{"expires_at": now + timedelta(hours=20), "last_used_at": now - idle_for} | values
    )
    await make.add(row)
    await execute_sql(
        database, "UPDATE users SET current_session_id = :session WHERE id = :user", session=row.id, user=user.id
    )
    return tokens.create_session_token(signer, user.id, row.id)


async def test_a_session_is_an_actor_with_permissions_in_each_active_service(
    authenticator: Authenticator, make: Builders, signer: Signer, statements: Statements, database: Database
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
    token = await create_session_token(make, database, signer, user)

    with statements(1):
        actor = await authenticator(token)

    assert actor == Actor(
        ActorKind.PERSON,
        user_id=user.id,
        session_id=tokens.parse_session_token(signer, token)[1],
        permissions={
            first.id: frozenset({ServicePermission.SEND_TEXTS, ServicePermission.MANAGE_USERS}),
            second.id: frozenset(),
        },
        organisation_ids=frozenset({organisation.id}),
    )


async def test_a_permission_without_membership_has_no_effect(
    authenticator: Authenticator, make: Builders, signer: Signer, database: Database
) -> None:
    user, service = await make.user(), await make.service()
    await make.add(
        models.ServiceMemberPermission(user_id=user.id, service_id=service.id, permission="manage_users"),
        models.ServiceMemberPermission(user_id=user.id, service_id=None, permission="platform_admin"),
    )

    actor = await authenticator(await create_session_token(make, database, signer, user))

    assert (actor.kind, actor.permissions) == (ActorKind.PERSON, {})


async def test_a_platform_admin_keeps_what_needs_membership(
    authenticator: Authenticator, make: Builders, signer: Signer, database: Database
) -> None:
    admin, service = await make.user(platform_admin=True), await make.service()
    await make.member(service, {ServicePermission.SEND_TEXTS}, admin)

    actor = await authenticator(await create_session_token(make, database, signer, admin))

    assert actor.kind is ActorKind.ADMIN
    assert actor.permissions == {service.id: frozenset({ServicePermission.SEND_TEXTS})}
    assert actor.has_permission(ServicePermission.SEND_TEXTS, service.id)
    assert not actor.has_permission(ServicePermission.SEND_EMAILS, service.id)


async def test_signing_in_elsewhere_ends_a_session(
    authenticator: Authenticator, make: Builders, signer: Signer, database: Database
) -> None:
    user = await make.user()
    old = await create_session_token(make, database, signer, user)
    new = await create_session_token(make, database, signer, user)

    assert await authenticator.rejection_message(old) == "This session has ended: sign in again."
    assert (await authenticator(new)).user_id == user.id


async def test_a_session_that_is_not_stored_has_ended(
    authenticator: Authenticator, make: Builders, signer: Signer, database: Database
) -> None:
    user, signed_out = await make.user(), await make.user()
    await create_session_token(make, database, signer, user)

    for person in (user, signed_out):
        token = tokens.create_session_token(signer, person.id, uuid4())
        assert await authenticator.rejection_message(token) == "This session has ended: sign in again."


async def test_a_session_belongs_to_one_person(
    authenticator: Authenticator, make: Builders, signer: Signer, database: Database
) -> None:
    user, admin = await make.user(), await make.user(platform_admin=True)
    session_id = tokens.parse_session_token(signer, await create_session_token(make, database, signer, user))[1]
    await execute_sql(
        database, "UPDATE users SET current_session_id = :session WHERE id = :user", session=session_id, user=admin.id
    )

    assert (
        await authenticator.rejection_message(tokens.create_session_token(signer, admin.id, session_id))
        == authentication.SESSION_FAULT_MESSAGES["ended"]
    )


async def test_a_session_ends_after_twenty_hours(
    authenticator: Authenticator, make: Builders, signer: Signer, database: Database
) -> None:
    token = await create_session_token(make, database, signer, await make.user(), expires_at=models.utcnow())

    assert await authenticator.rejection_message(token) == "This session has expired: sign in again."


@pytest.mark.parametrize("state", ["pending", "inactive"])
async def test_only_active_people_have_sessions(
    authenticator: Authenticator, make: Builders, signer: Signer, state: str, database: Database
) -> None:
    token = await create_session_token(make, database, signer, await make.user(state=state))

    assert await authenticator.rejection_message(token) == authentication.SESSION_FAULT_MESSAGES["ended"]


async def test_a_platform_admins_session_ends_after_half_an_hour_without_use(
    authenticator: Authenticator, make: Builders, signer: Signer, database: Database
) -> None:
    gone = await create_session_token(
        make, database, signer, await make.user(platform_admin=True), idle_for=timedelta(minutes=30, seconds=1)
    )
    back = await create_session_token(
        make, database, signer, await make.user(platform_admin=True), idle_for=timedelta(minutes=29)
    )
    anybody = await create_session_token(make, database, signer, await make.user(), idle_for=timedelta(hours=10))

    assert (
        await authenticator.rejection_message(gone) == "This session ended after 30 minutes without use: sign in again."
    )
    assert (await authenticator(back)).kind is ActorKind.ADMIN
    assert (await authenticator(anybody)).kind is ActorKind.PERSON


async def test_the_last_use_is_recorded_once_a_minute(
    authenticator: Authenticator, make: Builders, signer: Signer, statements: Statements, database: Database
) -> None:
    token = await create_session_token(make, database, signer, await make.user(), idle_for=timedelta(seconds=61))
    before = models.utcnow()
    with statements(2):
        await authenticator(token)
    with statements(1):
        await authenticator(token)

    async with database.read_connection() as connection:
        last = await connection.scalar(
            select(models.Session.last_used_at).where(models.Session.id == tokens.parse_session_token(signer, token)[1])
        )
    assert last is not None
    assert before <= last <= models.utcnow()


async def test_authentication_does_not_wait_for_a_lock_to_record_the_last_use(
    engine: AsyncEngine, authenticator: Authenticator, signer: Signer
) -> None:
    second_database = Database(engine)
    user = models.User(name="Ada", email_address="ada@waiting.gov.uk", mobile_number="1", password="!", state="active")
    row = models.Session(user_id=user.id, expires_at=models.utcnow() + timedelta(hours=1))
    row.last_used_at = models.utcnow() - timedelta(minutes=5)
    user.current_session_id = row.id
    async with second_database.transaction() as tx:
        tx.add(user)
        await tx.flush()
        tx.add(row)
    try:
        async with second_database.transaction() as other:
            await other.execute(select(models.Session).where(models.Session.id == row.id).with_for_update())
            async with asyncio.timeout(WAIT_TIMEOUT_SECONDS):
                actor = await authenticator(
                    tokens.create_session_token(signer, user.id, row.id), database=second_database
                )
        assert actor.user_id == user.id
    finally:
        await execute_sql(second_database, "DELETE FROM sessions WHERE user_id = :id", id=user.id)
        await execute_sql(second_database, "DELETE FROM users WHERE id = :id", id=user.id)


async def test_a_session_signed_with_an_older_key_is_accepted(
    authenticator: Authenticator, make: Builders, signer: Signer, database: Database
) -> None:
    user = await make.user()
    token = await create_session_token(make, database, Signer((b"older-secret-key",), signer.salt), user)

    assert (await authenticator(token)).user_id == user.id
    assert (
        await authenticator.rejection_message(token, signer=Signer((b"another",), b""))
        == "The session's token is broken: sign in again."
    )


async def test_a_challenge_token_is_not_a_session_token(
    authenticator: Authenticator, make: Builders, signer: Signer, database: Database
) -> None:
    user = await make.user()
    await create_session_token(make, database, signer, user)
    challenge = tokens.sign(signer, "challenge", [user.id.hex, "SMS"])

    assert await authenticator.rejection_message(challenge) == "The token cannot be decoded."
    assert (
        await authenticator.rejection_message(tokens.SESSION_TOKEN_PREFIX + challenge)
        == "The session's token is broken: sign in again."
    )
