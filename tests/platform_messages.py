"""Queued platform messages, decrypted as the worker does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import text

from graphql_api.domain import platform_messages
from graphql_api.tasks import Task

if TYPE_CHECKING:
    from graphql_api.auth.crypto import Signer
    from graphql_api.database.database import Database
    from graphql_api.gateways import OutgoingMessage


async def queued_messages(database: Database, signer: Signer) -> list[OutgoingMessage]:
    """Every queued platform message, in order."""
    async with database.read_connection() as connection:
        payloads = await connection.scalars(
            text("SELECT payload FROM pgqueuer WHERE entrypoint = :task ORDER BY id"), {"task": Task.PLATFORM_MESSAGE}
        )
        return [platform_messages.decode_payload(json.loads(payload), signer) for payload in payloads]
