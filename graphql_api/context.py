"""What a resolver can reach: the caller, the reads of the request, and a transaction for a change."""

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
    """One operation of one caller. Its loaders are its own, and new ones after each change."""

    actor: Actor
    database: Database
    settings: Settings
    signer: Signer
    store: Store
    rate_limiter: RateLimiter | None = None
    """Where the caller's points are; None where nothing is counted."""
    job_changes: JobChanges = field(default_factory=JobChanges)
    reauthenticate: Callable[[Actor], Awaitable[Actor]] | None = None
    """Finds out whether a caller may still ask, and what they may do by now."""
    reservation: Reservation | None = field(init=False, default=None)
    """What the operation was charged, once it was."""
    loaders: Loaders = field(init=False)

    def __post_init__(self) -> None:
        """Begin with loaders that have read nothing."""
        self.loaders = Loaders(self.database, self.actor, bulk=True)

    def reset_loaders(self) -> None:
        """Forget what was read: what follows sees the change, from the primary."""
        self.loaders = Loaders(self.database, self.actor)

    def close(self) -> None:
        """Break off what the operation still reads when it has ended."""
        self.loaders.cancel_reads()

    async def refresh(self) -> None:
        """Let what follows be as new as what an operation of now would see; raises `Unauthenticated`."""
        if self.reauthenticate is not None:
            self.actor = await self.reauthenticate(self.actor)
        self.reset_loaders()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end; whatever is read afterwards is read anew."""
        async with self.database.transaction() as session:
            set_audit_author(session, self.actor)
            yield session
        operation_stats.add(messages=session.info.get(operation_stats.MESSAGE_COUNT_KEY, 0))
        if caller := self.actor.api_key_id or self.actor.user_id:
            await self.database.record_write(caller)
        self.reset_loaders()
