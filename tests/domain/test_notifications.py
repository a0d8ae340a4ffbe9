"""Notifications: permissions, checks, and what is written."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.domain import sending_limits
from graphql_api.enums import Channel, KeyType, Postage, ServicePermission, UserErrorCode
from graphql_api.errors import DomainError, Forbidden, NotFound, Unauthenticated
from tests.builders import Builders, api_key_actor, stranger, user_actor
from tests.conftest import Statements
from tests.domain.notification_senders import NotificationSender


async def test_a_text_message_is_stored_counted_and_enqueued(
    make: Builders, notification_sender: NotificationSender, signer: Signer
) -> None:
    service = await make.service()
    template = await make.template(service)
    user = await make.member(service)

    sent = await notification_sender.send(
        user_actor(user, service),
        template,
        recipient={"phone_number": " 07700\u200b 900123 "},
        personalisation={"Name": "Zoë", "extra": [1, "two"]},
        reference="ref-1",
    )

    (row,) = await notification_sender.stored_messages()
    assert row.id == sent.id
    assert (row.to, row.normalised_to) == ("07700 900123", "447700900123")
    assert (row.service_id, row.template_id, row.template_version) == (service.id, template.id, 1)
    assert (row.notification_type, row.notification_status, row.key_type) == ("sms", "created", "normal")
    assert (row.created_by_id, row.api_key_id, row.job_id, row.job_row_number) == (user.id, None, None, None)
    assert (row.client_reference, row.reference, row.reply_to_text) == ("ref-1", None, "GOVUK")
    assert (row.international, row.phone_prefix, row.rate_multiplier) == (False, "44", 1)
    assert (row.billable_units, row.postage, row.updated_at, row.sent_at) == (0, None, None, None)
    assert signer.unsign(row.personalisation) == {"Name": "Zoë", "extra": [1, "two"]}
    assert await notification_sender.queued_tasks() == [
        ("deliver notifications", f'{{"notification_ids":["{sent.id}"]}}')
    ]
    assert await notification_sender.daily_usage(service.id) == {"sms": 1}


async def test_a_send_takes_six_statements_besides_its_token(
    make: Builders, notification_sender: NotificationSender, statements: Statements
) -> None:
    service = await make.service()
    template = await make.template(service)
    user = await make.member(service)
    await notification_sender.send(user_actor(user, service), template)

    with statements(6):
        await notification_sender.send(user_actor(user, service), template)


async def test_an_email_has_the_reply_address_of_the_service(
    make: Builders, notification_sender: NotificationSender, signer: Signer
) -> None:
    service = await make.service()
    await make.add(models.EmailReplyToAddress(service_id=service.id, email_address="replies@example.gov.uk"))
    template = await make.template(service, Channel.EMAIL)
    api_key = await make.api_key(service)

    await notification_sender.send(
        api_key_actor(api_key),
        template,
        service_id=None,
        recipient={"email_address": "Zoe@Example.COM "},
        personalisation={"name": "Zoë", "thing": "form"},
    )

    (row,) = await notification_sender.stored_messages()
    assert (row.to, row.normalised_to) == ("Zoe@Example.COM", "zoe@example.com")
    assert (row.notification_type, row.key_type, row.api_key_id, row.created_by_id) == (
        "email",
        "normal",
        api_key.id,
        None,
    )
    assert row.reply_to_text == "replies@example.gov.uk"
    assert (row.international, row.phone_prefix, row.rate_multiplier) == (False, None, None)
    assert signer.unsign(row.personalisation) == {"name": "Zoë", "thing": "form"}


async def test_a_letter_keeps_its_address_and_the_contact_of_its_template(
    make: Builders, notification_sender: NotificationSender, signer: Signer
) -> None:
    service = await make.service()
    contact = models.LetterContact(service_id=service.id, contact_block="Office\n1 Road")
    await make.add(contact)
    template = await make.template(
        service, Channel.LETTER, service_letter_contact_id=contact.id, content="Dear ((address line 1))", subject="Tax"
    )
    user = await make.member(service)
    lines = ["A. Person", "1 Street", "sw1a1aa"]

    await notification_sender.send(
        user_actor(user, service), template, recipient={"postal_address": {"lines": lines}}, personalisation=None
    )
    await notification_sender.send(
        user_actor(user, service),
        template,
        recipient={"postal_address": {"lines": ["A. Person", "1 Straße", "Germany"]}},
        personalisation=None,
        postage=Postage.FIRST,
    )

    home, abroad = await notification_sender.stored_messages()
    assert (home.to, home.normalised_to) == ("A. Person\n1 Street\nSW1A 1AA", "a.person1streetsw1a1aa")
    assert (home.postage, home.international, home.reply_to_text) == ("second", False, "Office\n1 Road")
    assert len(home.reference) == 16
    assert signer.unsign(home.personalisation) == {
        "address_line_1": "A. Person",
        "address_line_2": "1 Street",
        "address_line_3": "SW1A 1AA",
    }
    assert (abroad.postage, abroad.international) == ("europe", True)
    assert await notification_sender.daily_usage(service.id) == {"letter": 2}


@pytest.mark.parametrize("lines", [["A. Person", "1 Street", "SW1A 1AA"]])
async def test_international_postage_is_for_international_addresses(
    make: Builders, notification_sender: NotificationSender, lines: list[str]
) -> None:
    service = await make.service()
    template = await make.template(service, Channel.LETTER, content="Hello", subject="Tax")
    user = await make.member(service)

    assert await notification_sender.expect_errors(
        user_actor(user, service), template, recipient={"postal_address": {"lines": lines}}, postage=Postage.EUROPE
    ) == [("POSTAGE_NOT_ALLOWED", ("postage",))]


async def test_all_problems_are_reported_together(make: Builders, notification_sender: NotificationSender) -> None:
    service = await make.service()
    template = await make.template(service, content="((name)) ((place)) " + "x" * 918)
    user = await make.member(service)

    assert await notification_sender.expect_errors(
        user_actor(user, service),
        template,
        recipient={"phone_number": "0770090012x"},
        personalisation={"name": None},
        reference="r" * 1001,
    ) == [
        ("TOO_LONG", ("reference",)),
        ("MISSING_PERSONALISATION", ("personalisation",)),
        ("MESSAGE_TOO_LONG", ()),
        ("PHONE_UNKNOWN_CHARACTER", ("recipient", "phone_number")),
    ]


@pytest.mark.parametrize(
    ("personalisation", "problem"),
    [
        ([], ("INVALID", ("personalisation",))),
        ({"name": {"a": 1}}, ("INVALID", ("personalisation", "name"))),
        ({"name": 10**20}, ("OUT_OF_RANGE", ("personalisation", "name"))),
        ({"name": ["a", None, ["b"]]}, ("INVALID", ("personalisation", "name", "2"))),
        ({str(index): "" for index in range(1001)}, ("TOO_LONG", ("personalisation",))),
        ({"name": ""}, ("MESSAGE_EMPTY", ())),
    ],
)
async def test_personalisation_must_have_values_that_a_template_can_use(
    make: Builders, notification_sender: NotificationSender, personalisation: Any, problem: tuple[str, tuple[str, ...]]
) -> None:
    service = await make.service()
    template = await make.template(service, content="((name))")
    user = await make.member(service)

    assert await notification_sender.expect_errors(
        user_actor(user, service), template, personalisation=personalisation
    ) == [problem]


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ({"phone_number": "077009001"}, "PHONE_TOO_SHORT"),
        ({"phone_number": "0770090012345"}, "PHONE_TOO_LONG"),
        ({"phone_number": "020 7946 0123"}, "LANDLINE_NOT_ALLOWED"),
        ({"email_address": "a@example.com"}, "TEMPLATE_CHANNEL_MISMATCH"),
        ({"postal_address": {"lines": []}}, "TEMPLATE_CHANNEL_MISMATCH"),
    ],
)
async def test_a_recipient_must_be_of_the_templates_channel(
    make: Builders, notification_sender: NotificationSender, recipient: dict[str, Any], code: str
) -> None:
    service = await make.service()
    template = await make.template(service)
    user = await make.member(service)

    (name,) = recipient
    assert await notification_sender.expect_errors(user_actor(user, service), template, recipient=recipient) == [
        (code, ("recipient", name))
    ]


async def test_an_international_number_needs_the_feature_and_counts_twice(
    make: Builders, notification_sender: NotificationSender
) -> None:
    domestic, service = await make.service(features=["sms"]), await make.service()
    without = await make.template(domestic)
    template = await make.template(service)
    paris = {"phone_number": "+33 6 12 34 56 78"}

    assert await notification_sender.expect_errors(
        user_actor(await make.user(), domestic), without, recipient=paris
    ) == [("INTERNATIONAL_NOT_ALLOWED", ("recipient", "phone_number"))]

    await notification_sender.send(user_actor(await make.member(service), service), template, recipient=paris)
    (row,) = await notification_sender.stored_messages()
    assert (row.normalised_to, row.international, row.phone_prefix, row.rate_multiplier) == (
        "33612345678",
        True,
        "33",
        2,
    )
    assert await notification_sender.daily_usage(service.id) == {"sms": 1, "international_sms": 1}


async def test_the_daily_limit_is_reported_with_its_figures(
    make: Builders, notification_sender: NotificationSender
) -> None:
    service = await make.service(sms_message_limit=1)
    template = await make.template(service)
    user = await make.member(service)
    await notification_sender.send(user_actor(user, service), template)

    with pytest.raises(DomainError) as raised:
        await notification_sender.send(user_actor(user, service), template)

    figures = vars(raised.value)
    assert figures["code"] is UserErrorCode.DAILY_LIMIT_EXCEEDED
    assert (figures["channel"], figures["international"]) == (Channel.SMS, False)
    assert (figures["limit"], figures["used"], figures["requested"]) == (1, 1, 1)
    assert figures["resets_at"] == sending_limits.resets_at()
    assert len(await notification_sender.stored_messages()) == 1
    assert await notification_sender.daily_usage(service.id) == {"sms": 1}


async def test_the_international_limit_applies_below_the_channels_limit(
    make: Builders, notification_sender: NotificationSender
) -> None:
    service = await make.service(international_sms_message_limit=0)
    template = await make.template(service)
    user = await make.member(service)

    assert await notification_sender.expect_errors(
        user_actor(user, service), template, recipient={"phone_number": "+33612345678"}
    ) == [("DAILY_LIMIT_EXCEEDED", ())]
    await notification_sender.send(user_actor(user, service), template)


async def test_test_keys_are_not_counted_but_have_live_limits_in_trial(
    make: Builders, notification_sender: NotificationSender
) -> None:
    service = await make.service(restricted=True, sms_message_limit=0)
    template = await make.template(service)
    test_key = api_key_actor(await make.api_key(service, KeyType.TEST))

    await notification_sender.send(test_key, template)

    (row,) = await notification_sender.stored_messages()
    assert row.key_type == "test"
    assert await notification_sender.daily_usage(service.id) == {}


async def test_a_test_key_of_a_live_service_has_the_services_limit(
    make: Builders, notification_sender: NotificationSender
) -> None:
    service = await make.service(sms_message_limit=0)
    template = await make.template(service)
    test_key = api_key_actor(await make.api_key(service, KeyType.TEST))

    assert await notification_sender.expect_errors(test_key, template) == [("DAILY_LIMIT_EXCEEDED", ())]


async def test_a_channel_must_be_switched_on(make: Builders, notification_sender: NotificationSender) -> None:
    service = await make.service(features=["email"])
    template = await make.template(service)
    user = await make.member(service)

    assert await notification_sender.expect_errors(user_actor(user, service), template) == [
        ("CHANNEL_NOT_ENABLED", ("template_id",))
    ]


async def test_an_archived_template_or_service_cannot_send(
    make: Builders, notification_sender: NotificationSender
) -> None:
    service, closed = await make.service(), await make.service(active=False)
    archived, orphan = await make.template(service, archived=True), await make.template(closed)
    user = await make.member(service)
    actor = user_actor(user, service, closed)

    assert await notification_sender.expect_errors(actor, archived) == [("TEMPLATE_ARCHIVED", ("template_id",))]
    assert await notification_sender.expect_errors(actor, orphan) == [("SERVICE_ARCHIVED", ("service_id",))]


async def test_a_template_of_another_service_is_not_found(
    make: Builders, notification_sender: NotificationSender
) -> None:
    service, other = await make.service(), await make.service()
    template = await make.template(other)
    actor = user_actor(await make.user(), service, other)

    assert await notification_sender.expect_errors(actor, template, service_id=service.id) == [
        ("NOT_FOUND", ("template_id",))
    ]


async def test_the_service_is_not_found_for_a_stranger(make: Builders, notification_sender: NotificationSender) -> None:
    template = await make.template(await make.service())

    with pytest.raises(NotFound) as raised:
        await notification_sender.send(stranger(), template)
    assert raised.value.path == ("service_id",)
    with pytest.raises(NotFound) as unknown:
        await notification_sender.send(stranger(), template, service_id=uuid4())
    assert unknown.value.path == ("service_id",)
    with pytest.raises(Unauthenticated):
        await notification_sender.send(Actor.anonymous(), template)


async def test_each_channel_needs_its_own_permission(make: Builders, notification_sender: NotificationSender) -> None:
    service = await make.service()
    template = await make.template(service)
    user = await make.member(service)

    with pytest.raises(Forbidden) as raised:
        await notification_sender.send(user_actor(user, service, permissions=[ServicePermission.SEND_EMAILS]), template)
    assert raised.value.extensions["requiredPermission"] == "SEND_TEXTS"
    await notification_sender.send(user_actor(user, service, permissions=[ServicePermission.SEND_TEXTS]), template)


async def test_a_person_must_give_the_service(make: Builders, notification_sender: NotificationSender) -> None:
    service = await make.service()
    template = await make.template(service)

    assert await notification_sender.expect_errors(
        user_actor(await make.user(), service), template, service_id=None
    ) == [("REQUIRED", ("service_id",))]


@pytest.mark.parametrize("number", ["07700900000", "+44 7700 900111", "447700900222"])
async def test_a_smoke_test_number_is_accepted_and_not_stored(
    make: Builders, notification_sender: NotificationSender, number: str
) -> None:
    service = await make.service()
    template = await make.template(service)
    user = await make.member(service)

    sent = await notification_sender.send(user_actor(user, service), template, recipient={"phone_number": number})

    assert (sent.status, sent.to) == ("created", number)
    assert await notification_sender.stored_messages() == []
    assert await notification_sender.queued_tasks() == []
    assert await notification_sender.daily_usage(service.id) == {}


async def test_a_smoke_test_address_is_accepted_and_not_stored(
    make: Builders, notification_sender: NotificationSender
) -> None:
    service = await make.service()
    template = await make.template(service, Channel.EMAIL, content="Hello", subject="Hi")
    user = await make.member(service)
    address = {"email_address": "simulate-delivered-2@notifications.service.gov.uk"}

    first = await notification_sender.send(user_actor(user, service), template, recipient=address, idempotency_key="k")
    again = await notification_sender.send(user_actor(user, service), template, recipient=address, idempotency_key="k")

    assert first.id == again.id
    assert await notification_sender.stored_messages() == []


async def test_calls_with_the_same_idempotency_key_send_once(
    make: Builders, notification_sender: NotificationSender
) -> None:
    service = await make.service()
    template = await make.template(service)
    actor = user_actor(await make.member(service), service)

    first = await notification_sender.send(actor, template, idempotency_key="once")
    again = await notification_sender.send(actor, template, idempotency_key="once")

    assert first.id == again.id
    assert [row.id for row in await notification_sender.stored_messages()] == [first.id]
    assert await notification_sender.daily_usage(service.id) == {"sms": 1}
    with pytest.raises(DomainError) as raised:
        await notification_sender.send(actor, template, idempotency_key="once", reference="another")
    assert raised.value.code is UserErrorCode.IDEMPOTENCY_KEY_REUSED
