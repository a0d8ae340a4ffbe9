"""A night's work: done in parts, killed in the middle, done again; nothing is lost, and nothing counts twice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from graphql_api import models
from graphql_api.billing import london_days
from graphql_api.domain import job_runs, retention
from graphql_api.enums import Channel
from graphql_api.worker import schedule
from tests.worker.harnesses import SYSTEM, Rig

TODAY = london_days.today()
LONG_AGO = london_days.midnight(TODAY - timedelta(days=20))
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@asynccontextmanager
async def nightly(rig: Rig) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that does the night's work, killed with SIGKILL at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "graphql_api", "work", "--nightly"),
        env=rig.environment(),
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def places(rig: Rig, template: models.Template) -> tuple[int, int]:
    """How many of a template's messages are live, and how many in the history."""
    live = await rig.value("SELECT count(*) FROM notifications WHERE template_id = :id", id=template.id)
    kept = await rig.value("SELECT count(*) FROM notification_history WHERE template_id = :id", id=template.id)
    return live, kept


async def counted(rig: Rig, template: models.Template) -> dict[int, tuple[str, int]]:
    """What was counted of a template's messages, by how many days ago."""
    found = await rig.rows(
        "SELECT bst_date, notification_status, notification_count FROM ft_notification_status WHERE template_id = :id",
        id=template.id,
    )
    return {(TODAY - row["bst_date"]).days: (row["notification_status"], row["notification_count"]) for row in found}


async def test_messages_move_in_batches(rig: Rig) -> None:
    template = await rig.make.template(await rig.make.service())
    for number in range(5):
        await rig.make.notification(template, created_at=LONG_AGO, key_type="test" if number == 2 else "normal")
    past = retention.Due(template.service_id, "sms", london_days.midnight(TODAY))
    moved: list[int] = []
    while not moved or moved[-1]:
        async with rig.database.transaction() as tx:
            moved.append(await retention.move(tx, SYSTEM, past, batch=2))

    assert moved == [2, 2, 1, 0]
    assert await places(rig, template) == (0, 4)


async def test_a_message_that_somebody_is_changing_waits_for_another_night(rig: Rig) -> None:
    template = await rig.make.template(await rig.make.service())
    held = await rig.make.notification(template, created_at=LONG_AGO)
    await rig.make.notification(template, created_at=LONG_AGO)
    async with rig.database.transaction() as tx:
        await tx.execute(text("SELECT FROM notifications WHERE id = :id FOR UPDATE"), {"id": held.id})
        await schedule.move_past_retention(rig.work())
        assert await places(rig, template) == (1, 1)

    await schedule.move_past_retention(rig.work())
    assert await places(rig, template) == (0, 2)


async def test_a_message_that_was_moved_already_stays_in_the_history_as_it_is(rig: Rig) -> None:
    template = await rig.make.template(await rig.make.service())
    message = await rig.make.notification(template, created_at=LONG_AGO, client_reference="new")
    await rig.make.erased(template, id=message.id, created_at=LONG_AGO, client_reference="old")

    await schedule.move_past_retention(rig.work())

    assert await places(rig, template) == (0, 1)
    kept = "SELECT client_reference FROM notification_history WHERE id = :id"
    assert await rig.value(kept, id=message.id) == "old"


async def test_a_night_that_is_killed_while_messages_move_has_moved_whole_batches_or_none(rig: Rig) -> None:
    template = await rig.make.template(await rig.make.service())
    for _ in range(3):
        await rig.make.notification(template, created_at=LONG_AGO)

    # Whoever writes the history needs the service's row: the move stops between its delete and its end.
    async with rig.database.transaction() as tx:
        lock = "SELECT FROM services WHERE id = :id FOR UPDATE"
        await tx.execute(text(lock), {"id": template.service_id})
        async with nightly(rig) as process:
            await rig.until(lambda: waiting(rig))
            assert process.returncode is None
            assert await places(rig, template) == (3, 0)

    await rig.until(lambda: nobody_waits(rig))
    assert await places(rig, template) == (3, 0)
    async with nightly(rig) as process:
        assert await asyncio.wait_for(process.wait(), 60) == 0
    assert await places(rig, template) == (0, 3)


async def test_a_night_that_is_killed_while_it_counts_goes_on_from_the_day_it_was_at(rig: Rig) -> None:
    template = await rig.make.template(await rig.make.service())
    for days in (1, 2, 3, 4):
        for _ in range(days):
            await rig.make.notification(template, created_at=london_days.midnight(TODAY - timedelta(days=days)))
    await schedule.count_statuses(rig.work())
    first = {days: ("delivered", days) for days in (1, 2, 3, 4)}
    assert await counted(rig, template) == first
    await rig.execute(
        "UPDATE notifications SET notification_status = 'permanent-failure' WHERE template_id = :id", id=template.id
    )
    second = {days: ("permanent-failure", days) for days in (1, 2, 3, 4)}

    async with rig.database.transaction() as tx:
        lock = "SELECT FROM ft_notification_status WHERE template_id = :id AND bst_date = :day FOR UPDATE"
        await tx.execute(text(lock), {"id": template.id, "day": TODAY - timedelta(days=2)})
        async with nightly(rig):
            await rig.until(lambda: waiting(rig))
            assert await counted(rig, template) == second | {1: first[1], 2: first[2]}

    await rig.until(lambda: nobody_waits(rig))
    assert await counted(rig, template) == second | {1: first[1], 2: first[2]}
    async with nightly(rig) as process:
        assert await asyncio.wait_for(process.wait(), 60) == 0
    assert await counted(rig, template) == second


async def test_two_nights_side_by_side_count_once(rig: Rig) -> None:
    template = await rig.make.template(await rig.make.service())
    for days in (1, 2, 3, 4):
        await rig.make.notification(template, created_at=london_days.midnight(TODAY - timedelta(days=days)))

    await asyncio.gather(*(schedule.count_statuses(rig.work()) for _ in range(3)))
    await asyncio.gather(*(schedule.count_bills(rig.work()) for _ in range(3)))

    assert await counted(rig, template) == dict.fromkeys((1, 2, 3, 4), ("delivered", 1))
    billed = "SELECT sum(notifications_sent) FROM ft_billing WHERE template_id = :id"
    assert await rig.value(billed, id=template.id) == 4


async def test_whoever_reads_while_messages_move_finds_each_of_them_once(rig: Rig) -> None:
    template = await rig.make.template(await rig.make.service())
    for _ in range(40):
        await rig.make.notification(template, created_at=LONG_AGO)
    past = retention.Due(template.service_id, "sms", london_days.midnight(TODAY))
    moving = True
    seen: list[Any] = []

    async def read() -> None:
        count = "SELECT count(*) FROM notifications_all_time_view WHERE template_id = :id"
        while moving:
            seen.append(await rig.value(count, id=template.id))

    reading = asyncio.create_task(read())
    for _ in range(40):
        async with rig.database.transaction() as tx:
            await retention.move(tx, SYSTEM, past, batch=1)
    moving = False
    await reading

    assert set(seen) == {40}
    assert await places(rig, template) == (0, 40)


async def test_jobs_past_retention_lose_their_lists_and_keep_their_counts(rig: Rig) -> None:
    service = await rig.make.service()
    await rig.make.add(models.DataRetention(service_id=service.id, notification_type="email", days_of_retention=30))
    sms, email = await rig.make.template(service), await rig.make.template(service, Channel.EMAIL)
    young = london_days.midnight(TODAY - timedelta(days=7))
    jobs = {
        "old": await rig.make.job(sms, created_at=LONG_AGO),
        "kept longer": await rig.make.job(email, created_at=LONG_AGO),
        "young": await rig.make.job(sms, created_at=young),
        "of the day before": await rig.make.job(sms, created_at=young - timedelta(seconds=1)),
        "began late": await rig.make.job(sms, created_at=LONG_AGO, scheduled_for=young),
        "unfinished": await rig.make.job(sms, created_at=LONG_AGO, job_status="error"),
        "cancelled": await rig.make.job(sms, created_at=LONG_AGO, job_status="cancelled"),
    }
    paths = {name: job_runs.list_path(service.id, job.id) for name, job in jobs.items()}
    for name, path in paths.items():
        # What was killed between the list and its job is done again.
        if name != "cancelled":
            await rig.store.put(path, b"phone number\n")

    await schedule.archive_old_jobs(rig.work())

    archived = await rig.rows("SELECT id FROM jobs WHERE service_id = :id AND archived", id=service.id)
    gone = {"old", "of the day before", "cancelled"}
    assert {row["id"] for row in archived} == {jobs[name].id for name in gone}
    assert {name for name, path in paths.items() if not await rig.store.exists(path)} == gone


async def waiting(rig: Rig) -> bool:
    return bool(await rig.value(WAITING))


async def nobody_waits(rig: Rig) -> bool:
    return not await rig.value(WAITING)
