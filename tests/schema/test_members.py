"""Members in GraphQL: who sees them, their permissions, and their changes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from graphql_api.enums import ServicePermission
from tests.builders import (
    ALL_PERMISSIONS,
    Builders,
    api_key_actor,
    organisation_member,
    platform_admin,
    stranger,
    user_actor,
)
from tests.conftest import Ask, Statements

MEMBERS = """query ($id: ID!, $filter: ServiceMemberFilter) { service(id: $id) {
    members(filter: $filter) { totalCount nodes { user { name } permissions } }
} }"""
SET = """mutation ($input: SetServiceMemberInput!) { setServiceMember(input: $input) {
    membership { service { name } user { name } permissions }
    userErrors { __typename code path message ... on NotFoundError { missingId } }
} }"""
REMOVE = """mutation ($input: RemoveServiceMemberInput!) { removeServiceMember(input: $input) {
    service { name members { totalCount } } removedUserId
    userErrors { __typename code path message ... on NotFoundError { missingId } }
} }"""


def by_name(answer: Any) -> dict[str, list[str]]:
    """Permissions of each member."""
    return {node["user"]["name"]: node["permissions"] for node in answer.root_field["members"]["nodes"]}


async def test_active_members_have_their_permissions(ask: Ask, make: Builders, statements: Statements) -> None:
    service = await make.service()
    ann = await make.member(service, {ServicePermission.MANAGE_USERS}, await make.user(name="Ann"))
    await make.member(
        service, {ServicePermission.SEND_LETTERS, ServicePermission.SEND_TEXTS}, await make.user(name="Bob")
    )
    await make.member(service, (), await make.user(name="Cyd"))
    await make.member(service, user=await make.user(name="Dan", state="inactive"))
    await make.member(service, user=await make.user(name="Eve", state="pending"))

    with statements(5):
        answer = await ask(MEMBERS, by=user_actor(ann, service), id=str(service.id))

    assert answer.root_field["members"]["totalCount"] == 3
    assert by_name(answer) == {"Ann": ["MANAGE_USERS"], "Bob": ["SEND_TEXTS", "SEND_LETTERS"], "Cyd": []}


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        (["SEND_TEXTS"], {"Ann", "Bob"}),
        (["SEND_TEXTS", "SEND_EMAILS"], {"Ann"}),
        (["SEND_TEXTS", "SEND_TEXTS"], {"Ann", "Bob"}),
        (["MANAGE_USERS"], set()),
        ([], {"Ann", "Bob", "Cyd"}),
    ],
)
async def test_members_are_filtered_by_permissions(
    ask: Ask, make: Builders, permissions: list[str], expected: set[str]
) -> None:
    service, other = await make.service(), await make.service()
    both = {ServicePermission.SEND_TEXTS, ServicePermission.SEND_EMAILS}
    ann = await make.member(service, both, await make.user(name="Ann"))
    await make.member(service, {ServicePermission.SEND_TEXTS}, await make.user(name="Bob"))
    cyd = await make.member(service, (), await make.user(name="Cyd"))
    await make.member(other, ALL_PERMISSIONS, cyd)

    answer = await ask(MEMBERS, by=user_actor(ann, service), id=str(service.id), filter={"hasPermissions": permissions})

    assert set(by_name(answer)) == expected
    assert answer.root_field["members"]["totalCount"] == len(expected)


async def test_members_of_many_services_cost_no_more(ask: Ask, make: Builders, statements: Statements) -> None:
    document = "query { services { nodes { members { nodes { permissions user { name } } } } } }"
    admin = platform_admin(await make.user())
    for _ in range(2):
        service = await make.service()
        for _ in range(3):
            await make.member(service)
        with statements(4):
            answer = await ask(document, by=admin)
    assert [len(node["members"]["nodes"]) for node in answer.root_field["nodes"]] == [3, 3]


async def test_a_key_reads_no_members(ask: Ask, make: Builders) -> None:
    service = await make.service()

    answer = await ask(MEMBERS, by=api_key_actor(await make.api_key(service)), id=str(service.id))

    assert (answer.error_codes, answer.data) == (["FORBIDDEN"], {"service": {"members": None}})


async def test_an_organisation_reads_the_members_of_its_services(ask: Ask, make: Builders) -> None:
    organisation = await make.organisation()
    service = await make.service(organisation_id=organisation.id)
    await make.member(service, {ServicePermission.MANAGE_API_KEYS}, await make.user(name="Ann"))

    answer = await ask(MEMBERS, by=organisation_member(await make.user(), organisation.id), id=str(service.id))

    assert by_name(answer) == {"Ann": ["MANAGE_API_KEYS"]}


async def test_a_person_becomes_a_member(ask: Ask, make: Builders) -> None:
    service = await make.service(name="Licences")
    user = await make.user(name="Ann")
    admin = platform_admin(await make.user())

    answer = await ask(
        SET,
        by=admin,
        input={"serviceId": str(service.id), "userId": str(user.id), "permissions": ["MANAGE_USERS", "VIEW_ACTIVITY"]},
    )

    assert answer.root_field == {
        "membership": {
            "service": {"name": "Licences"},
            "user": {"name": "Ann"},
            "permissions": ["VIEW_ACTIVITY", "MANAGE_USERS"],
        },
        "userErrors": [],
    }


async def test_a_refused_membership_has_an_error_with_a_reason(ask: Ask, make: Builders) -> None:
    service = await make.service()
    manager, unseen = await make.member(service), await make.user()
    actor = user_actor(manager, service)

    for user_id in (str(unseen.id), str(uuid4()), "malformed"):
        arguments = {"serviceId": str(service.id), "userId": user_id}
        expected = {
            "__typename": "NotFoundError",
            "code": "NOT_FOUND",
            "path": ["input", "userId"],
            "message": "Nothing that you can see has this id.",
            "missingId": user_id,
        }
        assert (await ask(SET, by=actor, input=arguments | {"permissions": []})).user_errors == [expected]
        assert (await ask(REMOVE, by=actor, input=arguments)).user_errors == [expected]
    arguments = {"serviceId": str(service.id), "userId": str(manager.id)}
    assert (await ask(REMOVE, by=stranger(), input=arguments)).user_errors == [
        {
            "__typename": "NotFoundError",
            "code": "NOT_FOUND",
            "path": ["input", "serviceId"],
            "message": "Nothing that you can see has this id.",
            "missingId": str(service.id),
        }
    ]
    assert (await ask(REMOVE, by=actor, input=arguments)).user_errors == [
        {
            "__typename": "ValidationError",
            "code": "LAST_ADMINISTRATOR",
            "path": ["input", "userId"],
            "message": "A service needs at least one member: add another before this one leaves.",
        }
    ]
    assert (await ask(REMOVE, input=arguments)).error_codes == ["UNAUTHENTICATED"]
    assert (await ask(REMOVE, by=api_key_actor(await make.api_key(service)), input=arguments)).error_codes == [
        "FORBIDDEN"
    ]


async def test_a_member_is_removed(ask: Ask, make: Builders) -> None:
    service = await make.service(name="Licences")
    manager, member = await make.member(service), await make.member(service, ())

    answer = await ask(
        REMOVE, by=user_actor(manager, service), input={"serviceId": str(service.id), "userId": str(member.id)}
    )

    assert answer.root_field == {
        "service": {"name": "Licences", "members": {"totalCount": 1}},
        "removedUserId": str(member.id),
        "userErrors": [],
    }
