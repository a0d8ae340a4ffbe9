"""Services: creation, changes and archiving."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.billing import london_days
from graphql_api.database.database import Database
from graphql_api.domain import brandings, services
from graphql_api.enums import OrganisationType, ServicePermission, UserErrorCode
from graphql_api.errors import (
    AlreadyExists,
    DomainError,
    Forbidden,
    IllegalState,
    NotFound,
    Unauthenticated,
    VersionConflict,
)
from tests.builders import Builders, api_key_actor, organisation_member, platform_admin, stranger, user_actor
from tests.conftest import Statements

YEAR = london_days.financial_year(london_days.today())


async def create(database: Database, actor: Actor, name: str = "Parking permits", **values: Any) -> models.Service:
    async with database.transaction() as tx:
        return await services.create(tx, actor, name=name, **values)


async def update(
    database: Database, actor: Actor, service: models.Service, expected_version: int | None = None, **changes: Any
) -> models.Service:
    async with database.transaction() as tx:
        return await services.update(
            tx, actor, service_id=service.id, changes=changes, expected_version=expected_version
        )


async def archive(database: Database, actor: Actor, service: models.Service) -> models.Service:
    async with database.transaction() as tx:
        return await services.archive(tx, actor, service_id=service.id)


async def rows(database: Database, *columns: Any, where: Any = None) -> list[Any]:
    statement = select(*columns).order_by(*columns)
    async with database.transaction() as tx:
        return list(await tx.execute(statement if where is None else statement.where(where)))


async def versions(database: Database, service: models.Service) -> list[int]:
    row = models.ServiceHistory
    return [version for (version,) in await rows(database, row.version, where=row.id == service.id)]


@pytest.fixture
async def creator(make: Builders) -> Actor:
    return user_actor(await make.user(email_address="ann@town.gov.uk"))


async def test_a_new_service_is_in_trial(database: Database, creator: Actor) -> None:
    service = await create(database, creator, "  Café & Parking  permits ")

    assert (service.name, service.normalised_service_name, service.email_sender_local_part) == (
        "Café & Parking  permits",
        "cafe.parking.permits",
        "cafe.parking.permits",
    )
    assert (service.restricted, service.active, service.count_as_live, service.version) == (True, True, True, 1)
    assert (
        service.email_message_limit,
        service.sms_message_limit,
        service.letter_message_limit,
        service.international_sms_message_limit,
        service.rate_limit,
    ) == (50, 50, 50, 100, 3000)
    assert await versions(database, service) == [1]
    feature, sender = models.ServiceFeature, models.SmsSender
    assert await rows(database, feature.permission) == [
        ("email",),
        ("international_letters",),
        ("international_sms",),
        ("letter",),
        ("sms",),
    ]
    assert await rows(database, sender.sms_sender, sender.is_default) == [("GOVUK", True)]
    billing = models.AnnualBilling
    assert await rows(database, billing.service_id, billing.financial_year_start) == [(service.id, YEAR)]


async def test_its_creator_has_every_permission(database: Database, creator: Actor) -> None:
    service = await create(database, creator)

    member, held = models.ServiceMembership, models.ServiceMemberPermission
    assert await rows(database, member.service_id, member.user_id) == [(service.id, creator.user_id)]
    assert {permission for (permission,) in await rows(database, held.permission)} == {*ServicePermission}


async def test_a_service_of_a_platform_admin_does_not_count_as_live(database: Database, make: Builders) -> None:
    service = await create(database, platform_admin(await make.user(platform_admin=True)))

    assert service.count_as_live is False


@pytest.mark.parametrize(
    ("kind", "texts"), [(OrganisationType.NHS_GP, 0), (OrganisationType.NHS_NOTIFY, 0), (OrganisationType.LOCAL, 50)]
)
async def test_some_types_send_no_text_messages_in_trial(
    database: Database, creator: Actor, kind: OrganisationType, texts: int
) -> None:
    assert (await create(database, creator, organisation_type=kind)).sms_message_limit == texts


async def test_it_belongs_to_the_organisation_of_its_creators_address(
    database: Database, creator: Actor, make: Builders
) -> None:
    brand = models.EmailBranding(name="Town", text="Town")
    await make.add(brand)
    town = await make.organisation(organisation_type="local", crown=False, email_branding_id=brand.id)
    await make.add(models.OrganisationDomain(domain="town.gov.uk", organisation_id=town.id))

    service = await create(database, creator, organisation_type=OrganisationType.OTHER)

    assert (service.organisation_id, service.organisation_type, service.crown) == (town.id, "local", False)
    link = models.ServiceEmailBranding
    assert await rows(database, link.service_id, link.email_branding_id) == [(service.id, brand.id)]


async def test_only_members_and_platform_admins_add_a_service_to_an_organisation(
    database: Database, make: Builders
) -> None:
    town = await make.organisation()
    service = await make.service(organisation_id=town.id)
    colleague = user_actor(await make.member(service), service)
    user = await make.user()

    with pytest.raises(Forbidden):
        await create(database, colleague, organisation_id=town.id)
    with pytest.raises(NotFound) as raised:
        await create(database, user_actor(user), organisation_id=town.id)
    assert raised.value.path == ("organisation_id",)
    assert (
        await create(database, organisation_member(user, town.id), organisation_id=town.id)
    ).organisation_id == town.id


async def test_a_service_of_the_nhs_gets_its_branding(database: Database, make: Builders) -> None:
    await make.add(models.LetterBranding(id=brandings.NHS_LETTER_BRANDING_ID, name="NHS", filename="nhs"))

    service = await create(database, user_actor(await make.user(email_address="doctor@ward.nhs.uk")))

    link = models.ServiceLetterBranding
    assert await rows(database, link.service_id, link.letter_branding_id) == [
        (service.id, brandings.NHS_LETTER_BRANDING_ID)
    ]


async def test_a_name_is_unique_as_a_sender_address_too(database: Database, creator: Actor, make: Builders) -> None:
    other = await make.service(name="Parking permits", normalised_service_name="parking.permits")

    with pytest.raises(AlreadyExists) as raised:
        await create(database, creator, "PARKING, permits!")

    assert (raised.value.path, raised.value.existing) == (("name",), None)
    with pytest.raises(AlreadyExists) as seen:
        await create(database, user_actor(await make.member(other), other), "Parking permits")
    assert isinstance(seen.value.existing, models.Service)
    assert seen.value.existing.id == other.id
    assert len(await rows(database, models.Service.id)) == 1


async def test_the_conflicting_service_is_shown_without_admin_only_columns(database: Database, make: Builders) -> None:
    other = await make.service(notes="Watch them.", normalised_service_name="one")

    with pytest.raises(AlreadyExists) as raised:
        await create(database, user_actor(await make.member(other), other), other.name)

    assert isinstance(raised.value.existing, models.Service)
    assert raised.value.existing.notes is None
    assert await rows(database, models.Service.notes) == [("Watch them.",)]


async def test_api_keys_and_anonymous_callers_cannot_create_services(database: Database, make: Builders) -> None:
    with pytest.raises(Forbidden):
        await create(database, api_key_actor(await make.api_key(await make.service())))
    with pytest.raises(Unauthenticated):
        await create(database, Actor.anonymous())


async def test_a_change_makes_a_version(database: Database, make: Builders) -> None:
    service = await make.service()
    actor = user_actor(await make.member(service), service)

    changed = await update(database, actor, service, prefix_sms=False, volumes={"sms": 5, "letter": None})

    assert (changed.version, changed.prefix_sms, changed.volume_sms, changed.volume_letter) == (2, False, 5, None)
    row = models.ServiceHistory
    assert await rows(
        database, row.version, row.prefix_sms, row.volume_sms, row.updated_at, where=row.id == service.id
    ) == [(1, True, None, None), (2, False, 5, changed.updated_at)]


async def test_a_change_to_equal_values_makes_no_version(database: Database, make: Builders) -> None:
    service = await make.service(volume_sms=5)
    actor = user_actor(await make.member(service), service)

    same = await update(database, actor, service, name=service.name, prefix_sms=True, volumes={"sms": 5})

    assert (same.version, same.updated_at) == (1, None)
    assert await versions(database, service) == [1]


async def test_an_outdated_version_cannot_be_saved(database: Database, make: Builders) -> None:
    service = await make.service()
    actor = user_actor(await make.member(service), service)
    await update(database, actor, service, expected_version=1, prefix_sms=False)

    with pytest.raises(VersionConflict) as raised:
        await update(database, actor, service, expected_version=1, contact_link="https://example.gov.uk")

    assert (raised.value.expected_version, raised.value.current_version) == (1, 2)
    assert await versions(database, service) == [1, 2]


async def test_a_new_name_is_not_confirmed_as_unique(database: Database, make: Builders) -> None:
    service = await make.service(confirmed_unique=True)
    actor = user_actor(await make.member(service), service)

    changed = await update(database, actor, service, name="New name")

    assert (changed.confirmed_unique, changed.normalised_service_name, changed.email_sender_local_part) == (
        False,
        "new.name",
        "new.name",
    )
    assert (await update(database, actor, service, name="Newer name", confirmed_unique=True)).confirmed_unique is True


async def test_setting_a_sender_name_confirms_it_and_sets_the_address(database: Database, make: Builders) -> None:
    service = await make.service(name="Permits", normalised_service_name="permits")
    actor = user_actor(await make.member(service), service)

    named = await update(database, actor, service, custom_email_sender_name=" Town Hall ")
    assert (named.custom_email_sender_name, named.confirmed_email_sender_name, named.email_sender_local_part) == (
        "Town Hall",
        True,
        "town.hall",
    )
    cleared = await update(database, actor, service, custom_email_sender_name=None)
    assert (cleared.custom_email_sender_name, cleared.email_sender_local_part) == (None, "permits")


@pytest.mark.parametrize(
    "changes",
    [{"organisation_type": OrganisationType.OTHER}, {"notes": "Nice."}, {"billing_details": {"reference": "r"}}],
)
async def test_some_settings_are_for_platform_admins(
    database: Database, make: Builders, changes: dict[str, Any]
) -> None:
    service = await make.service()
    with pytest.raises(Forbidden):
        await update(database, user_actor(await make.member(service), service), service, prefix_sms=False, **changes)
    assert await versions(database, service) == [1]

    admin = platform_admin(await make.user(platform_admin=True))
    assert (await update(database, admin, service, **changes)).version == 2


async def test_a_new_type_resets_the_free_allowance(database: Database, make: Builders) -> None:
    service = await make.service(organisation_type="local")
    billing = models.AnnualBilling
    await make.add(
        billing(
            service_id=service.id,
            financial_year_start=YEAR,
            free_sms_fragment_limit=77,
            high_volume_service_last_year=True,
        )
    )
    admin = platform_admin(await make.user(platform_admin=True))

    changed = await update(database, admin, service, organisation_type=OrganisationType.SCHOOL_OR_COLLEGE)

    assert changed.crown is False
    assert await rows(database, billing.free_sms_fragment_limit) == [(0,)]


async def test_all_problems_are_reported_together(database: Database, make: Builders) -> None:
    service = await make.service()
    actor = user_actor(await make.member(service), service)

    with pytest.raises(DomainError) as raised:
        await update(
            database, actor, service, name=None, prefix_sms=None, volumes={"email": -1}, contact_link="x" * 256
        )

    assert [(problem.code, problem.path) for problem in raised.value.problems] == [  # type: ignore[attr-defined]
        (UserErrorCode.REQUIRED, ("name",)),
        (UserErrorCode.TOO_LONG, ("contact_link",)),
        (UserErrorCode.REQUIRED, ("prefix_sms",)),
        (UserErrorCode.OUT_OF_RANGE, ("volumes", "email")),
    ]


async def test_settings_need_their_permission(database: Database, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service)
    others = set(ServicePermission) - {ServicePermission.MANAGE_SETTINGS}

    with pytest.raises(Forbidden):
        await update(database, user_actor(user, service, permissions=others), service, prefix_sms=False)
    with pytest.raises(NotFound) as raised:
        await update(database, stranger(), service, prefix_sms=False)
    missing = models.Service(id=uuid4())
    with pytest.raises(NotFound) as nothing:
        await update(database, stranger(), missing, prefix_sms=False)

    assert (raised.value.message, raised.value.path) == (nothing.value.message, nothing.value.path)
    with pytest.raises(Forbidden):
        await archive(database, user_actor(user, service, permissions=others), service)


async def test_archiving_a_service_archives_templates_and_revokes_keys_and_cancels_jobs(
    database: Database, make: Builders
) -> None:
    service = await make.service(name="Permits", normalised_service_name="permits", restricted=True)
    actor = user_actor(await make.member(service), service)
    template = await make.template(service)
    gone = await make.template(service, archived=True)
    live_key, revoked_key = await make.api_key(service), await make.api_key(service)
    async with database.transaction() as tx:
        revoked = await tx.get_one(models.ApiKey, revoked_key.id)
        revoked.expiry_date = models.utcnow() - timedelta(days=1)
    later = await make.job(template, job_status="scheduled", scheduled_for=models.utcnow() + timedelta(days=1))
    done = await make.job(template)

    archived = await archive(database, actor, service)

    assert archived.updated_at is not None
    stamp = f"{archived.updated_at:%Y-%m-%d-%H:%M:%S}"
    assert (archived.active, archived.version, archived.name) == (False, 2, f"_archived_{stamp}_Permits")
    assert archived.normalised_service_name == f"archived{stamp.replace('-', '').replace(':', '')}permits"
    assert await versions(database, service) == [1, 2]
    row, past = models.Template, models.TemplateHistory
    assert await rows(database, row.version, row.archived) == [(1, True), (2, True)]
    assert await rows(database, past.version, past.archived, where=past.id == template.id) == [(1, False), (2, True)]
    assert gone.version == 1
    api_key, ended = models.ApiKey, models.ApiKeyLifetime
    assert await rows(database, api_key.version, where=api_key.expiry_date.is_not(None)) == [(1,), (2,)]
    assert await rows(database, ended.api_key_id, ended.revoked_by_id) == [(live_key.id, actor.user_id)]
    job = models.Job
    assert await rows(database, job.id, job.job_status) == sorted(
        [(later.id, "cancelled"), (done.id, "finished all notifications created")]
    )
    assert (await make.service(name="Permits", normalised_service_name="permits")).active


async def test_archiving_twice_changes_nothing(database: Database, make: Builders) -> None:
    service = await make.service(restricted=True)
    actor = user_actor(await make.member(service), service)
    first = await archive(database, actor, service)
    second = await archive(database, actor, service)

    assert (second.version, second.name) == (2, first.name)


async def test_only_platform_admins_archive_a_live_service(database: Database, make: Builders) -> None:
    service = await make.service()

    with pytest.raises(Forbidden):
        await archive(database, user_actor(await make.member(service), service), service)
    assert await versions(database, service) == [1]

    assert (await archive(database, platform_admin(await make.user()), service)).active is False


async def test_an_archived_one_cannot_be_changed(database: Database, make: Builders) -> None:
    service = await make.service(active=False)

    with pytest.raises(IllegalState) as raised:
        await update(database, user_actor(await make.member(service), service), service, prefix_sms=False)

    assert (raised.value.code, raised.value.current_state) == (UserErrorCode.SERVICE_ARCHIVED, "ARCHIVED")


async def test_archiving_takes_few_statements_whatever_there_is_to_archive(
    database: Database, make: Builders, statements: Statements
) -> None:
    service = await make.service(restricted=True)
    actor = user_actor(await make.member(service), service)
    for _ in range(3):
        await make.template(service)
        await make.api_key(service)

    with statements(12):
        await archive(database, actor, service)
