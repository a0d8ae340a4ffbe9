"""The upper limit: one SQL statement per scenario, which returns JSON, behind a minimal ASGI application.

Its responses hold values as the database stores them; it does not authenticate.
"""

from __future__ import annotations

import gc
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Message = dict[str, Any]

_SCALARS = """
    n.id, n.notification_type AS channel, n.notification_status AS status, n.notification_status AS "statusGroup",
    n."to" AS recipient, n.client_reference AS reference, n.key_type AS "keyType", n.job_row_number AS "jobRowNumber",
    n.sent_by AS provider, n.created_at AS "createdAt", n.sent_at AS "sentAt", n.updated_at AS "updatedAt"
"""
_TEMPLATE = "CASE WHEN t.id IS NOT NULL THEN json_build_object('id', t.id, 'name', t.name) END AS template"
_CREATOR = """CASE WHEN u.id IS NOT NULL THEN json_build_object('id', u.id, 'name', u.name) END AS "createdBy" """
_JOB = "CASE WHEN j.id IS NOT NULL THEN json_build_object('id', j.id, 'fileName', j.original_file_name) END AS job"

POINT = """
    SELECT row_to_json(service) FROM (
        SELECT id, name, organisation_type AS "organisationType", rate_limit AS "rateLimitPerMinute", version, notes,
            created_at AS "createdAt", updated_at AS "updatedAt"
        FROM services WHERE id = $1
    ) AS service
"""
DASHBOARD = f"""
    SELECT json_build_object(
        'id', s.id, 'name', s.name,
        'templates', (
            SELECT json_agg(item) FROM (
                SELECT id, name, template_type AS channel, subject, version, updated_at AS "updatedAt"
                FROM templates WHERE service_id = s.id AND NOT hidden AND NOT archived
                ORDER BY name, template_type, id LIMIT 20
            ) AS item
        ),
        'notifications', (
            SELECT json_agg(item) FROM (
                SELECT {_SCALARS}, {_TEMPLATE}, {_JOB}, {_CREATOR}
                FROM notifications AS n
                LEFT JOIN templates AS t ON t.id = n.template_id
                LEFT JOIN jobs AS j ON j.id = n.job_id
                LEFT JOIN users AS u ON u.id = n.created_by_id
                WHERE n.service_id = s.id ORDER BY n.created_at DESC, n.id DESC LIMIT 50
            ) AS item
        ),
        'jobs', (
            SELECT json_agg(item) FROM (
                SELECT j.id, j.original_file_name AS "fileName", j.job_status AS status,
                    j.notification_count AS "recipientCount", j.created_at AS "createdAt",
                    j.scheduled_for AS "scheduledFor", j.processing_started AS "processingStartedAt",
                    j.processing_finished AS "processingFinishedAt", {_TEMPLATE}, {_CREATOR}
                FROM jobs AS j
                LEFT JOIN templates AS t ON t.id = j.template_id
                LEFT JOIN users AS u ON u.id = j.created_by_id
                WHERE j.service_id = s.id ORDER BY j.created_at DESC, j.id DESC LIMIT 20
            ) AS item
        )
    )
    FROM services AS s WHERE s.id = $1
"""  # noqa: S608 - texts of this module
TREE = """
    SELECT json_build_object(
        'id', o.id, 'name', o.name,
        'services', (
            SELECT json_agg(item) FROM (
                SELECT s.id, s.name,
                    (
                        SELECT json_agg(member) FROM (
                            SELECT u.id, u.name, u.email_address AS "emailAddress"
                            FROM user_to_service AS m JOIN users AS u ON u.id = m.user_id
                            WHERE m.service_id = s.id AND u.state = 'active' ORDER BY m.user_id LIMIT 5
                        ) AS member
                    ) AS members,
                    (
                        SELECT json_agg(template) FROM (
                            SELECT id, name, template_type AS channel, version, updated_at AS "updatedAt"
                            FROM templates WHERE service_id = s.id AND NOT hidden AND NOT archived
                            ORDER BY name, template_type, id LIMIT 10
                        ) AS template
                    ) AS templates
                FROM services AS s WHERE s.organisation_id = o.id ORDER BY s.name, s.id LIMIT 50
            ) AS item
        )
    )
    FROM organisation AS o WHERE o.id = $1
"""
_LIST = f"""
    SELECT json_agg(item) FROM (
        SELECT {_SCALARS}, {_TEMPLATE}, {_CREATOR}
        FROM notifications AS n
        LEFT JOIN templates AS t ON t.id = n.template_id
        LEFT JOIN users AS u ON u.id = n.created_by_id
        WHERE n.service_id = $1 ORDER BY n.created_at DESC, n.id DESC LIMIT SIZE
    ) AS item
"""  # noqa: S608 - texts of this module
_PAGE = """
    SELECT json_agg(item) FROM (
        SELECT COLUMNS FROM notifications AS n
        WHERE n.service_id = $1 CURSOR ORDER BY n.created_at DESC, n.id DESC LIMIT 10
    ) AS item
""".replace("COLUMNS", _SCALARS)
COUNT = """
    SELECT json_build_object(
        'totalCount', (SELECT count(*) FROM notifications WHERE service_id = $1),
        'nodes', (
            SELECT json_agg(item) FROM (
                SELECT id FROM notifications WHERE service_id = $1 ORDER BY created_at DESC, id DESC LIMIT 10
            ) AS item
        )
    )
"""
STATEMENTS = {
    "point": POINT,
    "dashboard": DASHBOARD,
    "tree": TREE,
    # The page size is part of the text: PostgreSQL plans badly for an unknown limit.
    **{f"list {size}": _LIST.replace("SIZE", str(size)) for size in (10, 100, 1_000)},
    "first page": _PAGE.replace("CURSOR", ""),
    "page": _PAGE.replace("CURSOR", "AND (n.created_at, n.id) < ($2, $3)"),
    "count": COUNT,
}


class Application:
    """Takes `{"statement": its name, "parameters": [...]}`, and responds with the statement's JSON."""

    pool: asyncpg.Pool

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
            return
        message = await receive()
        body: bytes = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        request = orjson.loads(body)
        values = request["parameters"]
        if len(values) > 1:  # a cursor: time and id
            values[1] = datetime.fromisoformat(values[1])
        content = await self.pool.fetchval(STATEMENTS[request["statement"]], *values)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _run_lifespan(
        self, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                size = int(os.environ["POOL_SIZE"])
                # A custom plan per page would take PostgreSQL as long as reading the page.
                settings = {"timezone": "UTC", "jit": "off", "plan_cache_mode": "force_generic_plan"}
                self.pool = await asyncpg.create_pool(
                    os.environ["DATABASE_URL"],
                    min_size=size,
                    max_size=size,
                    init=_set_json_codec,
                    reset=_skip_reset,
                    server_settings=settings,
                )
                gc.collect()
                gc.freeze()
                gc.set_threshold(50_000, 20, 50)
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.pool.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _set_json_codec(connection: asyncpg.Connection) -> None:
    """Leave JSON undecoded."""
    await connection.set_type_codec("json", schema="pg_catalog", format="binary", encoder=bytes, decoder=bytes)


async def _skip_reset(connection: asyncpg.Connection) -> None:
    """Do not reset connections: nothing is changed on them, and a reset is one more statement."""


app = Application()
