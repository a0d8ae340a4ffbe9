"""Concurrent callers, each with its own connection: changes are atomic, and histories have no gaps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from graphql_api import models
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import api_keys, members, notifications, organisations, sending_limits, services, templates
from graphql_api.enums import Channel, KeyType, OrganisationType, ServicePermission
from graphql_api.errors import AlreadyExists, DailyLimitExceeded, DomainError, VersionConflict
from tests.builders import Builders, platform_admin, user_actor
from tests.waiting import until_one_waits_for_a_lock

Change = Callable[[AsyncSession], Awaitable[Any]]


@pytest.fixture
async def committed(engine: AsyncEngine) -> AsyncIterator[Database]:
    """A database that commits; its rows are deleted afterwards."""
    database = Database(engine)
    yield database
    async with database.transaction() as tx:
        await tx.execute(
            text(
                "TRUNCATE services, services_history, users, organisation, templates_history, api_keys_history, "
                "idempotency_keys, rate_buckets, daily_usage, pgqueuer, pgqueuer_log CASCADE"
            )
        )


@pytest.fixture
def builders(committed: Database, signer: Signer) -> Builders:
    """Builders of committed rows."""
    return Builders(committed, signer)


async def outcome(database: Database, change: Change) -> Any:
    """The result of a change in its own transaction, or the error that it raises."""
    try:
        async with database.transaction() as tx:
            return await change(tx)
    except DomainError as error:
        return error


async def while_held(database: Database, first: Change, second: Change) -> Any:
    """The outcome of a second change that starts after the first is flushed, and before it is committed."""
    async with database.transaction() as tx:
        await first(tx)
        waiting = asyncio.create_task(outcome(database, second))
        await until_one_waits_for_a_lock(database.primary, or_ends=waiting)
    return await waiting


async def versions_of(database: Database, history: Any, row_id: Any) -> list[int]:
    async with database.transaction() as tx:
        return list(await tx.scalars(select(history.version).where(history.id == row_id).order_by(history.version)))


async def test_one_of_two_concurrent_saves_of_a_version_is_refused(committed: Database, builders: Builders) -> None:
    service = await builders.service()
    template = await builders.template(service)
    actor = user_actor(await builders.member(service), service)

    def save(name: str) -> Change:
        return lambda tx: templates.update(
            tx, actor, template_id=template.id, changes={"name": name}, expected_version=1
        )

    results = await asyncio.gather(*(outcome(committed, save(f"Name {result}")) for result in range(4)))

    assert sorted(type(result).__name__ for result in results) == ["SavedTemplate"] + ["VersionConflict"] * 3
    assert {
        (result.expected_version, result.current_version) for result in results if isinstance(result, VersionConflict)
    } == {(1, 2)}
    assert await versions_of(committed, models.TemplateHistory, template.id) == [1, 2]


async def test_concurrent_saves_make_a_version_each(committed: Database, builders: Builders) -> None:
    service = await builders.service()
    actor = user_actor(await builders.member(service), service)

    def save(name: str) -> Change:
        return lambda tx: services.update(tx, actor, service_id=service.id, changes={"name": name})

    await asyncio.gather(*(outcome(committed, save(f"Fresh name {result}")) for result in range(4)))

    assert await versions_of(committed, models.ServiceHistory, service.id) == [1, 2, 3, 4, 5]


async def test_a_key_revoked_twice_concurrently_has_one_expiry(committed: Database, builders: Builders) -> None:
    service = await builders.service()
    actor = user_actor(await builders.member(service), service)
    key = await builders.api_key(service)

    rows = await asyncio.gather(
        *(outcome(committed, lambda tx: api_keys.revoke(tx, actor, api_key_id=key.id)) for _ in range(4))
    )

    assert len({row.expiry_date for row in rows}) == 1
    assert await versions_of(committed, models.ApiKeyHistory, key.id) == [1, 2]


async def test_a_service_is_archived_while_its_template_is_saved(committed: Database, builders: Builders) -> None:
    service = await builders.service(restricted=True)
    template = await builders.template(service)
    actor = user_actor(await builders.member(service), service)

    await while_held(
        committed,
        lambda tx: templates.update(tx, actor, template_id=template.id, changes={"name": "Saved first"}),
        lambda tx: services.archive(tx, actor, service_id=service.id),
    )

    assert await versions_of(committed, models.TemplateHistory, template.id) == [1, 2, 3]
    async with committed.transaction() as tx:
        now = await tx.get_one(models.Template, template.id)
        assert (now.name, now.archived, now.version) == ("Saved first", True, 3)


async def test_a_service_is_archived_while_its_key_is_revoked(committed: Database, builders: Builders) -> None:
    service = await builders.service(restricted=True)
    key = await builders.api_key(service, KeyType.TEAM)
    actor = user_actor(await builders.member(service), service)

    await while_held(
        committed,
        lambda tx: api_keys.revoke(tx, actor, api_key_id=key.id),
        lambda tx: services.archive(tx, actor, service_id=service.id),
    )

    assert await versions_of(committed, models.ApiKeyHistory, key.id) == [1, 2]


async def test_a_template_is_saved_while_its_service_is_archived(committed: Database, builders: Builders) -> None:
    service = await builders.service(restricted=True)
    template = await builders.template(service)
    actor = user_actor(await builders.member(service), service)

    error = await while_held(
        committed,
        lambda tx: services.archive(tx, actor, service_id=service.id),
        lambda tx: templates.update(tx, actor, template_id=template.id, changes={"name": "Too late"}),
    )

    assert isinstance(error, DomainError)
    assert error.code in {"SERVICE_ARCHIVED", "TEMPLATE_ARCHIVED"}


async def test_no_template_is_created_in_a_service_that_is_being_archived(
    committed: Database, builders: Builders
) -> None:
    service = await builders.service(restricted=True)
    actor = user_actor(await builders.member(service), service)

    error = await while_held(
        committed,
        lambda tx: services.archive(tx, actor, service_id=service.id),
        lambda tx: templates.create(
            tx, actor, service_id=service.id, name="Late", channel=Channel.SMS, content={"body": "Hello"}
        ),
    )

    assert isinstance(error, DomainError)
    assert error.code == "SERVICE_ARCHIVED"


async def test_no_key_is_created_in_a_service_that_is_being_archived(
    committed: Database, builders: Builders, signer: Signer
) -> None:
    service = await builders.service(restricted=True)
    actor = user_actor(await builders.member(service), service)

    error = await while_held(
        committed,
        lambda tx: services.archive(tx, actor, service_id=service.id),
        lambda tx: api_keys.create(tx, actor, signer=signer, service_id=service.id, name="Late", type=KeyType.TEST),
    )

    assert isinstance(error, DomainError)
    assert error.code == "SERVICE_ARCHIVED"
    async with committed.transaction() as tx:
        assert (await tx.scalars(select(models.ApiKey.id))).all() == []


async def test_no_service_is_created_in_an_organisation_that_is_being_archived(
    committed: Database, builders: Builders
) -> None:
    organisation = await builders.organisation()
    admin = platform_admin(await builders.user(platform_admin=True))

    error = await while_held(
        committed,
        lambda tx: organisations.archive(tx, admin, organisation_id=organisation.id),
        lambda tx: services.create(tx, admin, name="Late service", organisation_id=organisation.id),
    )

    assert isinstance(error, DomainError)


async def test_one_of_several_concurrent_services_gets_a_name(committed: Database, builders: Builders) -> None:
    actors = [user_actor(await builders.user()) for _ in range(4)]

    def create(result: int) -> Change:
        return lambda tx: services.create(tx, actors[result], name="The same name")

    results = await asyncio.gather(*(outcome(committed, create(result)) for result in range(4)))

    assert sorted(type(result).__name__ for result in results) == ["AlreadyExists"] * 3 + ["Service"]
    assert {result.path for result in results if isinstance(result, AlreadyExists)} == {("name",)}


async def test_one_of_several_concurrent_keys_gets_a_name(
    committed: Database, builders: Builders, signer: Signer
) -> None:
    service = await builders.service()
    actor = user_actor(await builders.member(service), service)

    def create(tx: AsyncSession) -> Any:
        return api_keys.create(tx, actor, signer=signer, service_id=service.id, name="Same", type=KeyType.TEST)

    results = await asyncio.gather(*(outcome(committed, create) for _ in range(4)))

    assert sorted(type(result).__name__ for result in results) == ["AlreadyExists"] * 3 + ["NewApiKey"]


async def test_the_last_two_managers_cannot_both_leave(committed: Database, builders: Builders) -> None:
    service = await builders.service(restricted=True)
    team = [await builders.member(service) for _ in range(2)]

    def leave(user: models.User) -> Change:
        return lambda tx: members.remove(tx, user_actor(user, service), service_id=service.id, user_id=user.id)

    results = await asyncio.gather(*(outcome(committed, leave(user)) for user in team))

    assert sorted(getattr(result, "code", "LEFT") for result in results) == ["LAST_ADMINISTRATOR", "LEFT"]


async def test_a_member_added_twice_concurrently_is_a_member_once(committed: Database, builders: Builders) -> None:
    service, other = await builders.service(), await builders.service()
    manager, colleague = await builders.member(service), await builders.member(other)
    actor = user_actor(manager, service, other)

    def add(tx: AsyncSession) -> Any:
        return members.add_or_update(
            tx, actor, service_id=service.id, user_id=colleague.id, permissions=[ServicePermission.VIEW_ACTIVITY]
        )

    results = await asyncio.gather(*(outcome(committed, add) for _ in range(4)))

    assert [type(result) for result in results] == [models.ServiceMembership] * 4


async def test_a_new_type_applies_to_a_service_that_is_being_saved(committed: Database, builders: Builders) -> None:
    organisation = await builders.organisation()
    service = await builders.service(organisation_id=organisation.id, organisation_type="central")
    actor = user_actor(await builders.member(service), service)
    admin = platform_admin(await builders.user(platform_admin=True))

    await while_held(
        committed,
        lambda tx: services.update(tx, actor, service_id=service.id, changes={"name": "Saved first"}),
        lambda tx: organisations.update(
            tx, admin, organisation_id=organisation.id, changes={"type": OrganisationType.LOCAL}
        ),
    )

    async with committed.transaction() as tx:
        now = await tx.get_one(models.Service, service.id)
        assert (now.name, now.organisation_type, now.version) == ("Saved first", "local", 3)
    assert await versions_of(committed, models.ServiceHistory, service.id) == [1, 2, 3]


async def test_concurrent_messages_stay_within_the_daily_limit(
    committed: Database, builders: Builders, signer: Signer
) -> None:
    service = await builders.service(sms_message_limit=3)
    template = await builders.template(service, content="Hello")
    actor = user_actor(await builders.member(service), service)

    def send(tx: AsyncSession) -> Any:
        recipient = {"phone_number": "07700900001"}
        return notifications.send(
            tx, actor, signer=signer, service_id=service.id, template_id=template.id, recipient=recipient
        )

    results = await asyncio.gather(*(outcome(committed, send) for _ in range(6)))

    assert [type(result) for result in results].count(DailyLimitExceeded) == 3
    async with committed.transaction() as tx:
        assert await sending_limits.load_daily_usage(tx, service.id) == {"sms": 3}
        assert len((await tx.scalars(select(models.Notification.id))).all()) == 3


async def test_concurrent_calls_with_one_idempotency_key_send_once(
    committed: Database, builders: Builders, signer: Signer
) -> None:
    service = await builders.service()
    template = await builders.template(service, content="Hello")
    actor = user_actor(await builders.member(service), service)

    def send(tx: AsyncSession) -> Any:
        return notifications.send(
            tx,
            actor,
            signer=signer,
            service_id=service.id,
            template_id=template.id,
            recipient={"phone_number": "07700900001"},
            idempotency_key="the same",
        )

    results = await asyncio.gather(*(outcome(committed, send) for _ in range(6)))

    async with committed.transaction() as tx:
        (stored,) = await tx.scalars(select(models.Notification.id))
        assert {result.id for result in results} == {stored}
        assert await sending_limits.load_daily_usage(tx, service.id) == {"sms": 1}
