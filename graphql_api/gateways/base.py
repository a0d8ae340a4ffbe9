"""What every gateway takes and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from uuid import UUID

    from graphql_api.enums import Channel, NotificationStatus


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message as it leaves: rendered, and addressed in the form that providers take."""

    id: UUID
    """The message's own id: a provider that is handed the same id twice sends once."""
    channel: Channel
    recipient: str
    """A phone number with its country code and no plus, an email address, or the lines of a postal address."""
    text: str
    """A text message with its prefix; the plain form of an email; the text of a letter."""
    subject: str | None = None
    html: str | None = None
    sender: str | None = None
    """Text messages: the name or number they come from."""
    from_name: str | None = None
    """Emails: whom they come from, and the part of that address before the @."""
    from_local_part: str | None = None
    reply_to: str | None = None
    unsubscribe_url: str | None = None
    test: bool = False
    """Sent with a test key: nothing may leave."""


class SendResult(NamedTuple):
    """A message that a provider has taken over."""

    provider: str
    reference: str
    """The provider's own name for the message; receipts come under it."""
    outcome: NotificationStatus | None = None
    """What became of it, where no receipt will tell: known at once, or `after` so many seconds."""
    outcome_delay_seconds: float = 0


class RetryableSendError(Exception):
    """The provider could not take the message just now; nothing was sent, as far as is known."""

    def __init__(self, reason: str) -> None:
        """Give a short code for the reason, with nothing of the message in it."""
        super().__init__(reason)
        self.reason = reason


class Gateway(Protocol):
    """A way out for one channel."""

    name: str
    """What messages remember as their provider."""
    concurrency: int
    """How many messages may be under way at once, from one worker."""

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Hand a message over. Raises `TryAgain` when that may work later."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...
