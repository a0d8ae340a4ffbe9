"""The context of tasks: database, object store, gateways and settings."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import text

from graphql_api.auth.actors import Actor
from graphql_api.auth.crypto import Signer
from graphql_api.database.database import Database
from graphql_api.domain.deliveries import DeliveryPolicy
from graphql_api.gateways import FakeGateway, Gateways
from graphql_api.gateways.object_store import Store
from graphql_api.worker.batches import TaskBatcher

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.settings import Settings


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The worker's connections and settings; its actor is the system."""

    settings: Settings
    database: Database
    store: Store
    gateways: Gateways
    signer: Signer
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the worker shuts down: a long task then stops where it can be resumed."""
    actor: Actor = field(default_factory=Actor.system)
    batcher: TaskBatcher = field(default_factory=TaskBatcher)

    @property
    def delivery_policy(self) -> DeliveryPolicy:
        """The policy of deliveries, by the settings."""
        return DeliveryPolicy(
            lease_seconds=self.settings.worker_lease,
            max_retries=self.settings.delivery_retries,
            retry_after_seconds=self.settings.delivery_retry_after,
        )

    @asynccontextmanager
    async def long_transaction(self) -> AsyncIterator[AsyncSession]:
        """A transaction with long timeouts, for large scheduled statements."""
        async with self.database.transaction() as tx:
            await tx.execute(text("SET LOCAL statement_timeout = '30min'"))
            await tx.execute(text("SET LOCAL lock_timeout = '5min'"))
            yield tx


@asynccontextmanager
async def open_worker_context(
    settings: Settings, stopping: asyncio.Event | None = None
) -> AsyncIterator[WorkerContext]:
    """Connect by the settings, and close the connections at the end."""
    fake = FakeGateway(receipt_delay_seconds=settings.fake_gateway_receipt_after, log_path=settings.fake_gateway_log)
    signer = Signer(tuple(settings.secret_keys), settings.salt)
    gateways = Gateways.connect(settings, fake)
    database = Database.connect(settings)
    try:
        yield WorkerContext(settings, database, Store.connect(settings), gateways, signer, stopping or asyncio.Event())
    finally:
        await gateways.close()
        await database.close()
