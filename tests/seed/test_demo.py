"""The demo service, its users and its key."""

from __future__ import annotations

from collections import Counter

import asyncpg
from sqlalchemy.ext.asyncio import create_async_engine

from graphql_api import seed
from graphql_api.auth import authentication, crypto
from graphql_api.content import messages
from graphql_api.database.database import Database
from graphql_api.domain import credentials
from graphql_api.enums import Channel, KeyType
from graphql_api.settings import Settings, asyncpg_url
from tests.seed.conftest import SIGNER


async def test_the_demo_service_is_live_and_its_latest_messages_have_fixed_statuses(
    db: asyncpg.Connection, demo: seed.Demo
) -> None:
    service = await db.fetchrow("SELECT * FROM services WHERE id = $1", demo.service_id)
    newest = [
        row["notification_status"]
        for row in await db.fetch(
            """
            SELECT notification_status FROM notifications WHERE service_id = $1 AND key_type = 'normal'
            ORDER BY created_at DESC, id DESC LIMIT 24
            """,
            demo.service_id,
        )
    ]

    assert (service["restricted"], service["active"], service["sms_message_limit"]) == (False, True, 250_000)
    assert Counter(newest[:10]) == {"delivered": 8, "permanent-failure": 1, "temporary-failure": 1}
    assert Counter(status == "delivered" for status in newest) == {True: 12, False: 12}


async def test_the_demo_templates_need_a_name_and_a_day(db: asyncpg.Connection, demo: seed.Demo) -> None:
    for channel, template_id in demo.template_ids.items():
        row = await db.fetchrow("SELECT * FROM templates WHERE id = $1", template_id)
        template = messages.CompiledTemplate(Channel(channel), subject=row["subject"], body=row["content"])

        assert (row["service_id"], row["template_type"], row["version"]) == (demo.service_id, channel, 3)
        assert sorted(template.placeholders) == ["day", "name"]


async def test_its_users_have_one_password_and_the_permissions_of_their_roles(
    db: asyncpg.Connection, demo: seed.Demo
) -> None:
    allowed = {}
    for role, user_id in demo.user_ids.items():
        user = await db.fetchrow("SELECT * FROM users WHERE id = $1", user_id)
        permissions = await db.fetch(
            "SELECT permission FROM permissions WHERE user_id = $1 AND service_id = $2", user_id, demo.service_id
        )
        allowed[role] = len(permissions)
        assert user["email_address"] == demo.email_addresses[role]
        assert (user["auth_type"], user["state"]) == ("sms_auth", "active")
        assert user["platform_admin"] == (role == "platform_admin")
        assert await crypto.verify_password(demo.password, user["_password"])

    assert allowed == {"platform_admin": 0, "service_manager": 8, "service_viewer": 1}


async def test_its_key_authenticates_as_the_service(url: str, demo: seed.Demo, settings: Settings) -> None:
    database = Database(create_async_engine(asyncpg_url(url)))
    actor = await authentication.authenticate(
        demo.api_key, None, database=database, store=credentials, settings=settings, signer=SIGNER
    )
    await database.close()

    assert actor.service_ids() == [demo.service_id]
    assert actor.key_type is KeyType.LIVE
