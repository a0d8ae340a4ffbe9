"""Sending as the schema does it, and a look at what was written."""

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
    """Sends as the schema does, and looks at what was written."""

    def __init__(self, database: Database, signer: Signer) -> None:
        self.database = database
        self.signer = signer

    async def send(self, actor: Actor, template: models.Template, **arguments: Any) -> models.Notification:
        """One message, to Zoë where it is not said to whom."""
        given: dict[str, Any] = {
            "recipient": DEFAULT_RECIPIENT,
            "personalisation": {"name": "Zoë"},
            "service_id": template.service_id,
        } | arguments
        async with self.database.transaction() as tx:
            return await notifications.send(tx, actor, signer=self.signer, template_id=template.id, **given)

    async def send_many(self, actor: Actor, template: models.Template, *items: dict[str, Any], **arguments: Any) -> Any:
        """Many messages."""
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
        """Codes and paths of a refusal, which leaves nothing behind."""
        with pytest.raises(DomainError) as refusal:
            await self.send(actor, template, **arguments)
        assert await self.stored_messages() == []
        assert await self.queued_tasks() == []
        assert await self.daily_usage(template.service_id) == {}
        problems = refusal.value.problems if isinstance(refusal.value, Problems) else [refusal.value]
        return [(problem.code.name, problem.path) for problem in problems]

    async def stored_messages(self) -> list[Any]:
        """Every message, in the order of its making."""
        async with self.database.read_connection() as connection:
            return list(
                (
                    await connection.execute(
                        text("SELECT *, _personalisation AS personalisation FROM notifications ORDER BY id")
                    )
                ).all()
            )

    async def queued_tasks(self) -> list[tuple[str, str]]:
        """What the worker is asked to do."""
        async with self.database.read_connection() as connection:
            rows = await connection.execute(text("SELECT entrypoint, payload FROM pgqueuer ORDER BY id"))
            return [(row.entrypoint, row.payload.decode()) for row in rows]

    async def daily_usage(self, service_id: UUID) -> dict[str, int]:
        """The day's counts."""
        async with self.database.transaction() as tx:
            return {
                kind: count for kind, count in (await sending_limits.load_daily_usage(tx, service_id)).items() if count
            }
