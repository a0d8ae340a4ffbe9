"""Visibility: no actor sees a row of another tenant, in any table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from graphql_api import models
from graphql_api.auth import visibility
from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.database.database import Database
from graphql_api.domain import search_entries
from graphql_api.enums import Channel, KeyType, ServicePermission
from graphql_api.errors import NotFound, Unauthenticated
from tests.builders import Builders, api_key_actor, organisation_member, platform_admin, stranger, user_actor

OF_TENANTS = [model for model, rule in visibility.ROW_VISIBILITY.items() if rule is not visibility.ADMINS_ONLY_RULE]
OF_NOBODY = [model for model in visibility.ROW_VISIBILITY if model not in OF_TENANTS]
OF_SERVICES = [
    model
    for model in OF_TENANTS
    if model not in {models.Organisation, models.OrganisationDomain, models.OrganisationFeature, models.User}
]


@dataclass
class Tenant:
    """An organisation with a service, and a row in every table that belongs to it."""

    organisation: models.Organisation
    service: models.Service
    member: models.User
    key: models.ApiKey
    ids: set[UUID]


@pytest.fixture
async def tenants(make: Builders, database: Database) -> tuple[Tenant, Tenant]:
    """Two equal tenants."""
    both = await tenant(make), await tenant(make)
    async with database.transaction() as tx:
        await search_entries.refresh(tx)
    return both


async def tenant(make: Builders) -> Tenant:
    """One of the tenants."""
    organisation = await make.organisation()
    user = await make.user()
    service = await make.service(organisation_id=organisation.id, created_by_id=user.id)
    await make.member(service, user=user)
    template = await make.template(service, Channel.EMAIL)
    api_key = await make.api_key(service)
    job = await make.job(template)
    message = await make.notification(template, job_id=job.id, job_row_number=0)
    shared = {column.key: getattr(message, column.key) for column in models.NotificationHistory.__mapper__.column_attrs}
    upload = models.Upload(user_id=user.id, byte_count=1, row_count=1, expires_at=models.utcnow())
    await make.add(
        models.OrganisationDomain(domain=f"{service.id}.gov.uk", organisation_id=organisation.id),
        models.OrganisationFeature(organisation_id=organisation.id, permission="can_ask_to_join_a_service"),
        models.NotificationHistory(**shared),
        models.ApiKeyLifetime(api_key_id=api_key.id),
        models.ApiKeyUsage(api_key_id=api_key.id, day=models.utcnow().date()),
        models.JobRun(job_id=job.id, error_policy="all_or_nothing"),
        models.DailyUsage(service_id=service.id, day=models.utcnow().date(), kind="sms", count=1),
        models.ContactList(
            service_id=service.id, original_file_name="a.csv", row_count=1, template_type="sms", created_by_id=user.id
        ),
        upload,
    )
    ids = {organisation.id, service.id, user.id, template.id, api_key.id, job.id, message.id, upload.id}
    return Tenant(organisation, service, user, api_key, ids)


async def seen(database: Database, actor: Actor, model: type[Any]) -> list[Any]:
    """All rows of a table that an actor sees."""
    predicate = visibility.row_predicate(model, visibility.visibility_scope(actor))
    statement = select(model) if predicate is None else select(model).where(predicate)
    async with database.transaction() as tx:
        return list((await tx.execute(statement, visibility.bind_values(actor))).scalars())


def owner(row: Any) -> UUID | None:
    """The id of what a row belongs to, or its own."""
    for name in ("service_id", "organisation_id", "job_id", "api_key_id", "template_id", "user_id", "row_id"):
        if getattr(row, name, None) is not None:
            return UUID(str(getattr(row, name)))
    return UUID(str(row.id))


CALLERS: dict[str, Callable[[Tenant], Actor]] = {
    "member": lambda mine: user_actor(mine.member, mine.service),
    "viewer": lambda mine: user_actor(mine.member, mine.service, permissions={ServicePermission.VIEW_ACTIVITY}),
    "member without permissions": lambda mine: user_actor(mine.member, mine.service, permissions=()),
    "organisation member": lambda mine: organisation_member(mine.member, mine.organisation.id),
    "live key": lambda mine: api_key_actor(mine.key),
}


@pytest.mark.parametrize("model", OF_TENANTS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("caller", CALLERS)
async def test_no_row_of_another_tenant_is_visible(
    tenants: tuple[Tenant, Tenant], database: Database, caller: str, model: type[Any]
) -> None:
    mine, theirs = tenants
    rows = await seen(database, CALLERS[caller](mine), model)

    assert [row for row in rows if owner(row) in theirs.ids] == []


@pytest.mark.parametrize("model", OF_TENANTS, ids=lambda model: model.__name__)
async def test_a_member_with_every_permission_sees_their_own_row_of_each_table(
    tenants: tuple[Tenant, Tenant], database: Database, model: type[Any]
) -> None:
    rows = await seen(database, user_actor(tenants[0].member, tenants[0].service), model)

    assert {owner(row) for row in rows} & tenants[0].ids != set()


@pytest.mark.parametrize("model", OF_TENANTS, ids=lambda model: model.__name__)
async def test_strangers_and_anonymous_callers_see_nothing(
    tenants: tuple[Tenant, Tenant], database: Database, model: type[Any]
) -> None:
    del tenants

    assert await seen(database, stranger(), model) == []
    assert await seen(database, Actor.anonymous(), model) == []


@pytest.mark.parametrize("model", OF_SERVICES, ids=lambda model: model.__name__)
async def test_a_platform_admin_sees_both_tenants(
    tenants: tuple[Tenant, Tenant], database: Database, make: Builders, model: type[Any]
) -> None:
    rows = await seen(database, platform_admin(await make.user()), model)
    owners = {owner(row) for row in rows}

    assert owners & tenants[0].ids != set()
    assert owners & tenants[1].ids != set()


@pytest.mark.parametrize("model", OF_NOBODY, ids=lambda model: model.__name__)
async def test_rows_of_the_platform_are_visible_to_its_admins_only(
    make: Builders, database: Database, model: type[Any]
) -> None:
    mine = await tenant(make)
    now = models.utcnow()
    await make.add(
        models.HealthSnapshot(
            taken_at=now, database_ok=True, connections_in_use=0, connections_total=0, queues=[], providers=[]
        ),
        models.TableCount(table_name="services", taken_at=now, row_count=1),
    )

    assert len(await seen(database, platform_admin(await make.user()), model)) == 1
    for caller in CALLERS.values():
        assert await seen(database, caller(mine), model) == []
    assert await seen(database, Actor.anonymous(), model) == []


async def test_a_key_sees_messages_of_its_own_type_of_key_only(make: Builders, database: Database) -> None:
    service = await make.service()
    template = await make.template(service)
    live = await make.notification(template)
    test = await make.notification(template, key_type="test")
    keys = {kind: await make.api_key(service, kind) for kind in (KeyType.LIVE, KeyType.TEST)}

    assert [row.id for row in await seen(database, api_key_actor(keys[KeyType.LIVE]), models.Notification)] == [live.id]
    assert [row.id for row in await seen(database, api_key_actor(keys[KeyType.TEST]), models.Notification)] == [test.id]


async def test_a_member_who_may_only_send_texts_sees_no_emails(make: Builders, database: Database) -> None:
    service = await make.service()
    text = await make.notification(await make.template(service))
    await make.notification(await make.template(service, Channel.EMAIL))
    user = await make.member(service)
    rows = await seen(
        database, user_actor(user, service, permissions={ServicePermission.SEND_TEXTS}), models.Notification
    )

    assert [row.id for row in rows] == [text.id]


async def test_a_template_in_a_closed_folder_is_hidden_until_the_folder_is_opened(
    make: Builders, database: Database
) -> None:
    service = await make.service()
    user = await make.member(service)
    template = await make.template(service)
    folder = models.TemplateFolder(service_id=service.id, name="Closed")
    await make.add(folder, models.TemplateFolderEntry(template_id=template.id, template_folder_id=folder.id))

    assert await seen(database, user_actor(user, service), models.Template) == []

    await make.add(models.FolderPermission(user_id=user.id, template_folder_id=folder.id, service_id=service.id))

    assert [row.id for row in await seen(database, user_actor(user, service), models.Template)] == [template.id]


async def test_a_row_of_another_tenant_is_not_found_for_a_change(
    tenants: tuple[Tenant, Tenant], database: Database
) -> None:
    mine, theirs = tenants
    async with database.transaction() as tx:
        row = await visibility.find_visible(
            tx, user_actor(mine.member, mine.service), models.Service, mine.service.id, lock=True
        )
        with pytest.raises(NotFound) as refusal:
            await visibility.find_visible(
                tx, user_actor(mine.member, mine.service), models.Service, theirs.service.id, "service_id"
            )

    assert row.id == mine.service.id
    assert (refusal.value.missing_id, refusal.value.path) == (str(theirs.service.id), ("service_id",))


async def test_anonymous_callers_find_no_row_to_change(tenants: tuple[Tenant, Tenant], database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(Unauthenticated):
            await visibility.find_visible(tx, Actor(ActorKind.ANONYMOUS), models.Service, tenants[0].service.id)
