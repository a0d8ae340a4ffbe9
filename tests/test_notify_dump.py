"""A database that GOV.UK Notify itself wrote: every value that GraphQL shows agrees with the rows.

Skipped without `NOTIFY_DUMP`, the path of a `pg_dump` in custom format whose secrets are the ones below.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey
from sqlalchemy import text

from graphql_api import migrate, postgres
from graphql_api.auth import actor_of
from graphql_api.context import Context
from graphql_api.crypto import Signer
from graphql_api.database import Database
from graphql_api.settings import Settings
from graphql_api.storage import Store
from schema import schema
from tests.models.databases import scratch

DUMP = os.environ.get("NOTIFY_DUMP")
pytestmark = pytest.mark.skipif(not DUMP, reason="NOTIFY_DUMP names no dump of a Notify database")

MESSAGES = """
{
  viewer {
    service {
      id name
      templates { totalCount }
      notifications {
        nodes {
          id recipient reference personalisation createdAt jobRowNumber keyType status channel
          content { text missingPlaceholders } template { id } templateVersion { version } sms { sender fragmentCount }
        }
      }
      jobs { nodes { id fileName recipientCount progress { total created } } }
    }
  }
}
"""


@dataclass
class Notify:
    """The restored database, and how to ask about it."""

    database: Database
    settings: Settings
    signer: Signer
    store: Store

    async def ask(self, document: str, token: str, person: str | None = None) -> dict[str, Any]:
        """Ask as whoever the token belongs to; there are no errors."""
        actor = await actor_of(token, person, database=self.database, settings=self.settings, signer=self.signer)
        context = Context(actor, self.database, self.settings, self.signer, self.store)
        result: Any = await schema.execute(document, context_value=context)
        assert not result.errors, result.errors
        data: dict[str, Any] = result.data
        return data

    async def rows(self, statement: str) -> list[Any]:
        """Rows as they lie in the database."""
        async with self.database.reading() as connection:
            return list((await connection.execute(text(statement))).all())


@pytest_asyncio.fixture(scope="module")
async def notify(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Notify]:
    """The dump, restored, with our tables added."""
    async with scratch(postgres_url) as url:
        restore = [str(postgres.find_binaries() / "pg_restore"), "--no-owner", "--dbname", url, str(Path(DUMP or ""))]
        await asyncio.to_thread(subprocess.run, restore, check=True, capture_output=True)
        await migrate.upgrade(url)
        settings = Settings.model_validate(
            {
                "environment": "test",
                "data_dir": tmp_path_factory.mktemp("data"),
                "database_url": url,
                "secret_key": "dev-notify-secret-key",
                "dangerous_salt": "dev-notify-salt",
                "internal_client_api_keys": {"notify-admin": ["dev-notify-secret-key"]},
            }
        )
        database = Database.connect(settings)
        signer = Signer(tuple(settings.secret_keys), settings.salt)
        yield Notify(database, settings, signer, Store.connect(settings))
        await database.close()


def token(issuer: str, secret: str) -> str:
    """A token as the official clients make it."""
    claims = {"iss": issuer, "iat": int(time.time())}
    return jwt.encode({"typ": "JWT", "alg": "HS256"}, claims, OctKey.import_key(secret))


async def test_its_own_keys_read_every_message_as_it_lies_in_the_rows(notify: Notify) -> None:
    keys = await notify.rows("SELECT * FROM api_keys WHERE expiry_date IS NULL")
    assert len(keys) == 3
    for key in keys:
        data = await notify.ask(MESSAGES, token(str(key.service_id), notify.signer.unsign(key.secret)))
        shown = data["viewer"]["service"]["notifications"]["nodes"]
        stored = await notify.rows(
            "SELECT * FROM notifications"
            f" WHERE service_id = '{key.service_id}' AND key_type = '{key.key_type}'"
            " ORDER BY created_at DESC, id DESC"
        )
        assert [message["id"] for message in shown] == [str(row.id) for row in stored]
        for message, row in zip(shown, stored, strict=True):
            assert message["recipient"] == row.to
            assert message["reference"] == row.client_reference
            assert message["personalisation"] == notify.signer.unsign(row._personalisation)  # noqa: SLF001 - a column
            assert message["createdAt"] == row.created_at.isoformat() + "Z"
            assert message["jobRowNumber"] == row.job_row_number
            assert message["template"]["id"] == str(row.template_id)
            assert message["templateVersion"]["version"] == row.template_version
            assert message["content"]["missingPlaceholders"] == []


async def test_a_job_counts_its_rows(notify: Notify) -> None:
    (job,) = await notify.rows("SELECT * FROM jobs")
    key = (await notify.rows("SELECT * FROM api_keys WHERE key_type = 'normal'"))[0]
    data = await notify.ask(MESSAGES, token(str(key.service_id), notify.signer.unsign(key.secret)))

    assert data["viewer"]["service"]["jobs"]["nodes"] == [
        {
            "id": str(job.id),
            "fileName": job.original_file_name,
            "recipientCount": job.notification_count,
            "progress": {"total": job.notification_count, "created": 5},
        }
    ]


async def test_its_admin_client_asks_for_a_person(notify: Notify) -> None:
    (user,) = await notify.rows("SELECT * FROM users WHERE email_address LIKE 'peer.8f099e@%'")
    data = await notify.ask(
        "{ viewer { user { name emailAddress phoneNumber } } }",
        token("notify-admin", "dev-notify-secret-key"),
        str(user.id),
    )

    assert data["viewer"]["user"] == {
        "name": user.name,
        "emailAddress": user.email_address,
        "phoneNumber": user.mobile_number,
    }


async def test_every_signed_value_is_written_back_to_the_same_bytes(notify: Notify) -> None:
    signed = [row[0] for row in await notify.rows("SELECT secret FROM api_keys")]
    signed += [row[0] for row in await notify.rows("SELECT _personalisation FROM notifications")]

    assert len(signed) == 14
    assert [notify.signer.sign(notify.signer.unsign(value)) for value in signed] == signed
