"""The protocol of gateways, their messages and results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from uuid import UUID

    from graphql_api.enums import Channel, NotificationStatus


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A rendered message, with its recipient in the form that providers accept."""

    id: UUID
    """The id of the message; a provider that gets the same id twice sends once."""
    channel: Channel
    recipient: str
    """A phone number with its country code and without a plus, an email address, or the lines of a postal address."""
    text: str
    """A text message with its prefix, or the plain text of an email or a letter."""
    subject: str | None = None
    html: str | None = None
    sender: str | None = None
    """Of a text message: a name or a number."""
    from_name: str | None = None
    """Display name and local part of the sender of an email."""
    from_local_part: str | None = None
    reply_to: str | None = None
    unsubscribe_url: str | None = None
    test: bool = False
    """Sent with a test key: must not reach a provider."""


class SendResult(NamedTuple):
    """A message that a provider has accepted."""

    provider: str
    reference: str
    """The provider's id of the message, to which its receipts refer."""
    outcome: NotificationStatus | None = None
    """The final status, if no receipt will follow; it applies after `outcome_delay_seconds`."""
    outcome_delay_seconds: float = 0


class RetryableSendError(Exception):
    """The provider could not accept the message now; as far as is known nothing was sent.

    `reason` is a short code without data of the message.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gateway(Protocol):
    """A connection to a provider of one channel."""

    name: str
    """The provider in the rows of messages."""
    concurrency: int
    """Maximum number of messages that a worker sends at once."""

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Send a message. Raises `RetryableSendError`."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...
