"""Users in GraphQL: who sees whom and which fields, and how users are found."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.enums import ServicePermission
from tests.builders import Builders, api_key_actor, organisation_member, platform_admin, stranger, user_actor
from tests.conftest import Ask, Statements

ONE = """query ($id: ID!) { user(id: $id) {
    id name emailAddress phoneNumber state authType isPlatformAdmin createdAt updatedAt lastLoggedInAt
    failedLoginCount passwordChangedAt emailAddressValidatedAt takePartInResearch receivesNewFeaturesEmail
} }"""
PRIVATE = """query ($id: ID!) { user(id: $id) {
    phoneNumber updatedAt lastLoggedInAt failedLoginCount passwordChangedAt emailAddressValidatedAt
    takePartInResearch receivesNewFeaturesEmail
} }"""
ID = "query ($id: ID!) { user(id: $id) { id } }"
MEMBERSHIPS = """query ($id: ID!, $first: Int, $after: String) { user(id: $id) {
    serviceMemberships(first: $first, after: $after) {
        totalCount pageInfo { hasNextPage endCursor } nodes { permissions service { name } user { name } }
    }
} }"""
LIST = """query ($filter: UserFilter, $orderBy: UserOrder) {
    users(filter: $filter, orderBy: $orderBy) { nodes { name } }
}"""
BY_ADDRESS = "query ($address: String!) { userByEmailAddress(emailAddress: $address) { id } }"
UPDATE = """mutation ($input: UpdateUserInput!) { updateUser(input: $input) {
    user { name emailAddress phoneNumber authType failedLoginCount }
    userErrors { __typename code path ... on NotFoundError { missingId } ... on AlreadyExistsError { existing { id } } }
} }"""
REGISTER = """mutation ($input: RegisterUserInput!) { registerUser(input: $input) {
    ok challenge { token } userErrors { code path }
} }"""
VERIFY = """mutation ($token: String!) { verifyEmailAddress(input: {token: $token}) {
    user { name } challenge { method sentTo } userErrors { code path }
} }"""
THEN = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - naive UTC, as the database


@pytest.fixture
async def ada(make: Builders) -> models.User:
    return await make.user(
        name="Ada Lovelace",
        email_address="ada@example.gov.uk",
        mobile_number="07700900123",
        created_at=THEN,
        updated_at=THEN,
        logged_in_at=THEN,
        password_changed_at=THEN,
        email_access_validated_at=THEN,
        failed_login_count=2,
    )


@pytest.fixture
async def admin(make: Builders) -> Actor:
    return platform_admin(await make.user(name="Zoe Admin", platform_admin=True))


async def test_a_person_sees_every_field_of_their_own(ask: Ask, ada: models.User, statements: Statements) -> None:
    with statements(1):
        answer = await ask(ONE, by=user_actor(ada), id=str(ada.id))

    then = "2026-01-02T03:04:05Z"
    assert answer.root_field == {
        "id": str(ada.id),
        "name": "Ada Lovelace",
        "emailAddress": "ada@example.gov.uk",
        "phoneNumber": "07700900123",
        "state": "ACTIVE",
        "authType": "SMS",
        "isPlatformAdmin": False,
        "createdAt": then,
        "updatedAt": then,
        "lastLoggedInAt": then,
        "failedLoginCount": 2,
        "passwordChangedAt": then,
        "emailAddressValidatedAt": then,
        "takePartInResearch": True,
        "receivesNewFeaturesEmail": True,
    }


async def test_a_platform_admin_sees_all_of_it_too(ask: Ask, ada: models.User, admin: Actor) -> None:
    assert (await ask(PRIVATE, by=admin, id=str(ada.id))).root_field["failedLoginCount"] == 2


async def test_a_colleague_sees_the_name_and_a_manager_the_phone_number(
    ask: Ask, make: Builders, ada: models.User
) -> None:
    service = await make.service()
    await make.member(service, (), ada)
    manager, member = await make.member(service), await make.member(service, ())
    nothing = dict.fromkeys(
        (
            "phoneNumber",
            "updatedAt",
            "lastLoggedInAt",
            "failedLoginCount",
            "passwordChangedAt",
            "emailAddressValidatedAt",
            "takePartInResearch",
            "receivesNewFeaturesEmail",
        )
    )

    assert (await ask(PRIVATE, by=user_actor(member, service, permissions=()), id=str(ada.id))).root_field == nothing
    assert (await ask(PRIVATE, by=user_actor(manager, service), id=str(ada.id))).root_field == nothing | {
        "phoneNumber": "07700900123"
    }


async def test_a_person_of_another_service_is_not_visible(ask: Ask, make: Builders, ada: models.User) -> None:
    service = await make.service()
    await make.member(service, user=ada)
    other = await make.service()
    member = await make.member(other)

    for actor in (stranger(), user_actor(member, other), api_key_actor(await make.api_key(service))):
        assert (await ask(ID, by=actor, id=str(ada.id))).root_field is None
    assert (await ask(ID, id=str(ada.id))).error_codes == ["UNAUTHENTICATED"]
    assert (await ask(ID, by=user_actor(ada), id="{" + str(ada.id) + "}")).root_field is None
    assert (await ask(ID, by=user_actor(ada), id=str(uuid4()))).root_field is None


async def test_an_organisation_shows_its_services_members(ask: Ask, make: Builders, ada: models.User) -> None:
    organisation = await make.organisation()
    await make.member(await make.service(organisation_id=organisation.id), user=ada)

    actor = organisation_member(await make.user(), organisation.id)
    assert (await ask(ID, by=actor, id=str(ada.id))).root_field == {"id": str(ada.id)}


async def test_memberships_of_active_services_with_permissions_in_their_order(
    ask: Ask, make: Builders, ada: models.User, statements: Statements
) -> None:
    first, second, archived = await make.service(), await make.service(), await make.service(active=False)
    await make.member(first, {ServicePermission.MANAGE_USERS, ServicePermission.VIEW_ACTIVITY}, ada)
    await make.member(second, (), ada)
    await make.member(archived, user=ada)

    with statements(6):
        answer = await ask(MEMBERSHIPS, by=user_actor(ada, first, second), id=str(ada.id))

    assert answer.root_field["serviceMemberships"]["totalCount"] == 2
    assert sorted(answer.root_field["serviceMemberships"]["nodes"], key=lambda node: str(node["service"]["name"])) == [
        {
            "permissions": ["VIEW_ACTIVITY", "MANAGE_USERS"],
            "service": {"name": first.name},
            "user": {"name": "Ada Lovelace"},
        },
        {"permissions": [], "service": {"name": second.name}, "user": {"name": "Ada Lovelace"}},
    ]


async def test_a_colleague_sees_only_the_memberships_they_share(ask: Ask, make: Builders, ada: models.User) -> None:
    shared, other = await make.service(), await make.service()
    await make.member(shared, user=ada)
    await make.member(other, user=ada)
    colleague = await make.member(shared)

    answer = await ask(MEMBERSHIPS, by=user_actor(colleague, shared), id=str(ada.id))

    assert answer.root_field["serviceMemberships"]["totalCount"] == 1
    assert [node["service"]["name"] for node in answer.root_field["serviceMemberships"]["nodes"]] == [shared.name]


async def test_memberships_come_in_pages(ask: Ask, make: Builders, ada: models.User, admin: Actor) -> None:
    services = [await make.service() for _ in range(3)]
    for service in services:
        await make.member(service, (), ada)
    names: list[str] = []
    after = None
    for _ in services:
        page = (await ask(MEMBERSHIPS, by=admin, id=str(ada.id), first=1, after=after)).root_field["serviceMemberships"]
        names += [node["service"]["name"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]

    assert page["pageInfo"]["hasNextPage"] is False
    assert sorted(names) == sorted(service.name for service in services)


async def names(ask: Ask, by: Actor, **variables: Any) -> list[str]:
    return [node["name"] for node in (await ask(LIST, by=by, **variables)).root_field["nodes"]]


@pytest.fixture
async def crowd(make: Builders, admin: Actor) -> Actor:
    """Create four users; returns one of them, a platform admin."""
    await make.user(
        name="Ann", email_address="c@a.gov.uk", created_at=THEN, logged_in_at=THEN, take_part_in_research=False
    )
    await make.user(name="Bob", email_address="b@b.gov.uk", created_at=THEN + timedelta(days=1), state="pending")
    await make.user(name="Cyd_", email_address="a@a.gov.uk", created_at=THEN + timedelta(days=2), state="inactive")
    return admin


FILTERS: dict[str, tuple[Any, list[str]]] = {
    "none": (None, ["Ann", "Bob", "Cyd_", "Zoe Admin"]),
    "part of the address": ({"emailAddressContains": "@A.GOV"}, ["Ann", "Cyd_"]),
    "part of the name": ({"nameContains": "B"}, ["Bob"]),
    "a wildcard is a letter": ({"nameContains": "_"}, ["Cyd_"]),
    "states": ({"states": ["PENDING", "INACTIVE"]}, ["Bob", "Cyd_"]),
    "no states": ({"states": []}, []),
    "platform admins": ({"platformAdmin": True}, ["Zoe Admin"]),
    "no platform admins": ({"platformAdmin": False}, ["Ann", "Bob", "Cyd_"]),
    "research": ({"takePartInResearch": False}, ["Ann"]),
    "registered": ({"createdAt": {"from": "2026-01-02T03:04:05Z", "to": "2026-01-04T03:04:05Z"}}, ["Ann", "Bob"]),
    "signed in": ({"lastLoggedInAt": {"to": "2026-01-02T03:04:06Z"}}, ["Ann"]),
    "several": ({"emailAddressContains": "a.gov", "states": ["ACTIVE"]}, ["Ann"]),
}


@pytest.mark.parametrize(("filter_", "expected"), FILTERS.values(), ids=FILTERS)
async def test_people_are_filtered(ask: Ask, crowd: Actor, filter_: Any, expected: list[str]) -> None:
    assert await names(ask, crowd, filter=filter_) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"field": "NAME", "direction": "DESC"}, ["Zoe Admin", "Cyd_", "Bob", "Ann"]),
        ({"field": "EMAIL_ADDRESS"}, ["Cyd_", "Bob", "Ann", "Zoe Admin"]),
        ({"field": "CREATED_AT"}, ["Ann", "Bob", "Cyd_", "Zoe Admin"]),
    ],
)
async def test_people_are_ordered(ask: Ask, crowd: Actor, order: Any, expected: list[str]) -> None:
    assert await names(ask, crowd, orderBy=order) == expected


async def test_the_list_of_users_is_for_platform_admins(ask: Ask, make: Builders, ada: models.User) -> None:
    api_key = await make.api_key(await make.service())

    assert (await ask(LIST, by=user_actor(ada))).error_codes == ["FORBIDDEN"]
    assert (await ask(LIST, by=api_key_actor(api_key))).error_codes == ["FORBIDDEN"]
    assert (await ask(LIST)).error_codes == ["UNAUTHENTICATED"]


async def test_a_person_is_found_by_their_address(ask: Ask, make: Builders, ada: models.User, admin: Actor) -> None:
    expected = {"id": str(ada.id)}

    assert (await ask(BY_ADDRESS, by=admin, address=" ADA@example.gov.uk ")).root_field == expected
    assert (await ask(BY_ADDRESS, by=user_actor(ada), address="Ada@Example.gov.uk")).root_field == expected
    assert (await ask(BY_ADDRESS, by=admin, address="nobody@example.gov.uk")).root_field is None
    colleague = user_actor(await make.user())
    for address in ("ada@example.gov.uk", "nobody@example.gov.uk"):
        assert (await ask(BY_ADDRESS, by=colleague, address=address)).error_codes == ["FORBIDDEN"]
    assert (
        await ask(BY_ADDRESS, by=api_key_actor(await make.api_key(await make.service())), address="a")
    ).error_codes == ["FORBIDDEN"]
    assert (await ask(BY_ADDRESS, address="ada@example.gov.uk")).error_codes == ["UNAUTHENTICATED"]


async def test_details_are_changed(ask: Ask, ada: models.User) -> None:
    answer = await ask(UPDATE, by=user_actor(ada), input={"name": "Ada King", "phoneNumber": None, "authType": "EMAIL"})

    assert answer.root_field == {
        "user": {
            "name": "Ada King",
            "emailAddress": "ada@example.gov.uk",
            "phoneNumber": None,
            "authType": "EMAIL",
            "failedLoginCount": 2,
        },
        "userErrors": [],
    }


async def test_the_result_of_a_change_has_no_more_than_the_manager_may_read(
    ask: Ask, make: Builders, ada: models.User
) -> None:
    service = await make.service()
    await make.member(service, (), ada)
    actor = user_actor(await make.member(service), service)

    answer = await ask(UPDATE, by=actor, input={"userId": str(ada.id), "phoneNumber": "07700900456"})

    assert answer.root_field["user"] == {
        "name": "Ada Lovelace",
        "emailAddress": "ada@example.gov.uk",
        "phoneNumber": "07700900456",
        "authType": "SMS",
        "failedLoginCount": None,
    }


async def test_a_refused_change_has_an_error_with_a_path(
    ask: Ask, make: Builders, ada: models.User, admin: Actor
) -> None:
    unknown, taken = str(uuid4()), await make.user()

    assert (await ask(UPDATE, by=user_actor(ada), input={"phoneNumber": ""})).user_errors == [
        {"__typename": "ValidationError", "code": "REQUIRED", "path": ["input", "phoneNumber"]}
    ]
    assert (await ask(UPDATE, by=user_actor(ada), input={"userId": unknown, "name": "Eve"})).user_errors == [
        {"__typename": "NotFoundError", "code": "NOT_FOUND", "path": ["input", "userId"], "missingId": unknown}
    ]
    changed = {"userId": str(ada.id), "emailAddress": taken.email_address}
    assert (await ask(UPDATE, by=admin, input=changed)).user_errors == [
        {
            "__typename": "AlreadyExistsError",
            "code": "ALREADY_EXISTS",
            "path": ["input", "emailAddress"],
            "existing": {"id": str(taken.id)},
        }
    ]
    assert (await ask(UPDATE, input={"name": "Eve"})).error_codes == ["UNAUTHENTICATED"]


async def test_registering_has_the_same_result_for_every_address(ask: Ask, ada: models.User) -> None:
    arguments = {"name": "Somebody", "phoneNumber": "07700900123", "password": "a long enough one"}
    sent: dict[str, Any] = {"ok": True, "challenge": None, "userErrors": []}

    for address in (ada.email_address, "new@example.gov.uk"):
        assert (await ask(REGISTER, input=arguments | {"emailAddress": address})).root_field == sent
    assert (
        await ask(REGISTER, input=arguments | {"emailAddress": "a@gmail.com", "password": "password"})
    ).root_field == {
        "ok": False,
        "challenge": None,
        "userErrors": [
            {"code": "EMAIL_DOMAIN_NOT_ALLOWED", "path": ["input", "emailAddress"]},
            {"code": "PASSWORD_TOO_COMMON", "path": ["input", "password"]},
        ],
    }


async def test_a_malformed_token_is_refused(ask: Ask) -> None:
    assert (await ask(VERIFY, token="nonsense")).root_field == {
        "user": None,
        "challenge": None,
        "userErrors": [{"code": "LINK_INVALID", "path": ["input", "token"]}],
    }
