"""The health of the system, for platform admins."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from graphql_api.models import HealthSnapshot, TableCount, utcnow
from tests.builders import Builders, api_key_actor, platform_admin, user_actor
from tests.conftest import Ask, Statements

WHOLE = """{ systemHealth { latest { takenAt databaseOk databaseConnectionsInUse databaseConnectionsTotal
    databaseLatencyMilliseconds queues { name depth oldestAgeSeconds }
    providers { identifier channel active priority slowFraction errorsInLastMinute } cpuFraction memoryBytes } } }"""
HISTORY = "query ($range: DateTimeRangeInput) { systemHealth { history(range: $range) { takenAt } } }"
ALERTS = "{ systemHealth { rowCountAlerts { table previousCount currentCount takenAt } } }"
EVERYTHING = "{ systemHealth { latest { takenAt } history { takenAt } rowCountAlerts { table } } }"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).replace(tzinfo=None)
DAY = timedelta(days=1)


def snapshot(taken_at: datetime, **values: Any) -> HealthSnapshot:
    """A snapshot of an idle system."""
    quiet = {"database_ok": True, "connections_in_use": 1, "connections_total": 9, "queues": [], "providers": []}
    return HealthSnapshot(taken_at=taken_at, **quiet | values)


async def test_the_latest_snapshot_has_every_field(ask: Ask, make: Builders) -> None:
    admin = platform_admin(await make.user())
    before = (await ask(WHOLE, by=admin)).root_field
    await make.add(
        snapshot(NOON - DAY),
        snapshot(
            NOON,
            latency_ms=0.75,
            queues=[{"name": "process job", "depth": 2, "oldest_seconds": 1.5}],
            providers=[{"identifier": "mmg", "channel": "sms", "active": True, "priority": 51, "slow_fraction": 0.25}],
            cpu_fraction=0.5,
            memory_bytes=8_000_000_000,
        ),
    )

    assert before == {"latest": None}
    assert (await ask(WHOLE, by=admin)).root_field["latest"] == {
        "takenAt": "2026-03-01T12:00:00Z",
        "databaseOk": True,
        "databaseConnectionsInUse": 1,
        "databaseConnectionsTotal": 9,
        "databaseLatencyMilliseconds": 0.75,
        "queues": [{"name": "process job", "depth": 2, "oldestAgeSeconds": 1.5}],
        "providers": [
            {
                "identifier": "mmg",
                "channel": "SMS",
                "active": True,
                "priority": 51,
                "slowFraction": 0.25,
                "errorsInLastMinute": None,
            }
        ],
        "cpuFraction": 0.5,
        "memoryBytes": 8_000_000_000,
    }


async def test_history_is_of_the_last_hour_by_default_and_of_a_day_at_most(ask: Ask, make: Builders) -> None:
    admin = platform_admin(await make.user())
    now = utcnow().replace(microsecond=0)
    instants = [now - DAY, now - timedelta(minutes=61), now - timedelta(minutes=59), now - timedelta(minutes=1)]
    await make.add(*map(snapshot, reversed(instants)))
    expected_by_range = {
        None: instants[2:],
        (instants[1], instants[3]): instants[1:3],
        (now - DAY, now): instants,
        (None, instants[2]): instants[1:2],
        (instants[1], None): instants[1:],
    }

    for range_, expected in expected_by_range.items():
        ends = None if range_ is None else dict(zip(("from", "to"), map(graphql_datetime, range_), strict=True))
        answer = await ask(HISTORY, by=admin, range=ends)
        assert [snapshot["takenAt"] for snapshot in answer.root_field["history"]] == [
            graphql_datetime(instant) for instant in expected
        ]
    for wrong in (
        {"from": graphql_datetime(now - DAY - timedelta(seconds=1)), "to": graphql_datetime(now)},
        {"from": graphql_datetime(now + DAY)},
    ):
        assert (await ask(HISTORY, by=admin, range=wrong)).error_codes == ["BAD_REQUEST"]


def graphql_datetime(instant: datetime | None) -> str | None:
    """An instant as GraphQL writes it."""
    return None if instant is None else f"{instant.isoformat()}Z"


async def test_tables_that_grew_or_shrank_much_give_an_alert(ask: Ask, make: Builders) -> None:
    admin = platform_admin(await make.user())
    moved = {
        "services": (10_000, 20_000, 20_000),  # no latest change
        "users": (0, 2_000, 1_899),  # by 101 rows and more than 5 %
        "jobs": (0, 2_000, 1_900),  # by only 100 rows
        "templates": (0, 10_000, 10_500),  # by only 5 %
        "api_keys": (0, 10_000, 10_501),
        "notifications": (0, 10_000, 5_000),  # old messages are deleted
        "ft_billing": (0, 0, 101),
    }
    for table, counts in moved.items():
        for age, count in zip((2, 1, 0), counts, strict=True):
            await make.add(TableCount(table_name=table, taken_at=NOON - age * DAY, row_count=count))
    await make.add(TableCount(table_name="organisation", taken_at=NOON, row_count=500))

    at = "2026-03-01T12:00:00Z"
    assert (await ask(ALERTS, by=admin)).root_field["rowCountAlerts"] == [
        {"table": "api_keys", "previousCount": 10_000, "currentCount": 10_501, "takenAt": at},
        {"table": "ft_billing", "previousCount": 0, "currentCount": 101, "takenAt": at},
        {"table": "users", "previousCount": 2_000, "currentCount": 1_899, "takenAt": at},
    ]


async def test_only_platform_admins_read_the_health(ask: Ask, make: Builders, statements: Statements) -> None:
    service = await make.service()
    await make.add(snapshot(utcnow()))
    actors = [user_actor(await make.member(service), service), api_key_actor(await make.api_key(service))]

    with statements(0):
        answers = [await ask(EVERYTHING, by=actor) for actor in actors]
        anonymous = await ask(EVERYTHING)

    assert [(answer.data, answer.error_codes) for answer in answers] == [({"systemHealth": None}, ["FORBIDDEN"])] * 2
    assert (anonymous.data, anonymous.error_codes) == ({"systemHealth": None}, ["UNAUTHENTICATED"])


async def test_a_job_with_every_field_takes_three_statements(ask: Ask, make: Builders, statements: Statements) -> None:
    admin = platform_admin(await make.user())
    await make.add(snapshot(utcnow()), snapshot(utcnow() - timedelta(minutes=1)))

    with statements(3):
        answer = await ask(EVERYTHING, by=admin)

    assert len(answer.root_field["history"]) == 2
