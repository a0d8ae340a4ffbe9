"""Messages of the platform to its users: sign-in codes and links, and notices about their account.

The worker sends them. In the queue their values are encrypted, for they hold secrets.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import structlog

from graphql_api.auth import tokens
from graphql_api.enums import Channel
from graphql_api.gateways import OutgoingMessage
from graphql_api.recipients import phone_numbers
from graphql_api.tasks import Task, enqueue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.crypto import Signer
    from graphql_api.gateways import Gateways
    from graphql_api.settings import Settings

TASK_PRIORITY = 10
"""Higher than that of services' messages, for users are waiting."""
SEAL_PURPOSE = "platform message"
SMS_SENDER = "GOVUK"
log = structlog.get_logger(__name__)


class MessageKind(StrEnum):
    """Kinds of platform message."""

    SIGN_IN_CODE = "sign in code"
    SIGN_IN_LINK = "sign in link"
    CONFIRM_ADDRESS = "confirm address"
    ADDRESS_REGISTERED = "address registered"
    DETAILS_CHANGED = "details changed"


MESSAGE_TEXTS = {
    MessageKind.SIGN_IN_CODE: "{code} is your Notify code. Use it within 30 minutes, and do not share it.",
    MessageKind.SIGN_IN_LINK: """Finish signing in to Notify

Dear {name},

use this token to finish signing in. It works once, within 30 minutes:

{token}

If you are not signing in, someone else knows your password: please change it.
""",
    MessageKind.CONFIRM_ADDRESS: """Confirm your email address for Notify

Dear {name},

use this token to confirm that this address is yours. It works for an hour:

{token}

If you have not registered with Notify, ignore this email.
""",
    MessageKind.ADDRESS_REGISTERED: """You have a Notify account already

Dear {name},

someone asked to register this address with Notify, but it has an account: sign in with that.

If it was not you, ignore this email.
""",
    MessageKind.DETAILS_CHANGED: """Your Notify account was changed

Dear {name},

{by} changed these of your details in Notify: {what}.

If that is wrong, ask a manager of your team.
""",
}
"""Texts; that of an email begins with its subject."""


async def send(
    tx: AsyncSession, signer: Signer, kind: MessageKind, user_id: UUID, recipient: str, **values: str
) -> None:
    """Enqueue a message; `recipient` is an email address, or a phone number for a code."""
    sealed = tokens.seal(signer, SEAL_PURPOSE, {"to": recipient, **values})
    payload = {"id": str(uuid4()), "kind": kind.value, "user_id": str(user_id), "sealed": sealed}
    await enqueue(tx, Task.PLATFORM_MESSAGE, payload, priority=TASK_PRIORITY)


def decode_payload(payload: Mapping[str, Any], signer: Signer) -> OutgoingMessage:
    """Decrypt the payload of a task; raises `tokens.InvalidToken` if the keys have changed."""
    kind = MessageKind(payload["kind"])
    values = tokens.unseal(signer, SEAL_PURPOSE, payload["sealed"])
    is_sms = kind is MessageKind.SIGN_IN_CODE
    subject, text = ("", MESSAGE_TEXTS[kind]) if is_sms else MESSAGE_TEXTS[kind].split("\n\n", 1)
    return OutgoingMessage(
        id=UUID(payload["id"]),
        channel=Channel.SMS if is_sms else Channel.EMAIL,
        recipient=phone_numbers.normalise(values["to"]) if is_sms else values["to"],
        text=text.format(**values),
        subject=subject or None,
        sender=SMS_SENDER if is_sms else None,
        from_name=None if is_sms else "Notify",
        from_local_part=None if is_sms else "notify",
    )


async def deliver(payload: Mapping[str, Any], *, signer: Signer, gateways: Gateways, settings: Settings) -> None:
    """Send a message through its gateway, and log it in development. Raises `gateways.RetryableSendError`."""
    message = decode_payload(payload, signer)
    if settings.is_development:
        log.info("platform message", to=message.recipient, subject=message.subject, text=message.text)
    await gateways.send(message)
