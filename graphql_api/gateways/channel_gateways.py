"""The gateway of each channel, by settings; messages of test keys always use the fake one."""

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
    """The gateways of all channels.

    `fake` is the gateway of test keys and of channels without another one.
    """

    def __init__(self, by_channel: Mapping[Channel, Gateway], fake: FakeGateway | None = None) -> None:
        self.fake = fake or FakeGateway()
        self._by_channel = dict(by_channel)

    @classmethod
    def connect(cls, settings: Settings, fake: FakeGateway | None = None) -> Self:
        """Gateways by the settings; connections are opened on first use.

        Raises ValueError in production for a channel whose gateway is not set.
        """
        gateways_by_setting = {
            "SMS_GATEWAY": settings.sms_gateway,
            "EMAIL_GATEWAY": settings.email_gateway,
            "LETTER_GATEWAY": settings.letter_gateway,
        }
        missing = [name for name, gateway in gateways_by_setting.items() if gateway is None]
        if missing and settings.environment == "production":
            raise ValueError(f"Set {', '.join(missing)}: gateways must be chosen in production. `fake` sends nothing.")
        by_channel: dict[Channel, Gateway] = {}
        if settings.email_gateway == "smtp":
            by_channel[Channel.EMAIL] = SmtpGateway.connect(settings)
        return cls(by_channel, fake)

    def for_channel(self, channel: Channel, *, test: bool = False) -> Gateway:
        """The gateway of a channel; the fake one with `test`."""
        return self.fake if test else self._by_channel.get(channel, self.fake)

    async def send(self, message: OutgoingMessage) -> SendResult:
        """Send a message through the gateway of its channel. Raises `RetryableSendError`."""
        return await self.for_channel(message.channel, test=message.test).send(message)

    async def close(self) -> None:
        """Close every gateway."""
        for gateway in (*self._by_channel.values(), self.fake):
            await gateway.close()
