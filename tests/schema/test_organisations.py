"""Organisations in GraphQL: who sees which fields, and how they are changed."""

from __future__ import annotations

from typing import Any

import pytest

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from tests.builders import Builders, api_key_actor, organisation_member, platform_admin, stranger, user_actor
from tests.conftest import Ask, Statements

ONE = """query ($id: ID!) { organisation(id: $id) {
    id name active type crown domains features canApproveOwnGoLiveRequests requestToGoLiveNotes notes
    billingDetails { purchaseOrderNumber contactNames contactEmailAddresses reference }
    agreement { signed signedAt signedOnBehalfOfName signedOnBehalfOfEmailAddress version signedBy { id } }
    createdAt updatedAt liveServiceCount services { totalCount nodes { name } }
} }"""
LIST = """query ($filter: OrganisationFilter, $orderBy: OrganisationOrder) {
    organisations(filter: $filter, orderBy: $orderBy) { nodes { name } }
}"""
CREATE = """mutation ($input: CreateOrganisationInput!) { createOrganisation(input: $input) {
    organisation { id name type crown domains agreement { signed } }
    userErrors { __typename code path ... on AlreadyExistsError { existing { id } } }
} }"""
UPDATE = """mutation ($input: UpdateOrganisationInput!) { updateOrganisation(input: $input) {
    organisation {
        name type domains features notes billingDetails { reference } services { nodes { organisationType } }
    }
    userErrors { code path }
} }"""
ARCHIVE = """mutation ($input: ArchiveOrganisationInput!) { archiveOrganisation(input: $input) {
    organisation { active name domains } userErrors { code path message }
} }"""


@pytest.fixture
async def admin(make: Builders) -> Actor:
    return platform_admin(await make.user(platform_admin=True))


async def names(ask: Ask, by: Actor, **variables: Any) -> list[str]:
    return [node["name"] for node in (await ask(LIST, by=by, **variables)).root_field["nodes"]]


async def test_an_organisation_has_every_field(ask: Ask, make: Builders, admin: Actor) -> None:
    signer = await make.user()
    town = await make.organisation(
        name="Town",
        organisation_type="local",
        crown=False,
        notes="Friendly.",
        billing_reference="T1",
        agreement_signed=True,
        agreement_signed_by_id=signer.id,
        agreement_signed_version=1.2,
    )
    await make.add(
        models.OrganisationDomain(domain="town.gov.uk", organisation_id=town.id),
        models.OrganisationDomain(domain="parks.town.gov.uk", organisation_id=town.id),
        models.OrganisationFeature(organisation_id=town.id, permission="can_ask_to_join_a_service"),
    )
    await make.service(organisation_id=town.id, name="B live")
    await make.service(organisation_id=town.id, name="A archived", active=False)
    await make.service(organisation_id=town.id, name="C trial", restricted=True)
    await make.service(organisation_id=town.id, name="D ours", count_as_live=False)

    assert (await ask(ONE, by=admin, id=str(town.id))).root_field == {
        "id": str(town.id),
        "name": "Town",
        "active": True,
        "type": "LOCAL",
        "crown": False,
        "domains": ["parks.town.gov.uk", "town.gov.uk"],
        "features": ["ASK_TO_JOIN_SERVICE"],
        "canApproveOwnGoLiveRequests": False,
        "requestToGoLiveNotes": None,
        "notes": "Friendly.",
        "billingDetails": {
            "purchaseOrderNumber": None,
            "contactNames": None,
            "contactEmailAddresses": None,
            "reference": "T1",
        },
        "agreement": {
            "signed": True,
            "signedAt": None,
            "signedOnBehalfOfName": None,
            "signedOnBehalfOfEmailAddress": None,
            "version": 1.2,
            "signedBy": {"id": str(signer.id)},
        },
        "createdAt": f"{town.created_at.isoformat()}Z",
        "updatedAt": None,
        "liveServiceCount": 1,
        "services": {
            "totalCount": 4,
            "nodes": [{"name": "B live"}, {"name": "C trial"}, {"name": "D ours"}, {"name": "A archived"}],
        },
    }


async def test_those_who_belong_see_it_without_what_is_for_platform_admins(ask: Ask, make: Builders) -> None:
    town = await make.organisation(notes="Friendly.", billing_reference="T1")
    service = await make.service(organisation_id=town.id)
    await make.service(organisation_id=town.id)
    short = "query ($id: ID!) { organisation(id: $id) { notes billingDetails { reference } services { totalCount } } }"

    async def seen(by: Actor) -> Any:
        return (await ask(short, by=by, id=str(town.id))).root_field

    hidden = {"notes": None, "billingDetails": None}
    assert await seen(organisation_member(await make.user(), town.id)) == hidden | {"services": {"totalCount": 2}}
    assert await seen(user_actor(await make.member(service), service)) == hidden | {"services": {"totalCount": 1}}
    assert await seen(stranger()) is None
    assert await seen(api_key_actor(await make.api_key(service))) is None


async def test_an_anonymous_caller_is_unauthenticated(ask: Ask, make: Builders) -> None:
    town = await make.organisation()

    assert (await ask(ONE, id=str(town.id))).error_codes == ["UNAUTHENTICATED"]


async def test_the_list_is_by_name_and_can_be_narrowed(ask: Ask, make: Builders, admin: Actor) -> None:
    await make.organisation(name="Zoo", organisation_type="other", agreement_signed=True)
    await make.organisation(name="Town 100%", organisation_type="local", agreement_signed=False)
    await make.organisation(name="Former Town", organisation_type="local", active=False)

    assert await names(ask, admin) == ["Former Town", "Town 100%", "Zoo"]
    assert await names(ask, admin, filter={"nameContains": "TOWN"}) == ["Former Town", "Town 100%"]
    assert await names(ask, admin, filter={"nameContains": "100%"}) == ["Town 100%"]
    assert await names(ask, admin, filter={"types": ["LOCAL"], "active": True}) == ["Town 100%"]
    assert await names(ask, admin, filter={"agreementSigned": False}) == ["Former Town", "Town 100%"]
    assert await names(ask, admin, orderBy={"field": "CREATED_AT", "direction": "DESC"}) == [
        "Former Town",
        "Town 100%",
        "Zoo",
    ]


async def test_a_list_costs_the_same_however_long_it_is(
    ask: Ask, make: Builders, admin: Actor, statements: Statements
) -> None:
    document = """{ organisations { nodes {
        name domains features liveServiceCount services { totalCount nodes { name features } }
    } } }"""
    for _ in range(2):
        for _ in range(2):
            await make.service(organisation_id=(await make.organisation()).id)
        with statements(7):
            await ask(document, by=admin)


async def test_an_admin_adds_an_organisation_once(ask: Ask, admin: Actor) -> None:
    arguments = {"name": "Trust", "type": "NHS_CENTRAL", "domains": ["Trust.nhs.uk"], "agreementSigned": True}
    created = (await ask(CREATE, by=admin, input=arguments)).root_field

    assert created["userErrors"] == []
    assert created["organisation"] == {
        "id": created["organisation"]["id"],
        "name": "Trust",
        "type": "NHS_CENTRAL",
        "crown": True,
        "domains": ["trust.nhs.uk"],
        "agreement": {"signed": True},
    }
    again = await ask(CREATE, by=admin, input=arguments)
    assert again.user_errors == [
        {
            "__typename": "AlreadyExistsError",
            "code": "ALREADY_EXISTS",
            "path": ["input", *path],
            "existing": {"id": created["organisation"]["id"]},
        }
        for path in (["name"], ["domains", "0"])
    ]


async def test_a_change_of_an_organisation_changes_its_services(ask: Ask, make: Builders, admin: Actor) -> None:
    town = await make.organisation()
    await make.service(organisation_id=town.id)

    changed = await ask(
        UPDATE,
        by=admin,
        input={
            "organisationId": str(town.id),
            "name": "Village",
            "type": "SCHOOL_OR_COLLEGE",
            "domains": ["village.gov.uk"],
            "features": ["ASK_TO_JOIN_SERVICE"],
            "notes": None,
            "billingDetails": {"reference": "V"},
        },
    )

    assert changed.root_field == {
        "organisation": {
            "name": "Village",
            "type": "SCHOOL_OR_COLLEGE",
            "domains": ["village.gov.uk"],
            "features": ["ASK_TO_JOIN_SERVICE"],
            "notes": None,
            "billingDetails": {"reference": "V"},
            "services": {"nodes": [{"organisationType": "SCHOOL_OR_COLLEGE"}]},
        },
        "userErrors": [],
    }


async def test_an_organisation_is_archived_once_it_has_no_active_service(
    ask: Ask, make: Builders, admin: Actor, database: Database
) -> None:
    town = await make.organisation()
    service = await make.service(organisation_id=town.id)
    arguments = {"organisationId": str(town.id)}

    assert (await ask(ARCHIVE, by=admin, input=arguments)).root_field == {
        "organisation": None,
        "userErrors": [
            {
                "code": "IN_USE",
                "path": ["input", "organisationId"],
                "message": "The organisation still has active services.",
            }
        ],
    }
    async with database.transaction() as tx:
        (await tx.get_one(models.Service, service.id)).active = False
    archived = (await ask(ARCHIVE, by=admin, input=arguments)).root_field["organisation"]
    assert (archived["active"], archived["domains"]) == (False, [])


async def test_only_platform_admins_change_them(ask: Ask, make: Builders) -> None:
    town = await make.organisation()
    refused = await ask(
        UPDATE, by=organisation_member(await make.user(), town.id), input={"organisationId": str(town.id)}
    )

    assert refused.error_codes == ["FORBIDDEN"]
    assert refused.errors[0]["extensions"]["requiredPermission"] == "PLATFORM_ADMIN"


async def test_a_malformed_id_is_not_found(ask: Ask, admin: Actor) -> None:
    refused = await ask(UPDATE, by=admin, input={"organisationId": "1; DROP TABLE organisation"})

    assert refused.user_errors == [{"code": "NOT_FOUND", "path": ["input", "organisationId"]}]
