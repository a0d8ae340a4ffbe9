"""A sender of messages as the schema does it, that reads what was written."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from graphql_api import models
from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain import notifications, sending_limits
from graphql_api.errors import DomainError, Problems

DEFAULT_RECIPIENT = {"phone_number": "07700 900123"}


class NotificationSender:
    """Sends messages as the schema does, and reads what was written."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self.database = database
        self.signer = signer

    async def send(self, actor: Actor, template: models.Template, **arguments: Any) -> models.Notification:
        """Send one message, by default to Zoë."""
        values: dict[str, Any] = {
            "recipient": DEFAULT_RECIPIENT,
            "personalisation": {"name": "Zoë"},
            "service_id": template.service_id,
        } | arguments
        async with self.database.transaction() as tx:
            return await notifications.send(tx, actor, signer=self.signer, template_id=template.id, **values)

    async def send_many(self, actor: Actor, template: models.Template, *items: dict[str, Any], **arguments: Any) -> Any:
        """Send several messages in one call."""
        async with self.database.transaction() as tx:
            return await notifications.send_many(
                tx,
                actor,
                signer=self.signer,
                service_id=template.service_id,
                template_id=template.id,
                items=items,
                **arguments,
            )

    async def expect_errors(
        self, actor: Actor, template: models.Template, **arguments: Any
    ) -> list[tuple[str, tuple[str, ...]]]:
        """Codes and paths of the errors of a call that writes nothing."""
        with pytest.raises(DomainError) as raised:
            await self.send(actor, template, **arguments)
        assert await self.stored_messages() == []
        assert await self.queued_tasks() == []
        assert await self.daily_usage(template.service_id) == {}
        problems = raised.value.problems if isinstance(raised.value, Problems) else [raised.value]
        return [(problem.code.name, problem.path) for problem in problems]

    async def stored_messages(self) -> list[Any]:
        """Every message, by id."""
        async with self.database.read_connection() as connection:
            return list(
                (
                    await connection.execute(
                        text("SELECT *, _personalisation AS personalisation FROM notifications ORDER BY id")
                    )
                ).all()
            )

    async def queued_tasks(self) -> list[tuple[str, str]]:
        """Queued tasks: name and payload."""
        async with self.database.read_connection() as connection:
            rows = await connection.execute(text("SELECT entrypoint, payload FROM pgqueuer ORDER BY id"))
            return [(row.entrypoint, row.payload.decode()) for row in rows]

    async def daily_usage(self, service_id: UUID) -> dict[str, int]:
        """Today's counts by kind, without zeros."""
        async with self.database.transaction() as tx:
            return {
                kind: count for kind, count in (await sending_limits.load_daily_usage(tx, service_id)).items() if count
            }
