"""Services in GraphQL: who sees which fields, and how they are created, changed and archived."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.enums import Channel, KeyType, ServicePermission
from tests.builders import Builders, api_key_actor, organisation_member, platform_admin, stranger, user_actor
from tests.conftest import Ask, Statements

ONE = """query ($id: ID!) { service(id: $id) {
    id name status organisation { name } organisationType createdBy { id } createdAt updatedAt version features
    settings {
        prefixSms customEmailSenderName emailSenderLocalPart confirmedEmailSenderName contactLink consentToResearch
        volumes { sms email letter }
    }
    notes billingDetails { reference } rateLimitPerMinute
    dailyLimits { channel international limit used remaining resetsAt }
} }"""
NAME = "query ($id: ID!) { service(id: $id) { name } }"
LIST = """query ($filter: ServiceFilter, $orderBy: ServiceOrder) {
    services(filter: $filter, orderBy: $orderBy) { totalCount nodes { name } }
}"""
CREATE = """mutation ($input: CreateServiceInput!) { createService(input: $input) {
    service {
        id name status features dailyLimits { limit } apiKeys { totalCount }
        members { nodes { user { id } permissions } }
    }
    userErrors { __typename code path ... on AlreadyExistsError { existing { ... on Service { name notes } } } }
} }"""
UPDATE = """mutation ($input: UpdateServiceInput!) { updateService(input: $input) {
    service { name version notes settings { customEmailSenderName confirmedEmailSenderName } }
    userErrors { __typename code path ... on VersionConflictError { expectedVersion currentVersion } }
} }"""
ARCHIVE = """mutation ($input: ArchiveServiceInput!) { archiveService(input: $input) {
    service {
        status version apiKeys { nodes { revokedBy { id } } }
        templates(filter: {archived: null}) { nodes { archived } }
    }
    userErrors { __typename path }
} }"""


async def names(ask: Ask, by: Actor, **variables: Any) -> list[str]:
    data = (await ask(LIST, by=by, **variables)).root_field
    assert data["totalCount"] == len(data["nodes"])
    return [node["name"] for node in data["nodes"]]


async def test_a_service_has_every_field(ask: Ask, make: Builders) -> None:
    town = await make.organisation()
    service = await make.service(
        organisation_id=town.id,
        organisation_type="local",
        restricted=True,
        features=["sms", "email_auth"],
        sms_message_limit=50,
        volume_sms=1000,
        notes="Watch them.",
        billing_reference="S1",
        custom_email_sender_name="Town Hall",
    )
    user = await make.member(service)
    today = datetime.now(UTC).date()
    await make.add(
        models.DailyUsage(service_id=service.id, day=today, kind="sms", count=60),
        models.DailyUsage(service_id=service.id, day=today, kind="international_sms", count=1),
        models.DailyUsage(service_id=service.id, day=today - timedelta(days=1), kind="email", count=9),
    )
    midnight = f"{(today + timedelta(days=1)).isoformat()}T00:00:00Z"

    def limit(channel: str, limit: int, used: int, remaining: int, *, international: bool = False) -> dict[str, Any]:
        return {
            "channel": channel,
            "international": international,
            "limit": limit,
            "used": used,
            "remaining": remaining,
            "resetsAt": midnight,
        }

    assert (await ask(ONE, by=user_actor(user, service), id=str(service.id))).root_field == {
        "id": str(service.id),
        "name": service.name,
        "status": "TRIAL",
        "organisation": {"name": town.name},
        "organisationType": "LOCAL",
        "createdBy": None,
        "createdAt": f"{service.created_at.isoformat()}Z",
        "updatedAt": None,
        "version": 1,
        "features": ["EMAIL_AUTH", "SMS"],
        "settings": {
            "prefixSms": True,
            "customEmailSenderName": "Town Hall",
            "emailSenderLocalPart": service.email_sender_local_part,
            "confirmedEmailSenderName": False,
            "contactLink": None,
            "consentToResearch": None,
            "volumes": {"sms": 1000, "email": None, "letter": None},
        },
        "notes": None,
        "billingDetails": None,
        "rateLimitPerMinute": 3000,
        "dailyLimits": [
            limit("EMAIL", 250_000, 0, 250_000),
            limit("SMS", 50, 60, 0),
            limit("LETTER", 20_000, 0, 20_000),
            limit("SMS", 100, 1, 99, international=True),
        ],
    }


async def test_platform_admins_see_notes_and_billing_details(ask: Ask, make: Builders) -> None:
    service = await make.service(notes="Watch them.", billing_reference="S1")
    document = "query ($id: ID!) { service(id: $id) { notes billingDetails { reference } } }"

    assert (await ask(document, by=platform_admin(await make.user()), id=str(service.id))).root_field == {
        "notes": "Watch them.",
        "billingDetails": {"reference": "S1"},
    }


async def test_a_stranger_cannot_find_out_that_it_exists(ask: Ask, make: Builders) -> None:
    service = await make.service(name="Permits", normalised_service_name="permits")
    there, nowhere = str(service.id), "11111111-1111-4111-8111-111111111111"
    for by in (stranger(), api_key_actor(await make.api_key(await make.service()))):
        assert (await ask(NAME, by=by, id=there)).root_field is None
        assert (await ask("query ($id: ID!) { node(id: $id) { id } }", by=by, id=there)).root_field is None
        for document in (UPDATE, ARCHIVE):
            answers = [await ask(document, by=by, input={"serviceId": service_id}) for service_id in (there, nowhere)]
            assert answers[0].user_errors == answers[1].user_errors
            assert answers[0].user_errors[0]["__typename"] == "NotFoundError"
    assert await names(ask, stranger()) == []


async def test_who_sees_a_service(ask: Ask, make: Builders) -> None:
    town = await make.organisation()
    service = await make.service(organisation_id=town.id)
    for by in (
        user_actor(await make.member(service, []), service, permissions=[]),
        organisation_member(await make.user(), town.id),
        platform_admin(await make.user()),
        api_key_actor(await make.api_key(service)),
    ):
        assert (await ask(NAME, by=by, id=str(service.id))).root_field == {"name": service.name}
    assert (await ask(NAME, id=str(service.id))).error_codes == ["UNAUTHENTICATED"]


async def test_the_list_can_be_narrowed_and_ordered(ask: Ask, make: Builders) -> None:
    town = await make.organisation()
    live = models.utcnow()
    await make.service(name="Bins", organisation_id=town.id, organisation_type="local", go_live_at=live)
    await make.service(name="Permits", restricted=True, has_active_go_live_request=True, organisation_type="central")
    await make.service(name="Anglers", go_live_at=live - timedelta(days=1))
    await make.service(name="Former", active=False)
    admin = platform_admin(await make.user())

    assert await names(ask, admin) == ["Anglers", "Bins", "Former", "Permits"]
    assert await names(ask, admin, filter={"statuses": ["TRIAL", "ARCHIVED"]}) == ["Former", "Permits"]
    assert await names(ask, admin, filter={"statuses": ["LIVE"], "nameContains": "BIN"}) == ["Bins"]
    assert await names(ask, admin, filter={"organisationId": str(town.id)}) == ["Bins"]
    assert await names(ask, admin, filter={"organisationTypes": ["LOCAL", "CENTRAL"]}) == ["Bins", "Permits"]
    assert await names(ask, admin, filter={"hasActiveGoLiveRequest": True}) == ["Permits"]
    assert await names(ask, admin, filter={"organisationId": "nonsense"}) == []
    by_launch = {"field": "WENT_LIVE_AT", "direction": "DESC"}
    assert (await names(ask, admin, orderBy=by_launch))[:2] == ["Bins", "Anglers"]
    assert (await names(ask, admin, orderBy={"field": "WENT_LIVE_AT"}))[:2] == ["Anglers", "Bins"]


async def test_keys_are_listed_newest_first_for_a_week_after_their_end(ask: Ask, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service)
    now = models.utcnow()
    for name, kind, revoked in (
        ("live", KeyType.LIVE, None),
        ("yesterday's", KeyType.TEAM, now - timedelta(days=1)),
        ("last month's", KeyType.TEAM, now - timedelta(days=30)),
        ("test", KeyType.TEST, None),
    ):
        await make.api_key(service, kind, name=name, expiry_date=revoked)
    document = """query ($id: ID!, $filter: ApiKeyFilter) {
        service(id: $id) { apiKeys(filter: $filter) { totalCount nodes { name } } }
    }"""

    async def listed(**condition: Any) -> list[str]:
        data = (await ask(document, by=user_actor(user, service), id=str(service.id), filter=condition)).root_field
        return [node["name"] for node in data["apiKeys"]["nodes"]]

    assert await listed() == ["test", "yesterday's", "live"]
    assert await listed(includeRevoked=False) == ["test", "live"]
    assert await listed(types=["TEAM", "LIVE"]) == ["yesterday's", "live"]
    lesser = user_actor(user, service, permissions=set(ServicePermission) - {ServicePermission.MANAGE_API_KEYS})
    refused = await ask(document, by=lesser, id=str(service.id))
    assert refused.error_codes == ["FORBIDDEN"]
    assert refused.data == {"service": {"apiKeys": None}}


async def test_templates_are_those_in_folders_that_the_member_opens(ask: Ask, make: Builders) -> None:
    service = await make.service()
    user, other = await make.member(service), await make.member(service)
    folder = models.TemplateFolder(service_id=service.id, name="Ours")
    inside = await make.template(service, name="Inside")
    await make.template(service, Channel.EMAIL, name="At the top")
    await make.template(service, name="Old", archived=True)
    await make.template(service, name="Hidden", hidden=True)
    await make.add(
        folder,
        models.TemplateFolderEntry(template_id=inside.id, template_folder_id=folder.id),
        models.FolderPermission(user_id=user.id, template_folder_id=folder.id, service_id=service.id),
    )
    document = """query ($id: ID!, $filter: TemplateFilter, $orderBy: TemplateOrder) {
        service(id: $id) { templates(filter: $filter, orderBy: $orderBy) { nodes { name } } }
    }"""

    async def listed(by: models.User, **variables: Any) -> list[str]:
        data = (await ask(document, by=user_actor(by, service), id=str(service.id), **variables)).root_field
        return [node["name"] for node in data["templates"]["nodes"]]

    assert await listed(user) == ["At the top", "Inside"]
    assert await listed(other) == ["At the top"]
    assert await listed(user, filter={"archived": None}) == ["At the top", "Inside", "Old"]
    assert await listed(user, filter={"archived": True}) == ["Old"]
    assert await listed(user, filter={"channels": ["SMS"], "nameContains": "in"}) == ["Inside"]
    assert await listed(user, orderBy={"field": "CREATED_AT", "direction": "DESC"}) == ["At the top", "Inside"]
    assert await listed(user, orderBy={"field": "UPDATED_AT"}) == ["Inside", "At the top"]


async def test_what_a_page_of_services_costs_does_not_depend_on_its_rows(
    ask: Ask, make: Builders, statements: Statements
) -> None:
    document = """{ services { nodes {
        name features dailyLimits { used } organisation { name } createdBy { name }
        templates { totalCount nodes { name placeholders { name } sms { fragmentCount } } }
        statistics { total { requested } }
    } } }"""
    admin = platform_admin(await make.user())
    for _ in range(2):
        for _ in range(2):
            service = await make.service(organisation_id=(await make.organisation()).id)
            await make.template(service)
            await make.template(service)
        with statements(9):
            assert (await ask(document, by=admin)).errors == []


async def test_the_creator_of_a_service_is_its_first_member(ask: Ask, make: Builders) -> None:
    user = await make.user(email_address="ann@town.gov.uk")
    town = await make.organisation()
    await make.add(models.OrganisationDomain(domain="town.gov.uk", organisation_id=town.id))

    created = (await ask(CREATE, by=user_actor(user), input={"name": "Permits"})).root_field

    assert created["userErrors"] == []
    assert created["service"] == {
        "id": created["service"]["id"],
        "name": "Permits",
        "status": "TRIAL",
        "features": ["EMAIL", "INTERNATIONAL_LETTERS", "INTERNATIONAL_SMS", "LETTER", "SMS"],
        "dailyLimits": [{"limit": 50}, {"limit": 50}, {"limit": 50}, {"limit": 100}],
        "members": {
            "nodes": [
                {"user": {"id": str(user.id)}, "permissions": [permission.name for permission in ServicePermission]}
            ]
        },
        "apiKeys": {"totalCount": 0},
    }


async def test_a_taken_name_names_its_holder_to_those_who_see_it(ask: Ask, make: Builders) -> None:
    other = await make.service(name="Permits", normalised_service_name="permits", notes="Watch them.")

    def expected_errors(existing: Any) -> list[Any]:
        entry = {"__typename": "AlreadyExistsError", "code": "ALREADY_EXISTS", "path": ["input", "name"]}
        return [entry | {"existing": existing}]

    refused = await ask(CREATE, by=user_actor(await make.user()), input={"name": "permits"})
    assert refused.user_errors == expected_errors(None)
    seen = await ask(CREATE, by=user_actor(await make.member(other), other), input={"name": "Permits"})
    assert seen.user_errors == expected_errors({"name": "Permits", "notes": None})
    admins = await ask(CREATE, by=platform_admin(await make.user()), input={"name": "Permits"})
    assert admins.user_errors == expected_errors({"name": "Permits", "notes": "Watch them."})


async def test_a_service_is_changed_at_the_version_that_was_read(ask: Ask, make: Builders) -> None:
    service = await make.service(notes="Watch them.")
    actor = user_actor(await make.member(service), service)
    arguments = {"serviceId": str(service.id), "expectedVersion": 1, "customEmailSenderName": "Town Hall"}

    assert (await ask(UPDATE, by=actor, input=arguments)).root_field == {
        "service": {
            "name": service.name,
            "version": 2,
            "notes": None,
            "settings": {"customEmailSenderName": "Town Hall", "confirmedEmailSenderName": True},
        },
        "userErrors": [],
    }
    assert (await ask(UPDATE, by=actor, input=arguments)).user_errors == [
        {
            "__typename": "VersionConflictError",
            "code": "VERSION_CONFLICT",
            "path": ["input", "expectedVersion"],
            "expectedVersion": 1,
            "currentVersion": 2,
        }
    ]
    faults = await ask(UPDATE, by=actor, input={"serviceId": str(service.id), "name": " ", "volumes": {"sms": -1}})
    assert [error["path"] for error in faults.user_errors] == [["input", "name"], ["input", "volumes", "sms"]]
    assert (await ask(UPDATE, by=actor, input={"serviceId": str(service.id), "notes": "Mine"})).error_codes == [
        "FORBIDDEN"
    ]


async def test_a_service_is_closed_once_with_its_keys_and_templates(ask: Ask, make: Builders) -> None:
    service = await make.service(restricted=True)
    user = await make.member(service)
    await make.template(service)
    await make.api_key(service, KeyType.TEAM)
    arguments = {"serviceId": str(service.id)}

    closed = {
        "status": "ARCHIVED",
        "version": 2,
        "apiKeys": {"nodes": [{"revokedBy": {"id": str(user.id)}}]},
        "templates": {"nodes": [{"archived": True}]},
    }
    for _ in range(2):
        answer = await ask(ARCHIVE, by=user_actor(user, service), input=arguments)
        assert answer.root_field == {"service": closed, "userErrors": []}


@pytest.mark.parametrize(
    "field",
    [
        'createService(input: {name: "Mine"})',
        'updateService(input: {serviceId: "11111111-1111-4111-8111-111111111111"})',
        'archiveService(input: {serviceId: "11111111-1111-4111-8111-111111111111"})',
    ],
)
async def test_an_anonymous_caller_changes_nothing(ask: Ask, field: str) -> None:
    assert (await ask(f"mutation {{ {field} {{ userErrors {{ code }} }} }}")).error_codes == ["UNAUTHENTICATED"]
