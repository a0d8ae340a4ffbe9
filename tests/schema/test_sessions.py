"""Signing in and out through GraphQL, and the viewer."""

from __future__ import annotations

from uuid import uuid4

import pytest

from graphql_api import models
from graphql_api.auth import authentication, crypto
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.enums import ServicePermission
from graphql_api.errors import Unauthenticated
from graphql_api.settings import Settings
from tests.builders import Builders, api_key_actor, platform_admin, user_actor
from tests.conftest import Ask, Statements
from tests.platform_messages import queued_messages

SIGN_IN = """mutation ($input: SignInInput!) { signIn(input: $input) {
    challenge { token method sentTo } userErrors { __typename code path message }
} }"""
COMPLETE = """mutation ($input: CompleteSignInInput!) { completeSignIn(input: $input) {
    session { token user { name failedLoginCount serviceMemberships { nodes { service { name } permissions } } } }
    userErrors { __typename code path message }
} }"""
SIGN_OUT = "mutation { signOut { ok userErrors { code } } }"
VIEWER = """query ($id: ID!) { viewer {
    user { name } apiKey { name } service { name } isPlatformAdmin permissions(serviceId: $id)
} }"""
PASSWORD = "password-correct-horse"


@pytest.fixture
async def ada(make: Builders) -> models.User:
    return await make.user(
        name="Ada",
        email_address="ada@example.gov.uk",
        mobile_number="07700900123",
        password=await crypto.hash_password(PASSWORD, for_notify=False),
    )


async def test_a_password_and_a_code_make_a_session_that_can_be_ended(
    ask: Ask, make: Builders, ada: models.User, database: Database, settings: Settings, signer: Signer
) -> None:
    await make.member(await make.service(name="Licences"), {ServicePermission.VIEW_ACTIVITY}, ada)

    signed = await ask(SIGN_IN, input={"emailAddress": "ADA@example.gov.uk", "password": PASSWORD})
    challenge = signed.root_field["challenge"]
    assert (challenge["method"], challenge["sentTo"], signed.user_errors) == ("SMS", "********123", [])

    code = (await queued_messages(database, signer))[0].text[:5]
    completed = await ask(COMPLETE, input={"challengeToken": challenge["token"], "proof": {"smsCode": code}})
    token = completed.root_field["session"].pop("token")
    assert completed.root_field == {
        "session": {
            "user": {
                "name": "Ada",
                "failedLoginCount": 0,
                "serviceMemberships": {"nodes": [{"service": {"name": "Licences"}, "permissions": ["VIEW_ACTIVITY"]}]},
            }
        },
        "userErrors": [],
    }

    async def actor() -> Actor:
        return await authentication.authenticate(token, None, database=database, settings=settings, signer=signer)

    assert (await ask(SIGN_OUT, by=await actor())).root_field == {"ok": True, "userErrors": []}
    with pytest.raises(Unauthenticated):
        await actor()


async def test_a_failed_sign_in_does_not_reveal_the_reason(ask: Ask, ada: models.User) -> None:
    expected = {
        "challenge": None,
        "userErrors": [
            {
                "__typename": "ValidationError",
                "code": "CREDENTIALS_WRONG",
                "path": ["input"],
                "message": "The email address or the password is wrong.",
            }
        ],
    }

    for address in (ada.email_address, "nobody@example.gov.uk"):
        assert (await ask(SIGN_IN, input={"emailAddress": address, "password": "wrong"})).root_field == expected


async def test_a_wrong_code_has_an_error_with_a_path(ask: Ask, ada: models.User) -> None:
    signed = await ask(SIGN_IN, input={"emailAddress": ada.email_address, "password": PASSWORD})
    token = signed.root_field["challenge"]["token"]

    answer = await ask(COMPLETE, input={"challengeToken": token, "proof": {"smsCode": "11111"}})

    assert answer.root_field == {
        "session": None,
        "userErrors": [
            {
                "__typename": "ValidationError",
                "code": "CODE_WRONG",
                "path": ["input", "proof", "smsCode"],
                "message": "The code is wrong.",
            }
        ],
    }


@pytest.mark.parametrize("proof", [{}, {"smsCode": None}, {"smsCode": "12345", "emailToken": "x"}])
async def test_exactly_one_proof_must_be_given(ask: Ask, proof: dict[str, str | None]) -> None:
    answer = await ask(COMPLETE, input={"challengeToken": "x", "proof": proof})

    assert (answer.data, answer.error_codes) == (None, ["BAD_REQUEST"])


async def test_an_anonymous_caller_cannot_sign_out(ask: Ask, make: Builders) -> None:
    api_key = await make.api_key(await make.service())

    assert (await ask(SIGN_OUT)).error_codes == ["UNAUTHENTICATED"]
    assert (await ask(SIGN_OUT, by=api_key_actor(api_key))).error_codes == ["FORBIDDEN"]


async def test_a_viewer_may_be_a_person(ask: Ask, make: Builders, ada: models.User, statements: Statements) -> None:
    service = await make.service()
    actor = user_actor(ada, service, permissions={ServicePermission.MANAGE_USERS, ServicePermission.SEND_EMAILS})

    with statements(1):
        answer = await ask(VIEWER, by=actor, id=str(service.id))

    assert answer.root_field == {
        "user": {"name": "Ada"},
        "apiKey": None,
        "service": None,
        "isPlatformAdmin": False,
        "permissions": ["SEND_EMAILS", "MANAGE_USERS"],
    }
    for other in (str(uuid4()), "nonsense"):
        assert (await ask(VIEWER, by=actor, id=other)).root_field["permissions"] == []


async def test_a_viewer_may_be_an_api_key(ask: Ask, make: Builders, statements: Statements) -> None:
    service = await make.service(name="Licences")
    api_key = await make.api_key(service, name="Robot")

    with statements(2):
        answer = await ask(VIEWER, by=api_key_actor(api_key), id=str(service.id))

    assert answer.root_field == {
        "user": None,
        "apiKey": {"name": "Robot"},
        "service": {"name": "Licences"},
        "isPlatformAdmin": False,
        "permissions": [],
    }


async def test_a_platform_admin_may_all_but_what_needs_membership(ask: Ask, make: Builders) -> None:
    service = await make.service()

    answer = await ask(VIEWER, by=platform_admin(await make.user()), id=str(service.id))

    assert answer.root_field["isPlatformAdmin"] is True
    assert answer.root_field["permissions"] == ["VIEW_ACTIVITY", "MANAGE_TEMPLATES", "MANAGE_SETTINGS", "MANAGE_USERS"]


async def test_the_viewer_of_an_anonymous_caller_is_null(ask: Ask) -> None:
    assert (await ask(VIEWER, id=str(uuid4()))).root_field is None
