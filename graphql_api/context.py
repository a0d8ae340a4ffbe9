"""What a resolver can use: the caller, the operation's loaders, and a transaction for a change."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graphql_api.auth.audit_author import set_audit_author
from graphql_api.database.listen import JobChanges
from graphql_api.observability import operation_stats
from loaders.core import Loaders

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from graphql_api.auth.actors import Actor
    from graphql_api.auth.crypto import Signer
    from graphql_api.database.database import Database
    from graphql_api.gateways.object_store import Store
    from graphql_api.limits.buckets import Reservation
    from graphql_api.limits.rate_limiter import RateLimiter
    from graphql_api.settings import Settings


@dataclass(slots=True)
class Context:
    """One operation of one caller, with loaders of its own; a change replaces them."""

    actor: Actor
    database: Database
    settings: Settings
    signer: Signer
    store: Store
    rate_limiter: RateLimiter | None = None
    """None where no points are charged."""
    job_changes: JobChanges = field(default_factory=JobChanges)
    reauthenticate: Callable[[Actor], Awaitable[Actor]] | None = None
    """Returns the caller with current permissions, or raises `Unauthenticated`."""
    reservation: Reservation | None = field(init=False, default=None)
    """The points that the operation has reserved."""
    loaders: Loaders = field(init=False)

    def __post_init__(self) -> None:
        self.loaders = Loaders(self.database, self.actor, bulk=True)

    def reset_loaders(self) -> None:
        """Replace the loaders: later reads see the change, on the primary."""
        self.loaders = Loaders(self.database, self.actor)

    def close(self) -> None:
        """Cancel reads that are still running at the end of the operation."""
        self.loaders.cancel_reads()

    async def refresh(self) -> None:
        """Reload the caller and the loaders, for the next event of a stream; raises `Unauthenticated`."""
        if self.reauthenticate is not None:
            self.actor = await self.reauthenticate(self.actor)
        self.reset_loaders()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end; later reads use new loaders."""
        async with self.database.transaction() as session:
            set_audit_author(session, self.actor)
            yield session
        operation_stats.add(messages=session.info.get(operation_stats.MESSAGE_COUNT_KEY, 0))
        if caller_id := self.actor.api_key_id or self.actor.user_id:
            await self.database.record_write(caller_id)
        self.reset_loaders()
