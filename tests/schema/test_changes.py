"""The audit log: its entries, what they leave out, and who may read it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.enums import Channel, ServicePermission
from tests.builders import Builders, api_key_actor, organisation_member, platform_admin, stranger, user_actor
from tests.conftest import Ask, SingleConnectionDatabase, Statements

ENTRY = """
    action objectType objectId object { __typename id } requestId
    actor { ... on User { name } ... on ApiKey { name } }
    changes { field before after }
"""
PAGE = f"totalCount pageInfo {{ hasNextPage hasPreviousPage endCursor }} nodes {{ {ENTRY} }}"
SERVICE_LOG = f"""query ($id: ID!, $filter: AuditLogFilter, $first: Int, $after: String) {{
    service(id: $id) {{ auditLog(filter: $filter, first: $first, after: $after) {{ {PAGE} }} }}
}}"""
ORGANISATION_LOG = f"""query ($id: ID!, $filter: AuditLogFilter) {{
    organisation(id: $id) {{ auditLog(filter: $filter) {{ {PAGE} }} }}
}}"""
PLATFORM_LOG = f"query ($filter: AuditLogFilter) {{ auditLog(filter: $filter) {{ {PAGE} }} }}"
UPDATE_SERVICE = """mutation ($input: UpdateServiceInput!) {
    updateService(input: $input) { userErrors { message } }
}"""
UPDATE_TEMPLATE = """mutation ($input: UpdateTemplateInput!) {
    updateTemplate(input: $input) { userErrors { message } }
}"""
UPDATE_ORGANISATION = """mutation ($input: UpdateOrganisationInput!) {
    updateOrganisation(input: $input) { userErrors { message } }
}"""
CREATE_KEY = """mutation ($input: CreateApiKeyInput!) {
    createApiKey(input: $input) { key apiKey { id } userErrors { message } }
}"""
SET_MEMBER = """mutation ($input: SetServiceMemberInput!) {
    setServiceMember(input: $input) { userErrors { message } }
}"""


@dataclass
class Team:
    """A service, and a member with every permission."""

    service: models.Service
    user: models.User

    @property
    def actor(self) -> Actor:
        """The member as a caller."""
        return user_actor(self.user, self.service)


@pytest.fixture
async def team(make: Builders) -> Team:
    """A team without entries but those of the builders."""
    service = await make.service(name="Old name")
    return Team(service, await make.member(service, user=await make.user(name="Ann")))


async def latest_changes(ask: Ask, team: Team, **variables: Any) -> list[dict[str, Any]]:
    """The latest entries that have an actor, as the team reads them."""
    answer = await ask(SERVICE_LOG, by=team.actor, id=str(team.service.id), **variables)
    nodes: list[dict[str, Any]] = answer.root_field["auditLog"]["nodes"]
    return [node for node in nodes if node["actor"]]


async def test_an_entry_has_the_actor_the_change_and_the_request(ask: Ask, team: Team) -> None:
    structlog.contextvars.bind_contextvars(request_id="one-request")
    await ask(
        UPDATE_SERVICE,
        by=team.actor,
        input={"serviceId": str(team.service.id), "name": "New name", "prefixSms": False},
    )
    structlog.contextvars.clear_contextvars()

    assert await latest_changes(ask, team) == [
        {
            "action": "UPDATE",
            "objectType": "Service",
            "objectId": str(team.service.id),
            "object": {"__typename": "Service", "id": str(team.service.id)},
            "requestId": "one-request",
            "actor": {"name": "Ann"},
            "changes": [
                {"field": "emailSenderLocalPart", "before": team.service.email_sender_local_part, "after": "new.name"},
                {"field": "name", "before": "Old name", "after": "New name"},
                {"field": "prefixSms", "before": True, "after": False},
            ],
        }
    ]


async def test_a_key_is_added_without_its_secret(ask: Ask, team: Team, database: SingleConnectionDatabase) -> None:
    created = await ask(
        CREATE_KEY, by=team.actor, input={"serviceId": str(team.service.id), "name": "Our key", "type": "LIVE"}
    )

    (entry,) = await latest_changes(ask, team)
    async with database.read_connection() as connection:
        log = str((await connection.execute(text("SELECT change_log::text FROM change_log"))).all())
        stored = await connection.scalar(text("SELECT secret FROM api_keys"))
    assert entry == {
        "action": "CREATE",
        "objectType": "ApiKey",
        "objectId": created.root_field["apiKey"]["id"],
        "object": {"__typename": "ApiKey", "id": created.root_field["apiKey"]["id"]},
        "requestId": None,
        "actor": {"name": "Ann"},
        "changes": [
            {"field": "name", "before": None, "after": "Our key"},
            {"field": "type", "before": None, "after": "LIVE"},
        ],
    }
    assert created.root_field["key"][-36:] not in log
    assert stored not in log


async def test_the_log_has_that_content_changed_but_not_the_content(
    ask: Ask, team: Team, make: Builders, database: SingleConnectionDatabase
) -> None:
    template = await make.template(
        team.service, Channel.EMAIL, name="Old title", subject="Subject of old", content="Body of old"
    )

    await ask(
        UPDATE_TEMPLATE,
        by=team.actor,
        input={
            "templateId": str(template.id),
            "name": "New title",
            "content": {"email": {"subject": "Subject of new", "body": "Body of new"}},
        },
    )

    (entry,) = await latest_changes(ask, team)
    async with database.read_connection() as connection:
        log = str((await connection.execute(text("SELECT change_log::text FROM change_log"))).all())
    assert entry["changes"] == [
        {"field": "content", "before": None, "after": None},
        {"field": "name", "before": "Old title", "after": "New title"},
        {"field": "subject", "before": None, "after": None},
    ]
    assert "Body of" not in log
    assert "Subject of" not in log


async def test_each_changed_permission_has_an_entry(ask: Ask, team: Team, make: Builders) -> None:
    bob = await make.member(team.service, {ServicePermission.SEND_TEXTS}, await make.user(name="Bob"))

    await ask(
        SET_MEMBER,
        by=team.actor,
        input={
            "serviceId": str(team.service.id),
            "userId": str(bob.id),
            "permissions": ["SEND_EMAILS", "MANAGE_SETTINGS"],
        },
    )

    entries = await latest_changes(ask, team)
    assert {(entry["action"], entry["objectType"], entry["objectId"], entry["object"]) for entry in entries} == {
        ("UPDATE", "ServiceMembership", str(bob.id), None)
    }
    assert sorted(str(entry["changes"]) for entry in entries) == [
        "[{'field': 'permissions', 'before': 'SEND_TEXTS', 'after': None}]",
        "[{'field': 'permissions', 'before': None, 'after': 'MANAGE_SETTINGS'}]",
        "[{'field': 'permissions', 'before': None, 'after': 'SEND_EMAILS'}]",
    ]


async def test_a_refused_change_has_no_entry(ask: Ask, team: Team, make: Builders) -> None:
    await make.service(name="Taken")

    refused = await ask(UPDATE_SERVICE, by=team.actor, input={"serviceId": str(team.service.id), "name": "Taken"})

    assert refused.user_errors == [{"message": "Another service has this name, or nearly."}]
    assert await latest_changes(ask, team) == []


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, ["ApiKey", "Service", "SmsSender"]),
        ({"objectTypes": ["Service", "SmsSender"]}, ["Service", "SmsSender"]),
        ({"objectTypes": ["Notification", "' OR true --"]}, []),
        ({"objectTypes": []}, []),
        ({"objectId": "SERVICE"}, ["Service"]),
        ({"objectId": "malformed"}, []),
        ({"actorId": "ANN"}, ["ApiKey", "Service"]),
        ({"actorId": "SERVICE"}, []),
        ({"actorId": "malformed"}, []),
        ({"actions": ["CREATE"], "objectTypes": ["ApiKey", "SmsSender"]}, ["ApiKey", "SmsSender"]),
        ({"actions": ["DELETE"]}, []),
        ({"occurredAt": {"from": "2000-01-01T00:00:00Z"}}, ["ApiKey", "Service", "SmsSender"]),
        ({"occurredAt": {"to": "2000-01-01T00:00:00Z"}}, []),
    ],
    ids=str,
)
async def test_every_condition_must_hold(ask: Ask, team: Team, conditions: dict[str, Any], expected: list[str]) -> None:
    actor, service_id = team.actor, str(team.service.id)
    await ask(UPDATE_SERVICE, by=actor, input={"serviceId": service_id, "name": "New name"})
    await ask(CREATE_KEY, by=actor, input={"serviceId": service_id, "name": "Our key", "type": "LIVE"})
    ids = {"SERVICE": service_id, "ANN": str(team.user.id)}
    condition = {name: ids.get(str(value), value) for name, value in conditions.items()}

    answer = await ask(SERVICE_LOG, by=actor, id=service_id, filter=condition)

    log = answer.root_field["auditLog"]
    kinds = {node["objectType"] for node in log["nodes"]} - {"ServiceMembership"}
    assert sorted(kinds) == expected
    assert log["totalCount"] == len(log["nodes"])


async def test_pages_are_latest_first(ask: Ask, team: Team, statements: Statements) -> None:
    for name in ("First", "Second", "Third"):
        await ask(UPDATE_SERVICE, by=team.actor, input={"serviceId": str(team.service.id), "name": name})
    filter_ = {"objectTypes": ["Service"], "actorId": str(team.user.id)}
    names, after = [], None

    for size in (2, 2):
        with statements(4 if after is None else 5):
            answer = await ask(
                SERVICE_LOG, by=team.actor, id=str(team.service.id), filter=filter_, first=size, after=after
            )
        log = answer.root_field["auditLog"]
        names += [change["after"] for node in log["nodes"] for change in node["changes"] if change["field"] == "name"]
        after = log["pageInfo"]["endCursor"]

    assert names == ["Third", "Second", "First"]
    assert log["totalCount"] == 3
    assert (log["pageInfo"]["hasNextPage"], log["pageInfo"]["hasPreviousPage"]) == (False, True)


CALLERS: dict[str, tuple[Callable[[Team, models.ApiKey], Actor], Any]] = {
    "may change settings": (
        lambda team, _: user_actor(team.user, team.service, permissions={ServicePermission.MANAGE_SETTINGS}),
        1,
    ),
    "may do all else": (
        lambda team, _: user_actor(
            team.user, team.service, permissions=frozenset(ServicePermission) - {ServicePermission.MANAGE_SETTINGS}
        ),
        ["FORBIDDEN"],
    ),
    "key": (lambda _, key: api_key_actor(key), ["FORBIDDEN"]),
    "platform admin": (lambda team, _: platform_admin(team.user), 1),
    "stranger": (lambda *_: stranger(), None),
    "anonymous": (lambda *_: Actor.anonymous(), ["UNAUTHENTICATED"]),
}


@pytest.mark.parametrize("caller", CALLERS)
async def test_who_reads_a_service_s_log(ask: Ask, make: Builders, team: Team, caller: str) -> None:
    who, expected = CALLERS[caller]
    api_key = await make.api_key(team.service)

    answer = await ask(
        SERVICE_LOG, by=who(team, api_key), id=str(team.service.id), filter={"objectTypes": ["SmsSender"]}
    )

    if isinstance(expected, list):
        assert answer.error_codes == expected
    else:
        assert (answer.root_field and answer.root_field["auditLog"]["totalCount"]) == expected


async def test_the_log_of_everything_is_for_platform_admins(ask: Ask, make: Builders, team: Team) -> None:
    admin = await make.user(platform_admin=True)
    variables: dict[str, Any] = {"filter": {"objectTypes": ["User"], "objectId": str(team.user.id)}}

    read = await ask(PLATFORM_LOG, by=platform_admin(admin), **variables)

    assert [node["changes"] for node in read.root_field["nodes"]] == [
        [
            {"field": "authType", "before": None, "after": "SMS"},
            {"field": "emailAddress", "before": None, "after": None},
            {"field": "isPlatformAdmin", "before": None, "after": False},
            {"field": "name", "before": None, "after": None},
            {"field": "password", "before": None, "after": None},
            {"field": "phoneNumber", "before": None, "after": None},
            {"field": "receivesNewFeaturesEmail", "before": None, "after": True},
            {"field": "state", "before": None, "after": "ACTIVE"},
            {"field": "takePartInResearch", "before": None, "after": True},
        ]
    ]
    assert (await ask(PLATFORM_LOG, by=team.actor, **variables)).error_codes == ["FORBIDDEN"]
    assert (await ask(PLATFORM_LOG, by=api_key_actor(await make.api_key(team.service)), **variables)).error_codes == [
        "FORBIDDEN"
    ]
    assert (await ask(PLATFORM_LOG, **variables)).error_codes == ["UNAUTHENTICATED"]


async def test_an_organisation_s_log_is_for_its_members(ask: Ask, make: Builders) -> None:
    mine, theirs = await make.organisation(name="Mine"), await make.organisation(name="Theirs")
    user, admin = await make.user(), await make.user()
    service = await make.service(organisation_id=mine.id)
    await make.add(models.OrganisationMembership(user_id=user.id, organisation_id=mine.id))
    for organisation in (mine, theirs):
        await ask(
            UPDATE_ORGANISATION,
            by=platform_admin(admin),
            input={"organisationId": str(organisation.id), "domains": ["a.gov.uk"], "notes": "Secret"},
        )
        await ask(
            UPDATE_ORGANISATION,
            by=platform_admin(admin),
            input={"organisationId": str(organisation.id), "domains": [], "type": "NHS_GP"},
        )

    read = await ask(ORGANISATION_LOG, by=organisation_member(user, mine.id), id=str(mine.id))
    from_below = await ask(ORGANISATION_LOG, by=user_actor(await make.member(service), service), id=str(mine.id))
    elsewhere = await ask(ORGANISATION_LOG, by=organisation_member(user, mine.id), id=str(theirs.id))

    entries = [(node["objectType"], node["action"], node["changes"]) for node in read.root_field["auditLog"]["nodes"]]
    assert ("OrganisationMembership", "CREATE") in [(kind, action) for kind, action, _ in entries]
    assert ("Organisation", "UPDATE", [{"field": "notes", "before": None, "after": None}]) in entries
    assert ("Organisation", "UPDATE", [{"field": "domains", "before": None, "after": "a.gov.uk"}]) in entries
    assert from_below.root_field["auditLog"]["totalCount"] == 0
    assert elsewhere.root_field is None
    assert {node["objectId"] for node in read.root_field["auditLog"]["nodes"]} == {str(mine.id), str(user.id)}


async def test_the_object_of_an_entry_is_null_where_the_caller_does_not_see_it(ask: Ask, team: Team) -> None:
    await ask(CREATE_KEY, by=team.actor, input={"serviceId": str(team.service.id), "name": "Our key", "type": "LIVE"})
    reader = user_actor(team.user, team.service, permissions={ServicePermission.MANAGE_SETTINGS})

    answer = await ask(SERVICE_LOG, by=reader, id=str(team.service.id), filter={"objectTypes": ["ApiKey"]})

    (entry,) = answer.root_field["auditLog"]["nodes"]
    assert (entry["objectType"], entry["object"]) == ("ApiKey", None)


async def test_the_log_of_a_service_has_no_entries_of_another(ask: Ask, make: Builders, team: Team) -> None:
    other = await make.service()
    theirs = await make.member(other)
    await ask(
        UPDATE_SERVICE, by=user_actor(theirs, other), input={"serviceId": str(other.id), "name": "Their new name"}
    )

    answer = await ask(SERVICE_LOG, by=team.actor, id=str(team.service.id), first=100)

    assert answer.root_field["auditLog"]["nodes"] != []
    assert "Their new name" not in str(answer.data)
    assert str(other.id) not in str(answer.data)
