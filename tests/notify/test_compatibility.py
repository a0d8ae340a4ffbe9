"""Where Notify's own programs share the database, writes have their format."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import bcrypt
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth import crypto
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import deliveries, notify_compatibility, users
from graphql_api.domain.deliveries import DeliveryPolicy
from graphql_api.settings import Settings
from tests.builders import Builders, platform_admin, user_actor
from tests.conftest import Ask
from tests.notify import reference_rules

LONG = "analytical engine, difference engine, " + "é" * 40
CREATE = """mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
    apiKey { id createdBy { id } revokedBy { id } }
} }"""
REVOKE = """mutation ($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) {
    apiKey { createdBy { id } revokedBy { id } }
} }"""


@pytest.mark.parametrize("setting", [True, False])
async def test_the_setting_decides_the_format_of_writes_for_any_tables(
    database_url: str, settings: Settings, setting: bool
) -> None:
    connected = Database.connect(
        settings.model_copy(update={"database_url": SecretStr(database_url), "notify_compatible": setting})
    )
    async with connected.transaction() as tx:
        assert await notify_compatibility.is_enabled(tx) is setting
    await connected.close()


async def test_without_the_setting_notifys_migration_table_decides(database: Database) -> None:
    async with database.transaction() as tx:
        assert await notify_compatibility.is_enabled(tx) is False
        await tx.execute(text("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)"))
        assert await notify_compatibility.is_enabled(tx) is True


async def _registered(database: Database, signer: Signer) -> str:
    """The stored hash of a password."""
    await users.register(
        database.transaction,
        name="Ada Lovelace",
        email_address="ada@example.gov.uk",
        password=LONG,
        phone_number="07700 900123",
        signer=signer,
    )
    async with database.transaction() as tx:
        hashed: str = await tx.scalar(text("SELECT _password FROM users WHERE email_address = 'ada@example.gov.uk'"))
    return hashed


@pytest.mark.usefixtures("made_by_notify")
async def test_a_password_is_bcrypt_of_its_first_72_bytes(database: Database, signer: Signer) -> None:
    hashed = await _registered(database, signer)

    assert len(LONG.encode()) == 118
    assert hashed.startswith("$2b$10$")
    assert bcrypt.checkpw(LONG.encode()[:72], hashed.encode())
    assert await crypto.verify_password(LONG, hashed)
    assert not await crypto.verify_password(LONG[:-30], hashed)


async def test_without_notify_a_password_is_argon2_of_the_whole(database: Database, signer: Signer) -> None:
    assert (await _registered(database, signer)).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_the_revoker_of_a_key_is_its_creator_in_notify_and_the_first_creator_is_known_here(
    ask: Ask, make: Builders, database: Database, shared: bool
) -> None:
    service = await make.service()
    maker, revoker = await make.member(service), await make.member(service)
    arguments = {"serviceId": str(service.id), "name": "Ours", "type": "TEAM"}
    key = (await ask(CREATE, by=user_actor(maker, service), input=arguments)).root_field["apiKey"]

    revoked = (await ask(REVOKE, by=user_actor(revoker, service), input={"apiKeyId": key["id"]})).root_field["apiKey"]

    assert revoked == {"createdBy": {"id": str(maker.id)}, "revokedBy": {"id": str(revoker.id)}}
    async with database.read_connection() as connection:
        created_by = await connection.scalar(
            text("SELECT created_by_id FROM api_keys WHERE id = :id"), {"id": UUID(key["id"])}
        )
        different = await reference_rules.history_differences(connection)
    assert created_by == (revoker if shared else maker).id
    assert different == ([] if shared else [("api_keys", key["id"], ["created_by_id"])])


async def test_a_late_message_with_a_random_id_is_left_to_notify(
    make: Builders, database: Database, shared: bool
) -> None:
    template = await make.template(await make.service())
    late: dict[str, Any] = {"status": "created", "created_at": models.utcnow() - timedelta(hours=2)}
    ours = await make.notification(template, **late)
    theirs = await make.notification(template, id=uuid4(), **late)

    async with database.transaction() as tx:
        assert await deliveries.requeue_overdue(tx, Actor.system(), policy=DeliveryPolicy()) == (1 if shared else 2)
        queued: str = await tx.scalar(text("SELECT convert_from(payload, 'UTF8') FROM pgqueuer"))

    assert str(ours.id) in queued
    assert (str(theirs.id) in queued) is not shared


async def test_an_unknown_organisation_type_is_other(ask: Ask, make: Builders) -> None:
    organisation = await make.organisation(organisation_type="nhs")
    service = await make.service(organisation_type="nhs", organisation_id=organisation.id)
    document = "query ($id: ID!) { service(id: $id) { organisationType organisation { type } } }"

    answer = await ask(document, by=platform_admin(await make.user()), id=str(service.id))

    assert answer.root_field == {"organisationType": "OTHER", "organisation": {"type": "OTHER"}}
