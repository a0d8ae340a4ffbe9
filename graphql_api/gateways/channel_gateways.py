"""Which gateway a message takes: by its channel, as the settings say; those of test keys never leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from graphql_api.enums import Channel
from graphql_api.gateways.fake import FakeGateway
from graphql_api.gateways.smtp import SmtpGateway

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql_api.gateways.base import Gateway, OutgoingMessage, SendResult
    from graphql_api.settings import Settings


class Gateways:
    """The gateways of all channels."""

    def __init__(self, by_channel: Mapping[Channel, Gateway], fake: FakeGateway | None = None) -> None:
        """`fake` takes what was sent with test keys, and every channel that has no gateway of its own."""
        self.fake = fake or FakeGateway()
        self._by_channel = dict(by_channel)

    @classmethod
    def connect(cls, settings: Settings, fake: FakeGateway | None = None) -> Self:
        """Gateways by the settings; no connection is made before it is needed.

        Raises ValueError in production for a channel whose gateway nobody chose.
        """
        chosen = {
            "SMS_GATEWAY": settings.sms_gateway,
            "EMAIL_GATEWAY": settings.email_gateway,
            "LETTER_GATEWAY": settings.letter_gateway,
        }
        unsaid = [name for name, gateway in chosen.items() if gateway is None]
        if unsaid and settings.environment == "production":
            raise ValueError(f"Set {', '.join(unsaid)}: where messages go. `fake` only pretends to deliver.")
        by_channel: dict[Channel, Gateway] = {}
        if settings.email_gateway == "smtp":
            by_channel[Channel.EMAIL] = SmtpGateway.connect(settings)
        return cls(by_channel, fake)

    def for_channel(self, channel: Channel, *, test: bool = False) -> Gateway:
        """The gateway of a channel; that of test keys is always the fake one."""
        return self.fake if test else self._by_channel.get(channel, self.fake)

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Hand a message to the gateway that it belongs to. Raises `TryAgain` when that may work later."""
        return await self.for_channel(message.channel, test=message.test).send(message)

    async def close(self) -> None:
        """Let every connection go."""
        for gateway in (*self._by_channel.values(), self.fake):
            await gateway.close()
