"""The fake gateway, and the choice of gateways by settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from graphql_api.enums import Channel, NotificationStatus
from graphql_api.gateways import FakeGateway, Gateways, OutgoingMessage, SendResult, SmtpGateway
from graphql_api.settings import Settings

MESSAGE_ID = UUID("6ce466d0-fd6a-11e5-82f5-e0accb9d11a6")


@pytest.mark.parametrize(
    ("channel", "recipient", "outcome"),
    [
        (Channel.SMS, "447700900001", NotificationStatus.DELIVERED),
        (Channel.SMS, "447700900002", NotificationStatus.PERMANENT_FAILURE),
        (Channel.SMS, "447700900003", NotificationStatus.TEMPORARY_FAILURE),
        (Channel.SMS, "447900900123", NotificationStatus.DELIVERED),
        (Channel.EMAIL, "delivered@simulator.notify", NotificationStatus.DELIVERED),
        (Channel.EMAIL, "perm-fail@simulator.notify", NotificationStatus.PERMANENT_FAILURE),
        (Channel.EMAIL, "temp-fail@simulator.notify", NotificationStatus.TEMPORARY_FAILURE),
        (Channel.EMAIL, "someone@example.com", NotificationStatus.DELIVERED),
    ],
)
async def test_the_outcome_depends_on_the_recipient(
    channel: Channel, recipient: str, outcome: NotificationStatus
) -> None:
    result = await FakeGateway(receipt_delay_seconds=0.5).send(OutgoingMessage(MESSAGE_ID, channel, recipient, "Hello"))

    assert result == SendResult("fake", f"fake-{MESSAGE_ID}", outcome, 0.5)


async def test_every_accepted_message_is_a_line_of_the_log(tmp_path: Path) -> None:
    gateway = FakeGateway(log_path=tmp_path / "sent")
    for channel in (Channel.SMS, Channel.EMAIL):
        await gateway.send(OutgoingMessage(MESSAGE_ID, channel, "447900900123", "Hello"))
    await gateway.close()

    assert (tmp_path / "sent").read_text() == f"{MESSAGE_ID} sms\n{MESSAGE_ID} email\n"


def test_each_channel_has_its_gateway_and_test_keys_have_the_fake_one() -> None:
    gateways = Gateways.connect(settings(email_gateway="smtp", smtp_url="smtp://127.0.0.1:1"))

    assert isinstance(gateways.for_channel(Channel.EMAIL), SmtpGateway)
    assert gateways.for_channel(Channel.EMAIL, test=True) is gateways.fake
    assert gateways.for_channel(Channel.SMS) is gateways.fake
    assert gateways.for_channel(Channel.LETTER) is gateways.fake


@pytest.mark.parametrize("url", [None, "127.0.0.1:25", "http://127.0.0.1", "smtp://"])
def test_an_invalid_relay_url_is_an_error_at_the_start(url: str | None) -> None:
    with pytest.raises(ValueError, match="SMTP_URL"):
        Gateways.connect(settings(email_gateway="smtp", smtp_url=url))


def test_in_production_every_channel_needs_a_gateway() -> None:
    with pytest.raises(ValueError, match="Set SMS_GATEWAY, LETTER_GATEWAY: gateways must be chosen"):
        Gateways.connect(settings(environment="production", email_gateway="fake"))


def settings(**values: Any) -> Settings:
    """Settings, by default outside production."""
    return Settings.model_validate({"environment": "test", **values})
