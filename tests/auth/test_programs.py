"""Programs of the platform's own, which ask for people."""

from __future__ import annotations

import pytest

from graphql_api.auth import authentication
from graphql_api.auth.actors import Actor, ActorKind
from graphql_api.enums import ServicePermission
from graphql_api.settings import Settings
from tests.auth.conftest import API_KEY_SECRET
from tests.builders import Builders
from tests.jwt_builders import Authenticator, jwt

ADMIN_SECRET = "test-admin-secret"


async def test_a_client_asks_for_a_person(authenticator: Authenticator, make: Builders) -> None:
    service = await make.service()
    user = await make.member(service, {ServicePermission.VIEW_ACTIVITY})

    actor = await authenticator(jwt("notify-admin", ADMIN_SECRET), str(user.id))

    assert actor == Actor(
        ActorKind.PERSON, user_id=user.id, permissions={service.id: frozenset({ServicePermission.VIEW_ACTIVITY})}
    )


async def test_a_client_must_name_a_person(authenticator: Authenticator) -> None:
    expected = "Name the person for whom you ask by their id, in the header X-Notify-User-Id."
    assert await authenticator.rejection_message(jwt("notify-admin", ADMIN_SECRET)) == expected


@pytest.mark.parametrize("state", ["pending", "inactive"])
async def test_a_client_can_only_ask_for_people_who_can_sign_in(
    authenticator: Authenticator, make: Builders, state: str
) -> None:
    user = await make.user(state=state)

    expected = "X-Notify-User-Id is not the id of anybody who can sign in."
    assert await authenticator.rejection_message(jwt("notify-admin", ADMIN_SECRET), str(user.id)) == expected


@pytest.mark.parametrize(
    "named", ["", "nobody", "6f0f3f0a-5d3b-4d0f-9d55-0a9f6f3a1c11", "\0", "{401dff98-70ed-4ee1-b5a0-30fcaa91e97c}"]
)
async def test_a_client_must_name_somebody(authenticator: Authenticator, named: str) -> None:
    expected = "X-Notify-User-Id is not the id of anybody who can sign in."
    assert await authenticator.rejection_message(jwt("notify-admin", ADMIN_SECRET), named) == expected


async def test_a_client_signs_with_its_own_secret(authenticator: Authenticator, make: Builders) -> None:
    user = await make.user()

    expected = "The token was not signed with a secret of its issuer."
    assert await authenticator.rejection_message(jwt("notify-admin", API_KEY_SECRET), str(user.id)) == expected
    assert await authenticator.rejection_message(jwt("notify-admin", ""), str(user.id)) == expected
    assert (
        await authenticator.rejection_message(jwt("another-client", ADMIN_SECRET), str(user.id))
        == authentication.UNKNOWN_KEY_MESSAGE
    )


async def test_every_secret_of_a_client_is_taken(
    authenticator: Authenticator, make: Builders, settings: Settings
) -> None:
    user = await make.user()
    rotating = Settings.model_validate(
        settings.model_dump()
        | {"internal_client_api_keys": {"notify-admin": ["", "the-new-secret-", "the-old-secret-"]}}
    )

    for secret in ("the-new-secret-", "the-old-secret-"):
        assert (await authenticator(jwt("notify-admin", secret), str(user.id), settings=rotating)).user_id == user.id
