"""What messages cost."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from graphql_api.billing import prices
from graphql_api.billing.prices import MessageCost, RateKey
from graphql_api.database.database import Database
from graphql_api.enums import Channel, Postage

RATE = Decimal("0.024")


@pytest.mark.parametrize(
    ("channel", "status", "units", "multiplier", "cost"),
    [
        ("sms", "delivered", 1, Decimal(1), MessageCost(ready=True, units=1, unit_rate=RATE, total=RATE)),
        ("sms", "delivered", 3, Decimal(2), MessageCost(ready=True, units=6, unit_rate=RATE, total=Decimal("0.144"))),
        ("sms", "sending", 2, None, MessageCost(ready=True, units=2, unit_rate=RATE, total=Decimal("0.048"))),
        ("sms", "created", 0, Decimal(1), MessageCost(ready=False)),
        ("sms", "created", 1, Decimal(1), MessageCost(ready=True, units=1, unit_rate=RATE, total=RATE)),
        (
            "sms",
            "validation-failed",
            0,
            Decimal(0),
            MessageCost(ready=True, units=0, unit_rate=RATE, total=Decimal("0.000")),
        ),
        ("email", "created", 0, None, MessageCost(ready=True, units=0, unit_rate=Decimal(0), total=Decimal(0))),
        ("letter", "created", 0, None, MessageCost(ready=False)),
        ("letter", "delivered", 0, None, MessageCost(ready=False)),
        ("letter", "pending-virus-check", 2, None, MessageCost(ready=False)),
        ("letter", "sending", 2, None, MessageCost(ready=True, units=2, unit_rate=RATE, total=RATE)),
        ("letter", "cancelled", 2, None, MessageCost(ready=True, units=2, unit_rate=RATE, total=Decimal(0))),
    ],
)
def test_the_cost_of_a_message_depends_on_channel_status_and_rate(
    channel: str, status: str, units: int, multiplier: Decimal | None, cost: MessageCost
) -> None:
    assert prices.message_cost(channel, status, units, multiplier, RATE) == cost


def test_without_a_recorded_rate_the_total_is_null() -> None:
    assert prices.message_cost("sms", "delivered", 1, None, None) == MessageCost(
        ready=True, units=1, unit_rate=None, total=None
    )


async def test_rates_are_those_of_the_london_day(database: Database) -> None:
    def at(*moment: int) -> datetime:
        return datetime(*moment)  # type: ignore[arg-type]  # noqa: DTZ001 - naive UTC, as the database

    expected = {
        prices.rate_key(Channel.SMS, at(2026, 3, 31, 22, 59)): Decimal("0.0233"),
        prices.rate_key(Channel.SMS, at(2026, 3, 31, 23)): Decimal("0.024"),
        prices.rate_key(Channel.SMS, at(2015, 1, 1)): None,
        prices.rate_key(Channel.LETTER, at(2026, 6, 1), sheets=1, postage=Postage.SECOND.value): Decimal("0.73"),
        prices.rate_key(Channel.LETTER, at(2026, 6, 1), sheets=3, postage=Postage.SECOND.value): Decimal("0.82"),
        prices.rate_key(Channel.LETTER, at(2026, 6, 1), sheets=99, postage=Postage.SECOND.value): None,
        prices.rate_key(Channel.EMAIL, at(2026, 6, 1)): None,
    }

    async with database.read_connection() as connection:
        rates = prices.rates_by_key(
            (await connection.execute(prices.SELECT_RATES, prices.rate_parameters(list(expected)))).all()
        )

    assert rates == expected
    assert prices.rate_key(Channel.SMS, at(2026, 6, 1, 23)) == RateKey("sms", at(2026, 6, 1, 23), 0, None)
    assert prices.rate_key(Channel.SMS, at(2026, 6, 2, 22)) == RateKey("sms", at(2026, 6, 1, 23), 0, None)
