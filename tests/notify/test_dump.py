"""A database that GOV.UK Notify itself wrote: every value of GraphQL agrees with the rows."""

import contextlib
from uuid import UUID

import httpx2

from graphql_api import app
from graphql_api.auth import crypto
from graphql_api.auth.crypto import BadSignature
from graphql_api.enums import KeyType
from tests.jwt_builders import jwt
from tests.notify import reference_rules
from tests.notify.dumps import RestoredDump, needs_dump

pytestmark = needs_dump

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


async def test_its_own_keys_read_every_message_as_stored(notify: RestoredDump) -> None:
    keys = await notify.rows("SELECT * FROM api_keys WHERE expiry_date IS NULL")
    assert len(keys) == 3
    for key in keys:
        data = await notify.ask(MESSAGES, jwt(str(key.service_id), notify.signer.unsign(key.secret)))
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


async def test_a_job_counts_its_rows(notify: RestoredDump) -> None:
    (job,) = await notify.rows("SELECT * FROM jobs")
    key = (await notify.rows("SELECT * FROM api_keys WHERE key_type = 'normal'"))[0]
    data = await notify.ask(MESSAGES, jwt(str(key.service_id), notify.signer.unsign(key.secret)))

    assert data["viewer"]["service"]["jobs"]["nodes"] == [
        {
            "id": str(job.id),
            "fileName": job.original_file_name,
            "recipientCount": job.notification_count,
            "progress": {"total": job.notification_count, "created": 5},
        }
    ]


async def test_its_admin_client_acts_for_a_person(notify: RestoredDump) -> None:
    (user,) = await notify.rows("SELECT * FROM users WHERE email_address LIKE 'peer.8f099e@%'")
    data = await notify.ask(
        "{ viewer { user { name emailAddress phoneNumber } } }",
        jwt("notify-admin", "dev-notify-secret-key"),
        str(user.id),
    )

    assert data["viewer"]["user"] == {
        "name": user.name,
        "emailAddress": user.email_address,
        "phoneNumber": user.mobile_number,
    }


async def test_every_signed_value_is_written_back_to_the_same_bytes(notify: RestoredDump) -> None:
    counts = {}
    for table, column in reference_rules.SIGNED_COLUMNS.items():
        signed = [row[0] for row in await notify.rows(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")]
        assert [notify.signer.sign(notify.signer.unsign(value)) for value in signed] == signed
        counts[table] = len(signed)

    assert {table: count for table, count in counts.items() if count} == {
        "api_keys": 3,
        "api_keys_history": 3,
        "notifications": 11,
    }


async def test_no_other_column_holds_signed_values(notify: RestoredDump) -> None:
    columns = await notify.rows(
        "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        " AND data_type IN ('text', 'character varying')"
    )
    signed_columns = set()
    for table, column in columns:
        form = r"^\.?[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{27}$"
        for (value,) in await notify.rows(f"""SELECT "{column}" FROM "{table}" WHERE "{column}" ~ '{form}'"""):
            with contextlib.suppress(BadSignature):
                notify.signer.unsign(value)
                signed_columns.add((table, column))

    assert len(columns) >= 177
    assert signed_columns == {
        item
        for item in reference_rules.SIGNED_COLUMNS.items()
        if item[0] in {"api_keys", "api_keys_history", "notifications"}
    }


async def test_its_keys_are_accepted_over_http(notify: RestoredDump) -> None:
    transport = httpx2.ASGITransport(app.create(notify.settings, database=notify.database, store=notify.store))
    query = {"query": "{ viewer { service { name } apiKey { name type } } }"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://notify") as client:
        for key in await notify.rows("SELECT * FROM api_keys"):
            secret = notify.signer.unsign(key.secret)
            for bearer in (jwt(str(key.service_id), secret), f"any_name-{key.service_id}-{secret}"):
                answer = await client.post("/graphql", json=query, headers={"authorization": f"Bearer {bearer}"})
                assert answer.json() == {
                    "data": {
                        "viewer": {
                            "service": {"name": "Peer service 8f099e"},
                            "apiKey": {"name": key.name, "type": KeyType(key.key_type).name},
                        }
                    }
                }
        forged = {"authorization": f"Bearer {jwt(str(key.service_id), 'b18996d7-3994-4d42-ac89-18ab9702ece7')}"}
        refused = await client.post("/graphql", json=query, headers=forged)
    assert [error["extensions"]["code"] for error in refused.json()["errors"]] == ["UNAUTHENTICATED"]


async def test_its_passwords_are_known(notify: RestoredDump) -> None:
    people = await notify.rows("SELECT _password FROM users WHERE name = 'Peer User'")

    assert len(people) == 2
    for person in people:
        assert await crypto.verify_password("password-correct-horse", person._password)  # noqa: SLF001 - a column
        assert not await crypto.verify_password("password-correct-horsf", person._password)  # noqa: SLF001


async def test_its_histories_follow_the_reference_rules(notify: RestoredDump) -> None:
    """Every version is stored, the current one included, except of rows that Notify's migrations changed."""
    service = "d6aa2c68-a2d9-4437-ab19-3ae8eb202553"
    own = await notify.rows(
        f"SELECT id FROM services WHERE id = '{service}' UNION ALL SELECT id FROM provider_details"
        f" UNION ALL SELECT id FROM templates WHERE service_id = '{service}'"
    )
    async with notify.database.read_connection() as connection:
        different = {row_id for _, row_id, _ in await reference_rules.history_differences(connection)}
        assert await reference_rules.history_gaps(connection) == []
        changes = await reference_rules.version_changes(
            connection, "services", UUID("07edc420-8730-4b0f-8d72-3ad92a0ab109")
        )
        template = await reference_rules.version_changes(
            connection, "templates", UUID("f35d38ee-6e13-4d5b-ba77-7d671860c096")
        )

    assert different <= {str(row.id) for row in own}
    assert changes == [
        {"version", "updated_at", "organisation_id", "crown", "confirmed_email_sender_name"},
        {
            "version",
            "updated_at",
            "restricted",
            "go_live_at",
            "go_live_user_id",
            "email_message_limit",
            "sms_message_limit",
            "letter_message_limit",
        },
    ]
    assert template == [{"version", "updated_at", "content"}]
