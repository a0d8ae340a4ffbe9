"""Notify accepts keys made here: checked with its rules (`reference_rules`) and the rows only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.database.database import Database
from graphql_api.domain import api_keys
from graphql_api.enums import KeyType
from graphql_api.settings import Settings
from tests.builders import Builders, user_actor
from tests.conftest import Ask
from tests.notify.reference_rules import AuthenticationError, NotifyRules, client_authorization_header

CREATE = (
    "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { apiKey { id } key userErrors { code } } }"
)
REVOKE = "mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { userErrors { code } } }"
ARCHIVE = "mutation ($input: ArchiveServiceInput!) { archiveService(input: $input) { userErrors { code } } }"


class There:
    """Notify with this database and these settings."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.rules = NotifyRules(settings.secret_keys, settings.salt)

    async def accepts(self, header: str, *, now: datetime | None = None) -> tuple[str, str, str]:
        """The key of a header: its id, its service's id and its type."""
        async with self.database.read_connection() as connection:
            key = await self.rules.authenticate(connection, header, now=now or datetime.now(UTC))
        return str(key.id), str(key.service_id), key.key_type

    async def refuses(self, header: str, *, now: datetime | None = None) -> str:
        """The reason for which it refuses a header."""
        with pytest.raises(AuthenticationError) as refused:
            await self.accepts(header, now=now)
        return str(refused.value)


@pytest.fixture
def there(database: Database, settings: Settings) -> There:
    return There(database, settings)


@pytest.fixture
async def manager(make: Builders, service: models.Service) -> Actor:
    return user_actor(await make.member(service), service)


async def made(ask: Ask, by: Actor, service: models.Service, **values: Any) -> tuple[str, str]:
    """The id and the text of a new key."""
    arguments = {"serviceId": str(service.id), "name": "Our team's key", "type": "LIVE"} | values
    answer = (await ask(CREATE, by=by, input=arguments)).root_field
    assert answer["userErrors"] == []
    return answer["apiKey"]["id"], answer["key"]


@pytest.mark.parametrize("kind", list(KeyType))
async def test_a_key_made_here_is_accepted_by_notify(
    ask: Ask, there: There, service: models.Service, manager: Actor, kind: KeyType
) -> None:
    await made(ask, manager, service, name="Another", type="TEST")
    key_id, key = await made(ask, manager, service, type=kind.name)

    assert await there.accepts(client_authorization_header(key)) == (key_id, str(service.id), kind.value)


async def test_a_key_made_during_a_rotation_of_secrets_is_accepted_by_both(
    ask: Ask, there: There, service: models.Service, manager: Actor, settings: Settings
) -> None:
    """This server signs with the first key; Notify has both, in another order."""
    key_id, key = await made(ask, manager, service)
    there.rules = NotifyRules(settings.secret_keys[::-1], settings.salt)

    assert (await there.accepts(client_authorization_header(key)))[0] == key_id


@pytest.mark.parametrize("seconds", [-30, 30])
async def test_clocks_may_differ_by_half_a_minute(
    ask: Ask, there: There, service: models.Service, manager: Actor, seconds: int
) -> None:
    _, key = await made(ask, manager, service)
    now = datetime.now(UTC)
    skewed = client_authorization_header(key, at=now + timedelta(seconds=seconds))

    assert (await there.accepts(skewed, now=now))[2] == "normal"
    assert await there.refuses(skewed, now=now - timedelta(seconds=seconds / 30)) == "clock"


async def test_a_key_revoked_here_is_refused_by_notify_by_name(
    ask: Ask, there: There, service: models.Service, manager: Actor
) -> None:
    key_id, key = await made(ask, manager, service)
    await ask(REVOKE, by=manager, input={"apiKeyId": key_id})

    assert await there.refuses(client_authorization_header(key)) == "revoked"
    later = datetime.now(UTC) + timedelta(days=7, seconds=1)
    assert await there.refuses(client_authorization_header(key, at=later), now=later) == "no keys"


async def test_a_service_archived_here_is_closed_in_notify(ask: Ask, there: There, make: Builders) -> None:
    service = await make.service(restricted=True)
    manager = user_actor(await make.member(service), service)
    _, key = await made(ask, manager, service, type="TEAM")
    assert (await ask(ARCHIVE, by=manager, input={"serviceId": str(service.id)})).user_errors == []

    assert await there.refuses(client_authorization_header(key)) == "archived"


@pytest.mark.usefixtures("made_by_notify")
async def test_an_expired_key_is_refused_by_notify_after_the_worker_has_run(
    there: There, make: Builders, database: Database
) -> None:
    service = await make.service()
    row = await make.api_key(service, secret="5f3c0c9e-6d0f-4c57-9c55-1f7f5a0f3f11")
    await make.add(models.ApiKeyLifetime(api_key_id=row.id, expires_at=models.utcnow() - timedelta(seconds=1)))
    header = client_authorization_header(f"any-{service.id}-5f3c0c9e-6d0f-4c57-9c55-1f7f5a0f3f11")
    assert (await there.accepts(header))[0] == str(row.id)

    for count in (1, 0):
        async with database.transaction() as tx:
            assert await api_keys.revoke_expired(tx, Actor.system()) == count

    assert await there.refuses(header) == "revoked"
