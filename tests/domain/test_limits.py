"""Sending limits: rate a minute and counts a day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import sending_limits
from graphql_api.enums import KeyType
from graphql_api.errors import DailyLimitExceeded, RateLimited
from tests.builders import Builders, api_key_actor, stranger, user_actor


async def consume_tokens(database: Database, actor: Actor, service_id: UUID, times: int = 1) -> None:
    for _ in range(times):
        async with database.transaction() as tx:
            await sending_limits.consume_token(tx, actor, service_id)


async def tokens(database: Database, service_id: UUID) -> dict[str, float]:
    async with database.read_connection() as connection:
        rows = await connection.execute(
            text("SELECT key_type, tokens FROM rate_buckets WHERE service_id = :id"), {"id": service_id}
        )
        return {row.key_type: row.tokens for row in rows}


async def age_buckets(database: Database, seconds: float) -> None:
    """Make every bucket older by some seconds."""
    async with database.transaction() as tx:
        await tx.execute(
            text("UPDATE rate_buckets SET refilled_at = refilled_at - CAST(:by AS interval)"),
            {"by": timedelta(seconds=seconds)},
        )


@pytest.mark.parametrize(("rate", "burst"), [(3000, 1000), (2997, 1000), (2996, 1000), (300, 101), (1, 2), (0, 1)])
def test_a_burst_is_a_third_of_the_rate_and_one(rate: int, burst: int) -> None:
    assert sending_limits.burst_capacity(rate) == burst


async def test_calls_above_the_burst_are_refused(make: Builders, database: Database) -> None:
    service = await make.service(rate_limit=6)
    actor = user_actor(await make.member(service), service)

    before = models.utcnow()
    await consume_tokens(database, actor, service.id, times=3)
    with pytest.raises(RateLimited) as raised:
        await consume_tokens(database, actor, service.id)
    elapsed = (models.utcnow() - before).total_seconds()

    assert (raised.value.limit, raised.value.window_seconds) == (6, 60)
    assert 10 - elapsed <= raised.value.retry_after_seconds <= 10


async def test_the_bucket_refills_at_the_rate_up_to_its_capacity(make: Builders, database: Database) -> None:
    service = await make.service(rate_limit=6)
    actor = user_actor(await make.member(service), service)
    await consume_tokens(database, actor, service.id, times=3)

    await age_buckets(database, 10)
    await consume_tokens(database, actor, service.id)
    with pytest.raises(RateLimited):
        await consume_tokens(database, actor, service.id)
    await age_buckets(database, 3600)
    await consume_tokens(database, actor, service.id)

    assert await tokens(database, service.id) == {"normal": pytest.approx(2, abs=0.05)}


async def test_each_key_type_has_a_bucket_and_people_share_that_of_live_keys(
    make: Builders, database: Database
) -> None:
    service = await make.service(rate_limit=30)
    live, team, test = [api_key_actor(await make.api_key(service, key_type)) for key_type in KeyType]
    actor = user_actor(await make.member(service), service)

    before = models.utcnow()
    for caller in (live, actor, team, test):
        await consume_tokens(database, caller, service.id)
    refilled = 30 / 60 * (models.utcnow() - before).total_seconds()

    assert await tokens(database, service.id) == {
        "normal": pytest.approx(9, abs=refilled + 0.1),
        "team": pytest.approx(10, abs=0.1),
        "test": pytest.approx(10, abs=0.1),
    }


async def test_callers_without_permissions_consume_no_tokens(make: Builders, database: Database) -> None:
    service = await make.service()

    await consume_tokens(database, stranger(), service.id)
    await consume_tokens(database, stranger(), uuid4())

    assert await tokens(database, service.id) == {}


async def test_a_rate_of_zero_allows_one_call(make: Builders, database: Database) -> None:
    service = await make.service(rate_limit=0)
    actor = user_actor(await make.member(service), service)
    await consume_tokens(database, actor, service.id)

    with pytest.raises(RateLimited) as raised:
        await consume_tokens(database, actor, service.id)
    assert raised.value.retry_after_seconds == 60


async def test_daily_usage_adds_up_and_a_refused_call_adds_nothing(make: Builders, database: Database) -> None:
    service = await make.service(sms_message_limit=10)

    async with database.transaction() as tx:
        await sending_limits.add_daily_usage(tx, service, {"sms": 7, "international_sms": 2})
    with pytest.raises(DailyLimitExceeded) as raised:
        async with database.transaction() as tx:
            await sending_limits.add_daily_usage(tx, service, {"sms": 4})
    async with database.transaction() as tx:
        await sending_limits.add_daily_usage(tx, service, {"sms": 3})
        used = await sending_limits.load_daily_usage(tx, service.id)

    assert (raised.value.used, raised.value.requested, raised.value.limit) == (7, 4, 10)
    assert used == {"sms": 10, "international_sms": 2}


async def test_the_remaining_count_is_locked_until_the_end_of_the_transaction(
    make: Builders, database: Database
) -> None:
    service = await make.service(sms_message_limit=10)

    async with database.transaction() as tx:
        await sending_limits.add_daily_usage(tx, service, {"sms": 4})
        assert await sending_limits.lock_remaining(tx, service, ["sms", "international_sms"]) == {
            "international_sms": 100,
            "sms": 6,
        }


async def test_yesterdays_messages_do_not_count(make: Builders, database: Database) -> None:
    service = await make.service(sms_message_limit=1)
    yesterday = sending_limits.utc_today() - timedelta(days=1)
    await make.add(models.DailyUsage(service_id=service.id, day=yesterday, kind="sms", count=1))

    async with database.transaction() as tx:
        await sending_limits.add_daily_usage(tx, service, {"sms": 1})
        assert await sending_limits.load_daily_usage(tx, service.id) == {"sms": 1}


@pytest.fixture
async def committed(engine: AsyncEngine) -> AsyncIterator[Database]:
    """A database that commits, for concurrent callers; its rows are deleted afterwards."""
    database = Database(engine)
    yield database
    tables = "rate_buckets, daily_usage, service_permissions, service_sms_senders, services, services_history, users"
    async with database.transaction() as tx:
        await tx.execute(text(f"TRUNCATE {tables} CASCADE"))


async def test_concurrent_callers_never_exceed_the_limits(committed: Database, signer: Signer) -> None:
    make = Builders(committed, signer)
    service = await make.service(sms_message_limit=5, rate_limit=12)
    actor = user_actor(await make.user(), service)

    async def send() -> str:
        try:
            await consume_tokens(committed, actor, service.id)
            async with committed.transaction() as tx:
                await sending_limits.add_daily_usage(tx, service, {"sms": 2, "international_sms": 1})
        except (RateLimited, DailyLimitExceeded) as error:
            return error.code.name
        return "SENT"

    outcomes = await asyncio.gather(*(send() for _ in range(8)))

    assert sorted(outcomes) == ["DAILY_LIMIT_EXCEEDED"] * 3 + ["RATE_LIMITED"] * 3 + ["SENT"] * 2
    async with committed.transaction() as tx:
        assert await sending_limits.load_daily_usage(tx, service.id) == {"sms": 4, "international_sms": 2}
