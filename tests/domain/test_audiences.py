"""Audiences: by service, type of key, and guest list."""

from __future__ import annotations

import pytest

from graphql_api import models
from graphql_api.enums import Channel, KeyType
from tests.builders import Builders, api_key_actor, user_actor
from tests.domain.notification_senders import NotificationSender

KEY_TYPE_BY_CALLER = {
    "a person": None,
    "a live key": KeyType.LIVE,
    "a team key": KeyType.TEAM,
    "a test key": KeyType.TEST,
}


@pytest.mark.parametrize(
    ("restricted", "caller", "to", "allowed"),
    [
        (False, "a person", "anyone", True),
        (False, "a live key", "anyone", True),
        (False, "a team key", "anyone", False),
        (False, "a team key", "team", True),
        (False, "a team key", "guest", True),
        (False, "a test key", "anyone", True),
        (True, "a person", "anyone", False),
        (True, "a person", "team", True),
        (True, "a person", "guest", False),
        (True, "a live key", "anyone", False),
        (True, "a live key", "team", True),
        (True, "a live key", "guest", True),
        (True, "a team key", "anyone", False),
        (True, "a team key", "team", True),
        (True, "a team key", "guest", True),
        (True, "a test key", "anyone", True),
    ],
)
@pytest.mark.parametrize("channel", [Channel.SMS, Channel.EMAIL])
async def test_audience_by_service_and_key_type(
    make: Builders,
    notification_sender: NotificationSender,
    channel: Channel,
    restricted: bool,
    caller: str,
    to: str,
    allowed: bool,
) -> None:
    service = await make.service(restricted=restricted)
    template = await make.template(service, channel, content="Hello", subject=None if channel is Channel.SMS else "Hi")
    user = await make.user(mobile_number="+447700900112", email_address="Team.Member@example.gov.uk")
    await make.member(service, user=user)
    await make.add(
        models.GuestListEntry(service_id=service.id, recipient_type="mobile", recipient="07700 900555"),
        models.GuestListEntry(service_id=service.id, recipient_type="email", recipient="guest@example.com"),
    )
    recipients = {
        Channel.SMS: {"anyone": "07700900123", "team": "07700900112", "guest": "+44 7700 900555"},
        Channel.EMAIL: {"anyone": "a@example.com", "team": "team.member@EXAMPLE.gov.uk", "guest": "Guest@example.com"},
    }
    field = "phone_number" if channel is Channel.SMS else "email_address"
    recipient = {field: recipients[channel][to]}
    key_type = KEY_TYPE_BY_CALLER[caller]
    actor = user_actor(user, service) if key_type is None else api_key_actor(await make.api_key(service, key_type))

    if allowed:
        await notification_sender.send(actor, template, recipient=recipient)
    else:
        assert await notification_sender.expect_errors(actor, template, recipient=recipient) == [
            ("RECIPIENT_NOT_ALLOWED", ("recipient",))
        ]


@pytest.mark.parametrize(
    ("restricted", "caller", "codes"),
    [
        (False, "a person", []),
        (False, "a live key", []),
        (False, "a team key", ["KEY_TYPE_NOT_ALLOWED"]),
        (False, "a test key", []),
        (True, "a person", ["SERVICE_IN_TRIAL_MODE"]),
        (True, "a live key", ["SERVICE_IN_TRIAL_MODE"]),
        (True, "a team key", ["KEY_TYPE_NOT_ALLOWED"]),
        (True, "a test key", []),
    ],
)
async def test_letters_by_service_and_key_type(
    make: Builders, notification_sender: NotificationSender, restricted: bool, caller: str, codes: list[str]
) -> None:
    service = await make.service(restricted=restricted)
    template = await make.template(service, Channel.LETTER, content="Hello", subject="Tax")
    key_type = KEY_TYPE_BY_CALLER[caller]
    user = await make.member(service)
    actor = user_actor(user, service) if key_type is None else api_key_actor(await make.api_key(service, key_type))
    recipient = {"postal_address": {"lines": ["A. Person", "1 Street", "SW1A 1AA"]}}

    if codes:
        assert await notification_sender.expect_errors(actor, template, recipient=recipient) == [
            (codes[0], ("template_id",))
        ]
    else:
        await notification_sender.send(actor, template, recipient=recipient)
        assert [row.notification_type for row in await notification_sender.stored_messages()] == ["letter"]
