"""The benchmark's database: half a million messages on a PostgreSQL of its own, and the ids in requests."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg
from pydantic import SecretStr

from graphql_api import migrate, models, postgres, seed
from graphql_api.auth import tokens
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import sessions
from graphql_api.settings import Settings
from loaders import notifications
from loaders.core.paging import encode_cursor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEFAULT_MESSAGE_COUNT = 500_000
DEEP_PAGE_SIZE = 10
"""Messages on a page of the deep list: page 10,000 begins after 99,990 messages."""
DEEP_PAGE_NUMBERS = (1, 1_000, 10_000)
LIST_PAGE_SIZE = 100
LIST_PAGE_COUNT = 10
TREE_SERVICE_COUNT = 50
TREE_MEMBER_COUNT = 5
TREE_TEMPLATE_COUNT = 10

POSTGRES_SETTINGS = {
    "shared_buffers": "512MB",  # holds all data, so that no disk is measured
    "random_page_cost": "1.1",  # as on any solid-state disk
    "jit": "off",
    "max_connections": "60",
    "max_wal_size": "4GB",
    "shared_preload_libraries": "pg_stat_statements",
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """Ids in the requests, and the token for this server."""

    service_id: str
    """The service with the most messages of those with 20 templates and 20 jobs."""
    organisation_id: str
    """An organisation with 50 services."""
    token: str
    """Session token of a platform admin."""
    cursor_positions: dict[int, tuple[str, str]]
    """Creation time and id of the service's message at an offset, latest first, by the number of messages up to it."""
    message_count: int
    """Number of messages of the service."""

    def cursor(self, offset: int) -> str | None:
        """This server's cursor after so many messages; None for 0."""
        if not offset:
            return None
        return encode_cursor(list(self.cursor_positions[offset]), notifications.of_service.order)


@contextmanager
def running(folder: Path, messages: int) -> Iterator[tuple[postgres.PostgresServer, dict[str, str], Parameters]]:
    """Run a PostgreSQL with the data, which are created on the first run; it inherits the cores of this process.

    Yields it, the environment variables of this server, and the parameters.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with postgres.start(folder / f"postgres-{messages}", durable=False, settings=POSTGRES_SETTINGS) as server:
        environment = {
            **_secrets(folder),
            "DATABASE_URL": server.url(),
            "ENVIRONMENT": "production",
            "POINTS_PER_MINUTE": "0",
        }
        yield server, environment, asyncio.run(_prepare(environment, messages))


def _secrets(folder: Path) -> dict[str, str]:
    path = folder / "secrets.json"
    if not path.exists():
        generated = {name: secrets.token_urlsafe(32) for name in ("SECRET_KEY", "DANGEROUS_SALT")}
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(generated, file)
    stored: dict[str, str] = json.loads(path.read_text())
    return stored


async def _prepare(environment: dict[str, str], messages: int) -> Parameters:
    url = environment["DATABASE_URL"]
    await migrate.upgrade(url)
    settings = Settings(
        database_url=SecretStr(url),
        secret_key=[SecretStr(environment["SECRET_KEY"])],
        dangerous_salt=SecretStr(environment["DANGEROUS_SALT"]),
    )
    signer = Signer(tuple(settings.secret_keys), settings.salt)
    print(f"Data: {messages:,} messages (made on the first run, which takes a minute or two).", flush=True)
    demo = await seed.seed(url, signer=signer, notifications=messages)
    connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
    try:
        if not await connection.fetchval("SELECT to_regnamespace('benchmark') IS NOT NULL"):
            await _adapt_data(connection)
        parameters = await _read_parameters(connection)
    finally:
        await connection.close()
    return Parameters(token=await _create_session_token(settings, signer, demo), **parameters)


async def _adapt_data(connection: asyncpg.Connection) -> None:
    """Change the demo data for the scenarios, in one transaction with the schema that marks them as changed."""
    async with connection.transaction():
        await connection.execute(
            "CREATE SCHEMA benchmark"
        )  # not seen by PostGraphile, which serves all tables of a schema
        await connection.execute("CREATE EXTENSION pg_stat_statements SCHEMA benchmark")
        await connection.execute("UPDATE users SET state = 'active' WHERE state = 'pending'")
        await connection.execute(_FIFTY_SERVICES, TREE_SERVICE_COUNT, TREE_TEMPLATE_COUNT)
        await connection.execute(_FIVE_MEMBERS, TREE_SERVICE_COUNT, TREE_MEMBER_COUNT)
        await connection.execute(
            _CREATORS_AND_JOBS, await _busiest_service_id(connection), LIST_PAGE_SIZE * LIST_PAGE_COUNT
        )
    await connection.execute("VACUUM ANALYZE")


_LARGEST_ORGANISATION = """
    SELECT organisation_id FROM services WHERE organisation_id IS NOT NULL
    GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
"""
_FIFTY_SERVICES = f"""
    WITH largest AS ({_LARGEST_ORGANISATION}), chosen AS (
        SELECT id FROM services
        WHERE active
        ORDER BY $2 <= (SELECT count(*) FROM templates WHERE service_id = services.id AND NOT archived AND NOT hidden)
            DESC, created_at, id
        LIMIT $1
    )
    UPDATE services SET organisation_id = CASE WHEN id IN (SELECT id FROM chosen) THEN largest.organisation_id END
    FROM largest
    WHERE id IN (SELECT id FROM chosen) OR services.organisation_id = largest.organisation_id
"""  # noqa: S608 - texts of this module
_FIVE_MEMBERS = f"""
    INSERT INTO user_to_service (user_id, service_id)
    SELECT more.id, services.id
    FROM services
    CROSS JOIN LATERAL (
        SELECT users.id FROM users
        WHERE NOT EXISTS (SELECT FROM user_to_service WHERE user_id = users.id AND service_id = services.id)
        ORDER BY md5(users.id::text || services.id::text)
        LIMIT greatest(0, $2 - (SELECT count(*) FROM user_to_service WHERE service_id = services.id))
    ) AS more
    WHERE services.organisation_id = ({_LARGEST_ORGANISATION}) AND $1 > 0
"""  # noqa: S608 - texts of this module
_CREATORS_AND_JOBS = """
    WITH latest AS (
        SELECT id, row_number() OVER (ORDER BY created_at DESC, id DESC) AS number
        FROM notifications WHERE service_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2
    ), members AS (
        SELECT array_agg(user_id ORDER BY user_id) AS ids FROM user_to_service WHERE service_id = $1
    ), runs AS (
        SELECT array_agg(id) AS ids FROM (
            SELECT id FROM jobs WHERE service_id = $1 ORDER BY created_at DESC, id DESC LIMIT 20
        ) AS recent
    )
    UPDATE notifications
    SET created_by_id = members.ids[1 + number % cardinality(members.ids)],
        job_id = coalesce(job_id, runs.ids[1 + number % 20]),
        job_row_number = CASE WHEN job_id IS NULL THEN 1000000 + number ELSE job_row_number END
    FROM latest, members, runs
    WHERE notifications.id = latest.id
"""


async def _busiest_service_id(connection: asyncpg.Connection) -> Any:
    """The service with the most messages of those with 20 templates and 20 jobs."""
    return await connection.fetchval(
        """
        SELECT service_id FROM notifications
        WHERE service_id IN (
            SELECT service_id FROM templates WHERE NOT archived AND NOT hidden GROUP BY 1 HAVING count(*) >= 20
        ) AND service_id IN (SELECT service_id FROM jobs GROUP BY 1 HAVING count(*) >= 20)
        GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
        """
    )


async def _read_parameters(connection: asyncpg.Connection) -> dict[str, Any]:
    service_id = await _busiest_service_id(connection)
    offsets = {(depth - 1) * DEEP_PAGE_SIZE for depth in DEEP_PAGE_NUMBERS} | {
        LIST_PAGE_SIZE * page for page in range(LIST_PAGE_COUNT)
    }
    positions = {}
    for offset in sorted(offsets - {0}):
        row = await connection.fetchrow(
            """
            SELECT created_at, id FROM notifications WHERE service_id = $1
            ORDER BY created_at DESC, id DESC OFFSET $2 LIMIT 1
            """,
            service_id,
            offset - 1,
        )
        if row:
            positions[offset] = (row["created_at"].isoformat(), str(row["id"]))
    return {
        "service_id": str(service_id),
        "organisation_id": str(await connection.fetchval(_LARGEST_ORGANISATION)),
        "message_count": await connection.fetchval(
            "SELECT count(*) FROM notifications WHERE service_id = $1", service_id
        ),
        "cursor_positions": positions,
    }


async def _create_session_token(settings: Settings, signer: Signer, demo: seed.Demo) -> str:
    """A new session of the demo's platform admin."""
    database = Database.connect(settings)
    try:
        async with database.transaction() as tx:
            user = await tx.get_one(models.User, demo.user_ids["platform_admin"])
            session = await sessions.start(tx, user)
            return tokens.create_session_token(signer, user.id, session.id)
    finally:
        await database.close()
