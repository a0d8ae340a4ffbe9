"""The outside world: one `Gateway` for each channel, chosen by settings, and what goes out and comes back."""

from graphql_api.gateways.base import Gateway, OutgoingMessage, RetryableSendError, SendResult
from graphql_api.gateways.channel_gateways import Gateways
from graphql_api.gateways.fake import FakeGateway
from graphql_api.gateways.smtp import SmtpGateway

__all__ = ["FakeGateway", "Gateway", "Gateways", "OutgoingMessage", "RetryableSendError", "SendResult", "SmtpGateway"]
