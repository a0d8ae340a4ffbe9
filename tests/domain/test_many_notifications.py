"""Several messages in one call, each accepted or refused individually."""

from __future__ import annotations

import pytest

from graphql_api.errors import DomainError
from tests.builders import Builders, stranger, user_actor
from tests.conftest import Statements
from tests.domain.notification_senders import DEFAULT_RECIPIENT, NotificationSender


async def test_items_are_accepted_or_refused_individually(
    make: Builders, notification_sender: NotificationSender
) -> None:
    service = await make.service(sms_message_limit=2)
    template = await make.template(service)
    actor = user_actor(await make.member(service), service)
    hello = {"name": "x"}

    results = await notification_sender.send_many(
        actor,
        template,
        {"recipient": DEFAULT_RECIPIENT, "personalisation": hello, "reference": "a"},
        {"recipient": {"phone_number": "x"}},
        {"recipient": {"phone_number": "07700900000"}, "personalisation": hello},
        {"recipient": DEFAULT_RECIPIENT, "personalisation": hello},
        {"recipient": DEFAULT_RECIPIENT, "personalisation": hello},
    )

    assert [result.index for result in results] == [0, 1, 2, 3, 4]
    assert [[(error.code.name, error.path) for error in result.errors] for result in results] == [
        [],
        [
            ("MISSING_PERSONALISATION", ("items", "1", "personalisation")),
            ("PHONE_UNKNOWN_CHARACTER", ("items", "1", "recipient", "phone_number")),
        ],
        [],
        [],
        [("DAILY_LIMIT_EXCEEDED", ("items", "4"))],
    ]
    assert (results[4].errors[0].used, results[4].errors[0].limit, results[4].errors[0].requested) == (2, 2, 1)
    rows = await notification_sender.stored_messages()
    assert [row.id for row in rows] == [results[0].notification.id, results[3].notification.id]
    assert [row.client_reference for row in rows] == ["a", None]
    assert await notification_sender.daily_usage(service.id) == {"sms": 2}
    assert await notification_sender.queued_tasks() == [
        ("deliver notifications", f'{{"notification_ids":["{rows[0].id}","{rows[1].id}"]}}')
    ]


async def test_many_messages_take_as_many_statements_as_one(
    make: Builders, notification_sender: NotificationSender, statements: Statements
) -> None:
    service = await make.service()
    template = await make.template(service)
    actor = user_actor(await make.member(service), service)
    item = {"recipient": DEFAULT_RECIPIENT, "personalisation": {"name": "x"}}
    await notification_sender.send_many(actor, template, item)

    with statements(7):
        results = await notification_sender.send_many(actor, template, *[item] * 250)
    assert len({result.notification.id for result in results}) == 250
    assert len(await notification_sender.stored_messages()) == 251


async def test_a_repeated_call_returns_the_same_results(
    make: Builders, notification_sender: NotificationSender
) -> None:
    service = await make.service(sms_message_limit=1)
    template = await make.template(service)
    actor = user_actor(await make.member(service), service)
    items = (
        {"recipient": DEFAULT_RECIPIENT, "personalisation": {"name": "x"}},
        {"recipient": {"phone_number": "x"}},
        {"recipient": {"phone_number": "07700900111"}, "personalisation": {"name": "x"}},
        {"recipient": DEFAULT_RECIPIENT, "personalisation": {"name": "y"}},
    )

    first = await notification_sender.send_many(actor, template, *items, idempotency_key="k")
    again = await notification_sender.send_many(actor, template, *items, idempotency_key="k")

    assert [result.notification and result.notification.id for result in again] == [
        result.notification and result.notification.id for result in first
    ]
    assert [[(type(error), vars(error)) for error in result.errors] for result in again] == [
        [(type(error), vars(error)) for error in result.errors] for result in first
    ]
    assert len(await notification_sender.stored_messages()) == 1


@pytest.mark.parametrize(("count", "code"), [(0, "REQUIRED"), (251, "TOO_MANY_ROWS")])
async def test_a_call_has_1_to_250_items(
    make: Builders, notification_sender: NotificationSender, count: int, code: str
) -> None:
    template = await make.template(await make.service())

    with pytest.raises(DomainError) as raised:
        await notification_sender.send_many(stranger(), template, *[{"recipient": DEFAULT_RECIPIENT}] * count)

    assert (raised.value.code.name, raised.value.path) == (code, ("items",))
