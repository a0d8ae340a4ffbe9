"""A database that GOV.UK Notify itself wrote: every value that GraphQL shows agrees with the rows."""

from tests.notify.dumps import Notify, needs_dump
from tests.tokens import jwt

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


async def test_its_own_keys_read_every_message_as_it_lies_in_the_rows(notify: Notify) -> None:
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


async def test_a_job_counts_its_rows(notify: Notify) -> None:
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


async def test_its_admin_client_asks_for_a_person(notify: Notify) -> None:
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


async def test_every_signed_value_is_written_back_to_the_same_bytes(notify: Notify) -> None:
    signed = [row[0] for row in await notify.rows("SELECT secret FROM api_keys")]
    signed += [row[0] for row in await notify.rows("SELECT _personalisation FROM notifications")]

    assert len(signed) == 14
    assert [notify.signer.sign(notify.signer.unsign(value)) for value in signed] == signed
