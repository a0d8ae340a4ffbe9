"""Emails by SMTP to a relay, which sends no receipts."""

from __future__ import annotations

import asyncio
import contextlib
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_LINES
from email.utils import format_datetime, localtime
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

import aiosmtplib

from graphql_api.enums import NotificationStatus
from graphql_api.gateways.base import RetryableSendError, SendResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from urllib.parse import SplitResult

    from graphql_api.gateways.base import OutgoingMessage
    from graphql_api.settings import Settings

MIN_PERMANENT_SMTP_CODE = 500
"""The lowest SMTP reply code of a permanent error."""


class SmtpGateway:
    """Sends emails to a relay, over at most `concurrency` connections that are kept open.

    A message that the relay accepts counts as delivered. The Message-ID is derived from the id of the message, so that
    duplicates can be recognised; relays do not, so a message whose reply was lost may be sent twice.

    `url` is `smtp://` (with STARTTLS if the relay offers it) or `smtps://`, with optional user and password. `domain`
    is that of sender addresses. `timeout` is in seconds, for each command.
    """

    name = "smtp"

    def __init__(self, url: str, domain: str, *, concurrency: int = 8, timeout: float = 20) -> None:
        self.concurrency = concurrency
        self._relay: SplitResult = urlsplit(url)
        if self._relay.scheme not in {"smtp", "smtps"} or not self._relay.hostname:
            raise ValueError("SMTP_URL must be like smtp://user:password@host:587.")
        self._domain = domain
        self._timeout = timeout
        self._idle_connections: list[aiosmtplib.SMTP] = []
        self._connection_slots = asyncio.Semaphore(concurrency)

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """A gateway to the relay of the settings; connections are opened on first use."""
        if settings.smtp_url is None:
            raise ValueError(
                "Set SMTP_URL, such as smtp://user:password@host:587, or EMAIL_GATEWAY to another gateway."
            )
        return cls(settings.smtp_url.get_secret_value(), settings.email_domain)

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Send an email. Raises `RetryableSendError` when the relay is unavailable or busy, or rejects the login."""
        reference = f"{message.id}@{self._domain}"
        try:
            email = self._build_email(message, reference)
        except (ValueError, IndexError, MessageError):
            # The recipient is no valid address.
            return SendResult(self.name, reference, NotificationStatus.PERMANENT_FAILURE)
        outcome = NotificationStatus.DELIVERED
        try:
            async with self._connection() as relay:
                await relay.send_message(email)
        except aiosmtplib.SMTPRecipientsRefused as error:
            code = error.recipients[0].code
            if code < MIN_PERMANENT_SMTP_CODE:
                raise RetryableSendError(f"smtp {code}") from error
            outcome = NotificationStatus.PERMANENT_FAILURE
        except aiosmtplib.SMTPDataError as error:
            if error.code < MIN_PERMANENT_SMTP_CODE:
                raise RetryableSendError(f"smtp {error.code}") from error
            outcome = NotificationStatus.TECHNICAL_FAILURE
        except aiosmtplib.SMTPResponseException as error:
            raise RetryableSendError(f"smtp {error.code}") from error
        except aiosmtplib.SMTPNotSupported as error:
            raise RetryableSendError("smtp not supported") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise RetryableSendError("smtp connection") from error
        return SendResult(self.name, reference, outcome)

    async def close(self) -> None:
        """Quit every idle connection."""
        while self._idle_connections:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await self._idle_connections.pop().quit()

    def _build_email(self, message: OutgoingMessage, reference: str) -> EmailMessage:
        email = EmailMessage(policy=SMTP_LINES)
        local_part = message.from_local_part or "notifications"
        email["From"] = Address(_collapse_whitespace(message.from_name or ""), local_part, self._domain)
        email["To"] = Address(addr_spec=message.recipient)
        email["Subject"] = _collapse_whitespace(message.subject or "")
        email["Date"] = format_datetime(localtime())
        email["Message-ID"] = f"<{reference}>"
        if message.reply_to:
            email["Reply-To"] = Address(addr_spec=message.reply_to)
        if message.unsubscribe_url:
            email["List-Unsubscribe"] = f"<{_collapse_whitespace(message.unsubscribe_url)}>"
            email["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        email.set_content(message.text)
        if message.html is not None:
            email.add_alternative(message.html, subtype="html")
        return email

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[aiosmtplib.SMTP]:
        """An open connection for a message; returned to the idle ones unless it failed."""
        async with self._connection_slots:
            relay = self._idle_connections.pop() if self._idle_connections else self._new_client()
            try:
                if not relay.is_connected:
                    await relay.connect()
                yield relay
            except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPDataError):
                # The relay replied, and the client has reset the session.
                self._idle_connections.append(relay)
                raise
            except BaseException:
                relay.close()
                raise
            self._idle_connections.append(relay)

    def _new_client(self) -> aiosmtplib.SMTP:
        relay = self._relay
        return aiosmtplib.SMTP(
            hostname=relay.hostname,
            port=relay.port,
            username=unquote(relay.username) if relay.username else None,
            password=unquote(relay.password) if relay.password else None,
            use_tls=relay.scheme == "smtps",
            local_hostname=self._domain,
            timeout=self._timeout,
        )


def _collapse_whitespace(text: str) -> str:
    return " ".join(text.split())
