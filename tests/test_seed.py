"""Demo data: the same each time, in Notify's shape, with nobody in it who exists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import create_async_engine

from graphql_api import auth, crypto, london, migrate, models, seed
from graphql_api.content import messages, placeholders
from graphql_api.crypto import Signer
from graphql_api.database import Database
from graphql_api.domain import job_runs, recipient_sources
from graphql_api.domain.notification_rows import job_notification_id
from graphql_api.enums import Channel, KeyType
from graphql_api.seed.worlds import Sizes
from graphql_api.settings import Settings, asyncpg_url
from graphql_api.storage import Store
from tests.models.databases import scratch

NOW = datetime(2026, 10, 27, 14, 30)  # noqa: DTZ001 - naive UTC; the day after next from the one of 25 hours
SIGNER = Signer((b"seed-key",), b"seed-salt")
SIZE = 3_000
CHANNELS = {channel.value: channel for channel in Channel}

Clone = Callable[[], Awaitable[str]]


@pytest_asyncio.fixture(scope="module")
async def clone(postgres_url: str) -> AsyncIterator[Clone]:
    """Makes databases with tables and nothing in them, each for itself."""
    administrator = await asyncpg.connect(postgres_url)
    names = [f"seed_{uuid4().hex[:12]}"]

    def url(name: str) -> str:
        return (
            asyncpg_url(postgres_url).set(database=name, drivername="postgresql").render_as_string(hide_password=False)
        )

    await administrator.execute(f"CREATE DATABASE {names[0]}")
    await migrate.upgrade(url(names[0]))

    async def made() -> str:
        names.append(f"seed_{uuid4().hex[:12]}")
        await administrator.execute(f"CREATE DATABASE {names[-1]} TEMPLATE {names[0]}")
        return url(names[-1])

    yield made
    for name in names:
        await administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await administrator.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Where the seeded database's lists lie."""
    return _store(tmp_path_factory.mktemp("store"))


@pytest_asyncio.fixture(scope="module")
async def url(clone: Clone, files: Store) -> str:
    """A seeded database."""
    url = await clone()
    await seed.seed(url, signer=SIGNER, notifications=SIZE, now=NOW, store=files)
    return url


@pytest_asyncio.fixture(scope="module")
async def demo(url: str) -> seed.Demo:
    """What it tells of itself."""
    return await seed.seed(url, signer=SIGNER)


@pytest_asyncio.fixture
async def db(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to it, for looking."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


def _store(folder: Path) -> Store:
    return Store.connect(Settings.model_validate({"data_dir": folder}))


async def _everything(url: str) -> dict[str, str]:
    """A digest of every table, and of every index."""
    connection = await asyncpg.connect(url)
    found = {}
    # When a row was written is not the row's: the log of that is its own each time.
    for table in models.Model.metadata.sorted_tables:
        if table.name == "change_log":
            continue
        found[table.name] = await connection.fetchval(
            f"SELECT coalesce(md5(string_agg(row::text, '|' ORDER BY row::text)), '') FROM {table.name} AS row"
        )
    found["indexes"] = await connection.fetchval(
        "SELECT string_agg(indexdef, ';' ORDER BY indexdef) FROM pg_indexes WHERE schemaname = 'public'"
    )
    await connection.close()
    return found


async def test_two_runs_are_equal_however_the_rows_are_written(
    clone: Clone, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(seed, "MANY", 0)
    other = await clone()
    await seed.seed(other, signer=SIGNER, notifications=SIZE, now=NOW, store=_store(tmp_path))

    assert await _everything(other) == await _everything(url)


async def test_there_are_as_many_messages_as_were_asked_for(db: asyncpg.Connection) -> None:
    counts = await db.fetchrow(
        "SELECT (SELECT count(*) FROM notifications), (SELECT count(*) FROM notification_history)"
    )

    assert tuple(counts) == (SIZE, SIZE // 2)


async def test_sizes_follow_the_number_of_messages() -> None:
    small, usual, large = (Sizes.of(count) for count in (500, 20_000, 500_000))

    assert (small.organisations, small.services, small.users, small.history) == (8, 8, 40, 250)
    assert (usual.organisations, usual.services, usual.users, usual.templates) == (20, 45, 225, 450)
    assert (large.organisations, large.services, large.users, large.templates, large.jobs) == (
        42,
        200,
        1_000,
        2_000,
        5_000,
    )


async def test_services_are_live_in_trial_and_archived_and_the_tail_is_long(db: asyncpg.Connection) -> None:
    states = await db.fetchrow(
        """
        SELECT count(*) FILTER (WHERE active AND NOT restricted), count(*) FILTER (WHERE active AND restricted),
            count(*) FILTER (WHERE NOT active)
        FROM services
        """
    )
    shares = [
        row["share"]
        for row in await db.fetch(
            """
            SELECT count(*)::float / sum(count(*)) OVER () AS share
            FROM notifications GROUP BY service_id ORDER BY 1 DESC
            """
        )
    ]

    assert tuple(states) == (12, 6, 1)
    assert 0.25 < shares[0] < 0.5  # one service sends a third of all messages
    assert shares[-1] < 0.01


async def test_the_archived_service_has_neither_name_nor_keys_nor_templates(db: asyncpg.Connection) -> None:
    service = await db.fetchrow("SELECT * FROM services WHERE NOT active")
    still = await db.fetchval(
        """
        SELECT (SELECT count(*) FROM api_keys WHERE service_id = $1 AND expiry_date IS NULL)
            + (SELECT count(*) FROM templates WHERE service_id = $1 AND NOT archived)
            + (SELECT count(*) FROM notifications WHERE service_id = $1)
        """,
        service["id"],
    )

    assert service["name"].startswith("_archived_2026-10-15-")
    assert still == 0


@pytest.mark.parametrize("table", ["services", "templates", "api_keys"])
async def test_the_history_holds_every_version_and_the_last_is_the_present_one(
    db: asyncpg.Connection, table: str
) -> None:
    history = {"services": "services_history"}.get(table, f"{table}_history")
    wrong = await db.fetchval(
        f"""
        SELECT count(*) FROM {table} AS now
        WHERE version <> (SELECT count(*) FROM {history} AS past WHERE past.id = now.id)
            OR NOT EXISTS (
                SELECT FROM {history} AS past WHERE past.id = now.id AND past.version = now.version
                    AND past.name = now.name AND past.updated_at IS NOT DISTINCT FROM now.updated_at
            )
        """
    )

    assert wrong == 0
    assert await db.fetchval(f"SELECT max(version) > 1 FROM {table}")


async def test_nobody_in_it_exists(db: asyncpg.Connection) -> None:
    texts = await db.fetch("SELECT DISTINCT normalised_to FROM notifications WHERE notification_type = 'sms'")
    mobiles = await db.fetch("SELECT DISTINCT mobile_number FROM users WHERE mobile_number IS NOT NULL")
    emails = await db.fetch(
        """
        SELECT DISTINCT split_part(address, '@', 2) AS domain FROM (
            SELECT email_address AS address FROM users
            UNION ALL SELECT normalised_to FROM notifications
                WHERE notification_type = 'email' AND notification_status <> 'validation-failed'
            UNION ALL SELECT email_address FROM service_email_reply_to
        ) AS one
        """
    )

    assert all(re.fullmatch(r"447700900\d{3}|07700900", row["normalised_to"]) for row in texts)
    assert all(re.fullmatch(r"\+447700900\d{3}", row["mobile_number"]) for row in mobiles)
    assert all(re.search(r"(\.example|^example\.(com|org|net))$", row["domain"]) for row in emails)


async def test_every_template_can_be_saved(db: asyncpg.Connection) -> None:
    rows = await db.fetch("SELECT template_type, name, subject, content FROM templates_history")
    wrong = [
        row["name"]
        for row in rows
        if messages.check_template(CHANNELS[row["template_type"]], row["name"], row["subject"], row["content"])
    ]

    assert wrong == []
    assert {row["template_type"] for row in rows} == {"sms", "email", "letter"}


async def test_every_message_has_its_values_and_costs_what_it_should(db: asyncpg.Connection) -> None:
    rows = await db.fetch(
        """
        SELECT message.*, template.content, template.subject, services.name AS service, services.prefix_sms
        FROM notifications AS message
        JOIN templates_history AS template ON template.id = template_id AND template.version = template_version
        JOIN services ON services.id = message.service_id
        """
    )
    wrong = []
    for row in rows:
        channel = CHANNELS[row["notification_type"]]
        prefix = row["service"] if row["prefix_sms"] else None
        template = messages.Template(channel, subject=row["subject"], body=row["content"], prefix=prefix)
        values = {placeholders.normalise(key): value for key, value in SIGNER.unsign(row["_personalisation"]).items()}
        inspection = template.inspect(values)
        unsent = row["notification_status"] in {"created", "validation-failed"} or row["key_type"] == "test"
        if inspection.problems or (
            inspection.sms and row["billable_units"] != (0 if unsent else inspection.sms.fragment_count)
        ):
            wrong.append(row["id"])

    assert len(rows) == SIZE
    assert wrong == []
    assert any(row["billable_units"] > 1 for row in rows)


async def test_messages_are_kept_for_their_retention_and_no_longer(db: asyncpg.Connection) -> None:
    wrong = await db.fetchrow(
        """
        WITH keeping AS (
            SELECT id, timezone('UTC', timezone('Europe/London', $1::timestamp - make_interval(days => coalesce(
                (SELECT min(days_of_retention) FROM service_data_retention WHERE service_id = services.id), 7
            )))) AS since FROM services
        )
        SELECT
            (SELECT count(*) FROM notifications JOIN keeping ON keeping.id = service_id WHERE created_at < since),
            (
                SELECT count(*) FROM notification_history JOIN keeping ON keeping.id = service_id
                WHERE created_at >= since
            ),
            (SELECT count(*) FROM notifications WHERE greatest(created_at, sent_at, updated_at) > $2),
            (SELECT count(*) FROM notification_history WHERE key_type = 'test')
        """,
        datetime(2026, 10, 27),  # noqa: DTZ001 - London's midnight
        NOW,
    )

    assert tuple(wrong) == (0, 0, 0, 0)


async def test_jobs_that_are_done_have_a_message_for_each_row(db: asyncpg.Connection) -> None:
    jobs = await db.fetch(
        """
        SELECT jobs.id, job_status, notification_count, count(message.id) AS made,
            array_agg(message.job_row_number ORDER BY message.job_row_number) AS rows
        FROM jobs LEFT JOIN notifications_all_time_view AS message ON message.job_id = jobs.id GROUP BY jobs.id
        """
    )
    done = [job for job in jobs if job["job_status"] == "finished all notifications created"]

    assert all(job["rows"] == list(range(job["notification_count"])) for job in done)
    assert Counter(job["job_status"] for job in jobs if job not in done) == {
        "scheduled": 2,
        "cancelled": 1,
        "sending limits exceeded": 1,
        "error": 1,
        "in progress": 1,
    }
    assert [job["made"] for job in jobs if job["job_status"] == "in progress"] == [25]


async def test_a_worker_can_go_on_with_the_jobs_that_are_not_finished(
    db: asyncpg.Connection, demo: seed.Demo, files: Store
) -> None:
    runs = await db.fetch(
        "SELECT job_id, next_row, job_status, notification_count FROM job_runs JOIN jobs ON jobs.id = job_id"
    )
    for run in runs:
        list_of = (await files.get(job_runs.list_path(demo.service_id, run["job_id"]))).decode().splitlines()
        assert list_of[0] == "phone number,name,day"
        assert len(list_of) == run["notification_count"] + 1
    (running,) = (run for run in runs if run["job_status"] == "in progress")
    made = {
        row["id"]: row["to"]
        for row in await db.fetch('SELECT id, "to" FROM notifications WHERE job_id = $1', running["job_id"])
    }
    lines = (await files.get(job_runs.list_path(demo.service_id, running["job_id"]))).decode().splitlines()[1:]

    assert made == {
        job_notification_id(running["job_id"], row): lines[row].split(",")[0] for row in range(running["next_row"])
    }
    contacts = await db.fetchval("SELECT id FROM service_contact_list")
    kept = await files.get(recipient_sources.contact_list_path(demo.service_id, contacts))
    assert len(kept.decode().splitlines()) == 26


async def test_status_facts_are_the_messages_of_the_days_before_today(db: asyncpg.Connection) -> None:
    counted: Counter[tuple[Any, ...]] = Counter()
    for row in await db.fetch("SELECT * FROM notifications_all_time_view WHERE key_type <> 'test'"):
        day = london.day_of(row["created_at"])
        if day < london.day_of(NOW):
            job_id = row["job_id"] or UUID(int=0)
            kind = (row["notification_type"], row["key_type"], row["notification_status"])
            counted[day, row["template_id"], row["service_id"], job_id, *kind] += 1
    facts = {
        tuple(row)[:-1]: row["notification_count"]
        for row in await db.fetch(
            """
            SELECT bst_date, template_id, service_id, job_id, notification_type, key_type, notification_status,
                notification_count
            FROM ft_notification_status
            """
        )
    }

    assert facts == counted


async def test_billing_facts_are_the_billable_messages_at_the_rates_of_their_days(db: asyncpg.Connection) -> None:
    sent: Counter[tuple[Any, ...]] = Counter()
    units: Counter[tuple[Any, ...]] = Counter()
    text_rates = await db.fetch("SELECT valid_from, rate FROM rates ORDER BY valid_from")
    letter_rates = await db.fetch("SELECT * FROM letter_rates WHERE crown")
    statuses = {
        "sms": {"sending", "sent", "delivered", "pending", "temporary-failure", "permanent-failure"},
        "email": {"sending", "delivered", "temporary-failure", "permanent-failure"},
        "letter": {"sending", "delivered", "returned-letter"},
    }
    for row in await db.fetch("SELECT * FROM notifications_all_time_view WHERE key_type <> 'test'"):
        channel, day = row["notification_type"], london.day_of(row["created_at"])
        if day >= london.day_of(NOW) or row["notification_status"] not in statuses[channel]:
            continue
        midnight, count = london.midnight(day), row["billable_units"]
        if channel == "sms":
            rate = [one["rate"] for one in text_rates if one["valid_from"] <= midnight][-1]
            kind = (row["sent_by"], 1, rate, "none")
        elif channel == "email":
            count = 0
            kind = ("ses", 0, Decimal(0), "none")
        else:
            (rate,) = (
                one["rate"]
                for one in letter_rates
                if one["post_class"] == row["postage"]
                and one["sheet_count"] == count
                and one["start_date"] <= midnight
                and (one["end_date"] is None or midnight < one["end_date"])
            )
            kind = ("dvla", 1, rate, row["postage"])
        key = (day, row["template_id"], row["service_id"], channel, *kind)
        sent[key] += 1
        units[key] += count
    facts = await db.fetch(
        """
        SELECT bst_date, template_id, service_id, notification_type, provider, rate_multiplier, rate, postage,
            notifications_sent, billable_units
        FROM ft_billing
        """
    )

    assert {tuple(row)[:8]: row["notifications_sent"] for row in facts} == sent
    assert {tuple(row)[:8]: row["billable_units"] for row in facts if row["billable_units"]} == +units


async def test_the_demo_service_is_live_and_its_last_messages_are_told_in_advance(
    db: asyncpg.Connection, demo: seed.Demo
) -> None:
    service = await db.fetchrow("SELECT * FROM services WHERE id = $1", demo.service_id)
    newest = [
        row["notification_status"]
        for row in await db.fetch(
            """
            SELECT notification_status FROM notifications WHERE service_id = $1 AND key_type = 'normal'
            ORDER BY created_at DESC, id DESC LIMIT 24
            """,
            demo.service_id,
        )
    ]

    assert (service["restricted"], service["active"], service["sms_message_limit"]) == (False, True, 250_000)
    assert Counter(newest[:10]) == {"delivered": 8, "permanent-failure": 1, "temporary-failure": 1}
    assert Counter(status == "delivered" for status in newest) == {True: 12, False: 12}


async def test_the_demo_templates_need_a_name_and_a_day(db: asyncpg.Connection, demo: seed.Demo) -> None:
    for channel, template_id in demo.template_ids.items():
        row = await db.fetchrow("SELECT * FROM templates WHERE id = $1", template_id)
        template = messages.Template(CHANNELS[channel], subject=row["subject"], body=row["content"])

        assert (row["service_id"], row["template_type"], row["version"]) == (demo.service_id, channel, 3)
        assert sorted(template.placeholders) == ["day", "name"]


async def test_its_people_sign_in_with_one_password_and_may_do_what_their_names_say(
    db: asyncpg.Connection, demo: seed.Demo
) -> None:
    allowed = {}
    for role, user_id in demo.user_ids.items():
        user = await db.fetchrow("SELECT * FROM users WHERE id = $1", user_id)
        permissions = await db.fetch(
            "SELECT permission FROM permissions WHERE user_id = $1 AND service_id = $2", user_id, demo.service_id
        )
        allowed[role] = len(permissions)
        assert user["email_address"] == demo.email_addresses[role]
        assert (user["auth_type"], user["state"]) == ("sms_auth", "active")
        assert user["platform_admin"] == (role == "platform_admin")
        assert await crypto.verify_password(demo.password, user["_password"])

    assert allowed == {"platform_admin": 0, "service_manager": 8, "service_viewer": 1}


async def test_its_key_speaks_for_the_service(url: str, demo: seed.Demo, settings: Settings) -> None:
    database = Database(create_async_engine(asyncpg_url(url)))
    actor = await auth.actor_of(demo.api_key, None, database=database, settings=settings, signer=SIGNER)
    await database.close()

    assert actor.services() == [demo.service_id]
    assert actor.key_type is KeyType.LIVE


async def test_a_second_run_leaves_everything_as_it_is(url: str, demo: seed.Demo) -> None:
    before = await _everything(url)

    again = await seed.seed(url, signer=SIGNER, notifications=10)

    assert again == demo
    assert not again.created
    assert await _everything(url) == before


async def test_other_secrets_are_told_apart(url: str) -> None:
    with pytest.raises(seed.Refused, match="with another SECRET_KEY"):
        await seed.seed(url, signer=Signer((b"other",), b"seed-salt"))


async def test_a_database_with_other_data_is_refused_unless_forced(clone: Clone) -> None:
    url = await clone()
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO organisation (id, name, active, created_at, can_approve_own_go_live_requests) "
        "VALUES (gen_random_uuid(), 'Somebody else', true, now(), false)"
    )
    with pytest.raises(seed.Refused, match="already holds other data"):
        await seed.seed(url, signer=SIGNER, notifications=100)
    refused = await connection.fetchval("SELECT count(*) FROM services")
    made = await seed.seed(url, signer=SIGNER, notifications=100, history=0, force=True)
    counts = await connection.fetchrow(
        "SELECT (SELECT count(*) FROM organisation), (SELECT count(*) FROM notifications)"
    )
    await connection.close()

    assert refused == 0
    assert made.created
    assert tuple(counts) == (9, 100)


async def test_a_database_without_tables_is_refused(postgres_url: str) -> None:
    async with scratch(postgres_url) as url:
        with pytest.raises(seed.Refused, match="migrate it first"):
            await seed.seed(url, signer=SIGNER)


@pytest.mark.parametrize("notifications", [0, 1, 30, 500])
async def test_small_worlds_are_whole_too(clone: Clone, notifications: int) -> None:
    url = await clone()
    told: list[tuple[int, int]] = []

    demo = await seed.seed(
        url, signer=SIGNER, notifications=notifications, progress=lambda _, done, total: told.append((done, total))
    )

    connection = await asyncpg.connect(url)
    running = await connection.fetchval("SELECT count(*) FROM jobs WHERE job_status = 'in progress'")
    newest = await connection.fetchval("SELECT max(created_at) FROM notifications")
    groups = await connection.fetchrow(
        """
        SELECT count(*) FILTER (WHERE notification_status IN ('delivered', 'sent')),
            count(*) FILTER (WHERE notification_status LIKE '%-%')
        FROM notifications WHERE service_id = $1
        """,
        demo.service_id,
    )
    await connection.close()
    total = notifications + notifications // 2
    assert told[-1] == (total, total)
    assert running == 0
    if notifications == 500:
        first = london.midnight(london.today())
        assert first < newest < first + timedelta(hours=1)
        assert min(groups) >= 10
