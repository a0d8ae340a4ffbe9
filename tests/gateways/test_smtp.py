"""Emails by SMTP, sent to a real server."""

from __future__ import annotations

import asyncio
import email.policy
from collections.abc import AsyncIterator
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP, Envelope, Session

from graphql_api.enums import Channel, NotificationStatus
from graphql_api.gateways import OutgoingMessage, RetryableSendError, SendResult, SmtpGateway

MESSAGE_ID = UUID("6ce466d0-fd6a-11e5-82f5-e0accb9d11a6")


class Inbox:
    """A relay that stores messages, and can reject recipients and contents."""

    def __init__(self) -> None:
        self.port = 0
        self.envelopes: list[Envelope] = []
        self.replies: dict[str, str] = {}
        self.data_reply = "250 OK"
        self.connections: set[Any] = set()

    async def handle_RCPT(  # noqa: N802 - the server's name
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept or reject a recipient."""
        self.connections.add(session.peer)
        reply = self.replies.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Accept or reject a message."""
        if self.data_reply.startswith("250"):
            self.envelopes.append(envelope)
        return self.data_reply

    def message(self) -> EmailMessage:
        """The only message received."""
        (envelope,) = self.envelopes
        assert isinstance(envelope.content, bytes)
        parsed = BytesParser(policy=email.policy.default).parsebytes(envelope.content)
        assert isinstance(parsed, EmailMessage)
        return parsed


@pytest_asyncio.fixture
async def inbox() -> AsyncIterator[Inbox]:
    inbox = Inbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(inbox, hostname="relay", enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0
    )
    inbox.port = server.sockets[0].getsockname()[1]
    yield inbox
    server.close()


@pytest_asyncio.fixture
async def gateway(inbox: Inbox) -> AsyncIterator[SmtpGateway]:
    gateway = SmtpGateway(f"smtp://127.0.0.1:{inbox.port}", "notify.example", concurrency=2)
    yield gateway
    await gateway.close()


def _email(recipient: str = "zoe@example.com", **values: Any) -> OutgoingMessage:
    defaults: dict[str, Any] = {
        "subject": "Your résumé ✓",
        "html": "<p>Hello Zoë</p>",
        "from_name": 'Vaccines, "North"',
        "from_local_part": "vaccines",
        "reply_to": "help@example.gov.uk",
    }
    return OutgoingMessage(MESSAGE_ID, Channel.EMAIL, recipient, "Hello Zoë\n.\nBye", **defaults | values)


async def test_an_email_arrives_in_both_forms_with_its_headers(inbox: Inbox, gateway: SmtpGateway) -> None:
    result = await gateway.send(_email(unsubscribe_url="https://example.gov.uk/u?a=1"))

    assert result == SendResult("smtp", f"{MESSAGE_ID}@notify.example", NotificationStatus.DELIVERED)
    message = inbox.message()
    (envelope,) = inbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("vaccines@notify.example", ["zoe@example.com"])
    assert message["From"].addresses[0].display_name == 'Vaccines, "North"'
    assert message["From"].addresses[0].addr_spec == "vaccines@notify.example"
    assert {name: str(message[name]) for name in ("To", "Subject", "Reply-To", "Message-ID")} == {
        "To": "zoe@example.com",
        "Subject": "Your résumé ✓",
        "Reply-To": "help@example.gov.uk",
        "Message-ID": f"<{MESSAGE_ID}@notify.example>",
    }
    assert message["List-Unsubscribe"] == "<https://example.gov.uk/u?a=1>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Date"] is not None
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content() for part in message.iter_parts()] == [
        "Hello Zoë\r\n.\r\nBye\r\n",
        "<p>Hello Zoë</p>\r\n",
    ]


async def test_a_value_cannot_add_a_header(inbox: Inbox, gateway: SmtpGateway) -> None:
    await gateway.send(
        _email(subject="Hi\r\nBcc: x@example.com", from_name="A\nB", unsubscribe_url=None, reply_to=None)
    )

    message = inbox.message()
    assert message["Subject"] == "Hi Bcc: x@example.com"
    assert message["From"].addresses[0].display_name == "A B"
    assert {"Bcc", "Reply-To", "List-Unsubscribe"}.isdisjoint(message.keys())


async def test_emails_share_connections(inbox: Inbox, gateway: SmtpGateway) -> None:
    await asyncio.gather(*(gateway.send(_email(f"p{n}@example.com")) for n in range(20)))

    assert len(inbox.envelopes) == 20
    assert len(inbox.connections) == 2


async def test_a_recipient_rejected_permanently_is_a_permanent_failure(inbox: Inbox, gateway: SmtpGateway) -> None:
    inbox.replies["gone@example.com"] = "550 5.1.1 no such user"

    assert (await gateway.send(_email("gone@example.com"))).outcome is NotificationStatus.PERMANENT_FAILURE
    assert (await gateway.send(_email())).outcome is NotificationStatus.DELIVERED
    assert len(inbox.connections) == 1


async def test_a_recipient_rejected_temporarily_is_retryable(inbox: Inbox, gateway: SmtpGateway) -> None:
    inbox.replies["full@example.com"] = "452 4.2.2 full"

    with pytest.raises(RetryableSendError, match="smtp 452"):
        await gateway.send(_email("full@example.com"))
    assert inbox.envelopes == []


async def test_a_content_rejected_permanently_is_a_technical_failure(inbox: Inbox, gateway: SmtpGateway) -> None:
    inbox.data_reply = "554 5.7.1 not like this"

    assert (await gateway.send(_email())).outcome is NotificationStatus.TECHNICAL_FAILURE


async def test_an_unavailable_relay_is_retryable() -> None:
    with pytest.raises(RetryableSendError, match="smtp connection"):
        await SmtpGateway("smtp://127.0.0.1:1", "notify.example", timeout=2).send(_email())


async def test_a_closed_connection_is_reopened(inbox: Inbox, gateway: SmtpGateway) -> None:
    await gateway.send(_email())
    for relay in gateway._idle_connections:  # noqa: SLF001 - as if the relay had closed it
        relay.close()

    await gateway.send(_email())

    assert len(inbox.envelopes) == 2


async def test_an_invalid_address_is_a_permanent_failure(gateway: SmtpGateway) -> None:
    assert (await gateway.send(_email("no address\r\n"))).outcome is NotificationStatus.PERMANENT_FAILURE
