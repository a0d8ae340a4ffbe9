"""Gateways to providers of messages, one for each channel, and to the object store.

    base                the `Gateway` protocol, messages and results
    channel_gateways    `Gateways`: the gateway of each channel, by settings
    fake                a gateway that sends nothing
    smtp                emails over SMTP
    object_store        files in a folder or an object store

It imports only `enums` and `settings`: no database, no `models`, no GraphQL.
"""

from graphql_api.gateways.base import Gateway, OutgoingMessage, RetryableSendError, SendResult
from graphql_api.gateways.channel_gateways import Gateways
from graphql_api.gateways.fake import FakeGateway
from graphql_api.gateways.smtp import SmtpGateway

__all__ = ["FakeGateway", "Gateway", "Gateways", "OutgoingMessage", "RetryableSendError", "SendResult", "SmtpGateway"]
