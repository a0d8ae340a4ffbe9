"""Organisations: permissions, changes that apply to their services, archiving."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.billing import london_days
from graphql_api.database.database import Database
from graphql_api.domain import brandings, organisations
from graphql_api.enums import OrganisationFeature, OrganisationType, UserErrorCode
from graphql_api.errors import AlreadyExists, DomainError, Forbidden, IllegalState, NotFound, Unauthenticated
from tests.builders import Builders, organisation_member, platform_admin, stranger, user_actor

YEAR = london_days.financial_year(london_days.today())


async def create(database: Database, actor: Actor, **values: Any) -> models.Organisation:
    async with database.transaction() as tx:
        return await organisations.create(tx, actor, **({"name": "Town", "type": OrganisationType.LOCAL} | values))


async def update(database: Database, actor: Actor, of: models.Organisation, **changes: Any) -> models.Organisation:
    async with database.transaction() as tx:
        return await organisations.update(tx, actor, organisation_id=of.id, changes=changes)


async def archive(database: Database, actor: Actor, of: models.Organisation) -> models.Organisation:
    async with database.transaction() as tx:
        return await organisations.archive(tx, actor, organisation_id=of.id)


async def rows(database: Database, statement: Any) -> list[Any]:
    async with database.transaction() as tx:
        return list(await tx.execute(statement))


async def domains_of(database: Database, organisation: models.Organisation) -> list[str]:
    row = models.OrganisationDomain
    statement = select(row.domain).where(row.organisation_id == organisation.id).order_by(row.domain)
    return [domain for (domain,) in await rows(database, statement)]


@pytest.fixture
async def admin(make: Builders) -> Actor:
    return platform_admin(await make.user(platform_admin=True))


async def test_domains_are_stored_in_lower_case_without_duplicates(database: Database, admin: Actor) -> None:
    town = await create(database, admin, domains=["Town.GOV.UK ", "town.gov.uk", "parks.town.gov.uk"])

    assert await domains_of(database, town) == ["parks.town.gov.uk", "town.gov.uk"]


@pytest.mark.parametrize(
    ("kind", "given_crown", "stored_crown"),
    [
        (OrganisationType.LOCAL, True, False),
        (OrganisationType.NHS_CENTRAL, False, True),
        (OrganisationType.CENTRAL, True, True),
        (OrganisationType.OTHER, None, None),
    ],
)
async def test_some_types_imply_whether_it_belongs_to_the_crown(
    database: Database, admin: Actor, kind: OrganisationType, given_crown: bool | None, stored_crown: bool | None
) -> None:
    assert (await create(database, admin, type=kind, crown=given_crown)).crown is stored_crown


async def test_only_platform_admins_change_organisations(database: Database, make: Builders) -> None:
    town = await make.organisation()
    for actor in (stranger(), organisation_member(await make.user(), town.id)):
        with pytest.raises(Forbidden):
            await create(database, actor)
        with pytest.raises(Forbidden):
            await update(database, actor, town, name="Mine")
        with pytest.raises(Forbidden):
            await archive(database, actor, town)
    with pytest.raises(Unauthenticated):
        await create(database, Actor.anonymous())

    assert await rows(database, select(models.Organisation.name)) == [(town.name,)]


async def test_all_problems_are_reported_together(database: Database, admin: Actor, make: Builders) -> None:
    other = await make.organisation(name="Other")
    await make.add(models.OrganisationDomain(domain="other.gov.uk", organisation_id=other.id))

    with pytest.raises(DomainError) as raised:
        await create(database, admin, name="Other", domains=["other.gov.uk", "a@b.gov.uk", "localhost"])

    assert [(type(problem).__name__, problem.path) for problem in raised.value.problems] == [  # type: ignore[attr-defined]
        ("Invalid", ("domains", "1")),
        ("Invalid", ("domains", "2")),
        ("AlreadyExists", ("name",)),
        ("AlreadyExists", ("domains", "0")),
    ]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("  ", UserErrorCode.REQUIRED),
        ("!?", UserErrorCode.TOO_SHORT),
        ("a" * 256, UserErrorCode.TOO_LONG),
        ("NUL\0", UserErrorCode.INVALID),
    ],
)
async def test_a_blank_name_is_refused(database: Database, admin: Actor, name: str, code: UserErrorCode) -> None:
    with pytest.raises(DomainError) as raised:
        await create(database, admin, name=name)

    assert (raised.value.code, raised.value.path) == (code, ("name",))
    assert await rows(database, select(models.Organisation.name)) == []


async def test_all_domains_are_replaced(database: Database, admin: Actor) -> None:
    town = await create(database, admin, domains=["town.gov.uk", "old.gov.uk"])
    await update(database, admin, town, domains=["New.gov.uk", "town.gov.uk"])

    assert await domains_of(database, town) == ["new.gov.uk", "town.gov.uk"]


async def test_a_domain_belongs_to_one_organisation(database: Database, admin: Actor) -> None:
    town = await create(database, admin, domains=["town.gov.uk"])
    city = await create(database, admin, name="City", domains=["city.gov.uk"])

    with pytest.raises(AlreadyExists) as raised:
        await update(database, admin, city, domains=["city.gov.uk", "TOWN.gov.uk"])

    assert raised.value.path == ("domains", "1")
    assert isinstance(raised.value.existing, models.Organisation)
    assert raised.value.existing.id == town.id
    assert await domains_of(database, city) == ["city.gov.uk"]


async def test_all_features_are_replaced(database: Database, admin: Actor) -> None:
    town = await create(database, admin)
    features = select(models.OrganisationFeature.permission)
    await update(database, admin, town, features=[OrganisationFeature.ASK_TO_JOIN_SERVICE])
    assert await rows(database, features) == [("can_ask_to_join_a_service",)]

    await update(database, admin, town, features=[])
    assert await rows(database, features) == []


async def test_a_new_type_applies_to_the_services_and_their_allowance(
    database: Database, admin: Actor, make: Builders
) -> None:
    town = await create(database, admin, type=OrganisationType.LOCAL)
    mine = await make.service(organisation_id=town.id, organisation_type="local", crown=False)
    other = await make.service(organisation_type="local")
    await make.add(
        models.AnnualBilling(
            service_id=mine.id, financial_year_start=YEAR, free_sms_fragment_limit=77, has_custom_allowance=True
        )
    )

    await update(database, admin, town, type=OrganisationType.NHS_CENTRAL)

    row = models.Service
    assert await rows(
        database,
        select(row.id, row.organisation_type, row.crown, row.version)
        .where(row.id.in_([mine.id, other.id]))
        .order_by(row.created_at),
    ) == [(mine.id, "nhs_central", True, 2), (other.id, "local", None, 1)]
    history = models.ServiceHistory
    assert await rows(
        database,
        select(history.version, history.organisation_type).where(history.id == mine.id).order_by(history.version),
    ) == [(1, "local"), (2, "nhs_central")]
    billing = models.AnnualBilling
    (usual,) = await rows(
        database,
        text(
            "SELECT allowance FROM default_annual_allowance WHERE organisation_type = 'nhs_central'"
            " AND notification_type = 'sms' AND valid_from_financial_year_start <= :year"
            " ORDER BY valid_from_financial_year_start DESC LIMIT 1"
        ).bindparams(year=YEAR),
    )
    assert await rows(
        database, select(billing.service_id, billing.free_sms_fragment_limit, billing.has_custom_allowance)
    ) == [(mine.id, *usual, False)]


async def test_a_change_without_type_does_not_change_the_services(
    database: Database, admin: Actor, make: Builders
) -> None:
    town = await create(database, admin)
    mine = await make.service(organisation_id=town.id, organisation_type="local", crown=False)

    await update(database, admin, town, name="Village", type=OrganisationType.LOCAL, notes="Small.")

    assert await rows(database, select(models.Service.version).where(models.Service.id == mine.id)) == [(1,)]
    assert await rows(database, select(models.AnnualBilling.id)) == []


async def test_a_new_nhs_type_sets_missing_branding_only(database: Database, admin: Actor, make: Builders) -> None:
    own = models.LetterBranding(name="Own", filename="own")
    await make.add(
        models.EmailBranding(id=brandings.NHS_EMAIL_BRANDING_ID, name="NHS", alt_text="NHS"),
        models.LetterBranding(id=brandings.NHS_LETTER_BRANDING_ID, name="NHS", filename="nhs"),
        own,
    )
    trust = await make.organisation(organisation_type="other", letter_branding_id=own.id)

    changed = await update(database, admin, trust, type=OrganisationType.NHS_LOCAL)

    assert (changed.email_branding_id, changed.letter_branding_id) == (brandings.NHS_EMAIL_BRANDING_ID, own.id)


async def test_branding_stays_empty_if_the_nhs_branding_does_not_exist(database: Database, admin: Actor) -> None:
    trust = await create(database, admin, type=OrganisationType.NHS_LOCAL)

    assert (trust.email_branding_id, trust.letter_branding_id) == (None, None)


async def test_all_billing_details_are_replaced(database: Database, admin: Actor) -> None:
    town = await create(database, admin)
    await update(database, admin, town, billing_details={"purchase_order_number": "1", "reference": "r"})
    changed = await update(database, admin, town, billing_details={"contact_names": "Ann"})

    assert (changed.purchase_order_number, changed.billing_reference, changed.billing_contact_names) == (
        None,
        None,
        "Ann",
    )


async def test_archiving_frees_the_name_and_the_domains(database: Database, admin: Actor) -> None:
    town = await create(database, admin, domains=["town.gov.uk"])
    archived = await archive(database, admin, town)

    assert archived.updated_at is not None
    assert (archived.active, archived.name) == (False, f"_archived_{archived.updated_at:%Y-%m-%d-%H:%M:%S}_Town")
    assert await domains_of(database, town) == []
    again = await create(database, admin, domains=["town.gov.uk"])
    assert again.name == "Town"


async def test_archiving_twice_changes_nothing(database: Database, admin: Actor) -> None:
    town = await create(database, admin)
    first = await archive(database, admin, town)

    assert (await archive(database, admin, town)).name == first.name


async def test_an_archived_one_cannot_be_changed(database: Database, admin: Actor) -> None:
    town = await create(database, admin)
    await archive(database, admin, town)

    with pytest.raises(IllegalState) as raised:
        await update(database, admin, town, name="Village")

    assert (raised.value.current_state, raised.value.allowed_states) == ("ARCHIVED", ["ACTIVE"])


async def test_an_organisation_in_use_cannot_be_archived(database: Database, admin: Actor, make: Builders) -> None:
    town = await create(database, admin)
    service = await make.service(organisation_id=town.id)
    user = await make.user()
    await make.add(models.OrganisationMembership(user_id=user.id, organisation_id=town.id))
    shared = {"invited_by_id": user.id, "organisation_id": town.id, "permissions": ""}
    await make.add(
        models.InvitedOrganisationUser(email_address="one@example.gov.uk", status="accepted", **shared),
        models.InvitedOrganisationUser(email_address="two@example.gov.uk", status="pending", **shared),
    )

    with pytest.raises(DomainError) as raised:
        await archive(database, admin, town)

    assert [(problem.code, problem.message) for problem in raised.value.problems] == [  # type: ignore[attr-defined]
        (UserErrorCode.IN_USE, "The organisation still has active services."),
        (UserErrorCode.IN_USE, "The organisation still has members."),
        (UserErrorCode.IN_USE, "The organisation still has pending invitations."),
    ]
    assert await rows(database, select(models.Organisation.name)) == [("Town",)]
    assert service.active


async def test_an_organisation_with_archived_services_can_be_archived(
    database: Database, admin: Actor, make: Builders
) -> None:
    town = await create(database, admin)
    await make.service(organisation_id=town.id, active=False)

    assert (await archive(database, admin, town)).active is False


async def test_an_unknown_id_is_not_found(database: Database, admin: Actor, make: Builders) -> None:
    missing = await make.service()
    with pytest.raises(NotFound) as raised:
        async with database.transaction() as tx:
            await organisations.archive(tx, admin, organisation_id=missing.id)

    assert (raised.value.missing_id, raised.value.path) == (str(missing.id), ("organisation_id",))


async def test_the_longest_matching_domain_owns_an_address(database: Database, admin: Actor) -> None:
    town = await create(database, admin, domains=["town.gov.uk"])
    parks = await create(database, admin, name="Parks", domains=["parks.town.gov.uk"])

    async def owner(address: str) -> Any:
        async with database.transaction() as tx:
            organisation = await organisations.find_by_email_domain(tx, address)
        return organisation and organisation.id

    assert await owner("a@TOWN.gov.uk") == town.id
    assert await owner("a@trees.parks.town.gov.uk") == parks.id
    assert await owner("a@downtown.gov.uk") is None


async def test_an_invisible_organisation_is_not_disclosed_by_a_conflict(database: Database, make: Builders) -> None:
    service = await make.service()
    actor = user_actor(await make.member(service), service)
    with pytest.raises(Forbidden):
        await update(database, actor, await make.organisation(), name="Mine")
